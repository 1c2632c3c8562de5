"""Structured data: dataclasses in, dataclasses out, a thousand of them in one durable commit."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import anyio

import sopasync


@dataclass
class User:
    """What the store holds for one user."""

    name: str
    email: str
    active: bool = True


async def main(folder: Path) -> None:
    """Add a thousand users in one transaction, then read them from a newly opened database."""
    async with sopasync.Database(folder / "app") as db, db.begin_transaction() as tx:
        users = await tx.new_btree("users", value_type=User)
        await users.add([(f"user_{i}", User("John Doe", f"john{i}@example.com")) for i in range(1000)])
        # Leaving the block commits. After it the users are on the disk, all of them; on an error, none.
    print("Added 1000 users.")

    async with sopasync.Database(folder / "app") as db, db.begin_transaction() as tx:
        users = await tx.open_btree("users", value_type=User)
        assert await users.count() == 1000

        user = await users.get("user_7")
        assert user == User("John Doe", "john7@example.com")
        print("user_7 is", user)

        nineties = [key async for key in users.keys(prefix="user_99")]
        assert nineties == ["user_99", *(f"user_99{digit}" for digit in range(10))]
        print("With the prefix user_99:", ", ".join(nineties))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
