"""Removing a store: it and its data are gone for good, and opening it says so."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio

import sopasync


async def main(folder: Path) -> None:
    """Make a store, remove it, find it gone, make another of that name."""
    async with sopasync.Database(folder / "app") as db:
        async with db.begin_transaction() as tx:
            store = await tx.new_btree("temp_store")
            await store.add("foo", "bar")
        print("Created 'temp_store' and added data.")

        await db.remove_btree("temp_store")
        print("Removed 'temp_store'.")

        async with db.begin_transaction() as tx:
            try:
                await tx.open_btree("temp_store")
            except sopasync.StoreNotFoundError as error:
                print("As expected:", error)
            else:
                raise AssertionError("the store is still there")

        async with db.begin_transaction() as tx:
            store = await tx.new_btree("temp_store")
            assert await store.count() == 0, "a new store of that name begins empty"
        print("A new 'temp_store' begins empty.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
