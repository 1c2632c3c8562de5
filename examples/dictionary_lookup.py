"""Dictionary look-up: a consumer without the producer's classes finds records with plain dicts."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import anyio

import sopasync
from sopasync import IndexFieldSpecification, IndexSpecification, Item


@dataclass
class UserKey:
    """Known to the producer alone."""

    region: str
    department: str
    employee_id: int


@dataclass
class UserProfile:
    """Known to the producer alone."""

    name: str
    role: str


async def produce(folder: Path) -> None:
    """Write with dataclasses and an index specification."""
    fields = ("region", "department", "employee_id")
    async with sopasync.Database(folder / "complex") as db, db.begin_transaction() as tx:
        store = await tx.new_btree(
            "employees",
            index_spec=IndexSpecification(tuple(IndexFieldSpecification(field) for field in fields)),
            key_type=UserKey,
            value_type=UserProfile,
        )
        await store.add(UserKey("US", "Eng", 101), UserProfile("Alice", "Dev"))
        await store.add(UserKey("US", "Sales", 202), UserProfile("Bob", "Manager"))


async def consume(folder: Path) -> None:
    """Read with dicts; the index specification comes from the store itself."""
    async with (
        sopasync.Database(folder / "complex") as db,
        db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx,
    ):
        store = await tx.open_btree("employees")
        search_key = {"region": "US", "department": "Sales", "employee_id": 202}

        assert await store.find(search_key)
        (item,) = await store.get_values(Item(key=search_key))
        assert item.value == {"name": "Bob", "role": "Manager"}
        print(f"Found: {item.value['name']}")

        # The order of the dict's entries does not matter, and get() says it in one call.
        profile = await store.get({"employee_id": 101, "region": "US", "department": "Eng"})
        assert profile is not None
        assert profile == {"name": "Alice", "role": "Dev"}
        print(f"Got: {profile['name']}")

        assert not await store.find({"region": "US", "department": "Sales", "employee_id": 999})
        print("No employee 999.")


async def main(folder: Path) -> None:
    """Produce, then consume."""
    await produce(folder)
    await consume(folder)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
