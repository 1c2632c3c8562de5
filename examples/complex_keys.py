"""Complex keys: a dataclass as the key, ordered by several fields, scanned by the leading ones."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import anyio

import sopasync
from sopasync import BtreeOptions, IndexFieldSpecification, IndexSpecification


@dataclass
class UserKey:
    """Region, then department, then number: the order of the index."""

    region: str
    department: str
    employee_id: int


@dataclass
class UserProfile:
    """The value."""

    name: str
    role: str


EMPLOYEES: list[tuple[UserKey, UserProfile]] = [
    (UserKey("US", "Eng", 101), UserProfile("Alice", "Dev")),
    (UserKey("US", "Sales", 202), UserProfile("Bob", "Manager")),
    (UserKey("EU", "Eng", 301), UserProfile("Chloe", "Dev")),
    (UserKey("US", "Eng", 99), UserProfile("Dan", "Lead")),
]


async def main(folder: Path) -> None:
    """Make the store, then scan it by region, by region and department, and backwards."""
    async with sopasync.Database(folder / "complex") as db:
        async with db.begin_transaction() as tx:
            store = await tx.new_btree(
                "employees",
                options=BtreeOptions(is_unique=True),
                index_spec=IndexSpecification(
                    index_fields=(
                        IndexFieldSpecification("region", ascending_sort_order=True),
                        IndexFieldSpecification("department", ascending_sort_order=True),
                        IndexFieldSpecification("employee_id", ascending_sort_order=True),
                    )
                ),
                key_type=UserKey,
                value_type=UserProfile,
            )
            await store.add(EMPLOYEES)
        print("Added users.")

        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            store = await tx.open_btree("employees", key_type=UserKey, value_type=UserProfile)

            # The index leads with the region, so this reads the US employees and nobody else.
            americans = [profile.name async for _, profile in store.items(prefix={"region": "US"})]
            assert americans == ["Dan", "Alice", "Bob"]
            print("In the US:", ", ".join(americans))

            engineers = [
                key.employee_id async for key in store.keys(prefix={"region": "US", "department": "Eng"})
            ]
            assert engineers == [99, 101], "numbers are in numeric order, not as text"
            print("In US engineering:", engineers)

            everyone = [key.employee_id async for key in store.keys(reverse=True)]
            assert everyone == [202, 101, 99, 301]
            print("Backwards:", everyone)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
