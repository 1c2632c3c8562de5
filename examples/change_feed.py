"""The change feed: keep something beside the database up to date, from a snapshot on and across restarts."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio

import sopasync
from sopasync import DatabaseOptions


async def order(db: sopasync.Database, number: int, state: str) -> None:
    """Write one order."""
    async with db.begin_transaction() as tx:
        orders = await tx.new_btree("orders", value_type=str)
        await orders.upsert(number, state)


async def main(folder: Path) -> None:
    """Mirror a store in a dict: what is there first, then every change, then those of another run."""
    options = DatabaseOptions(stores_folders=[folder / "shop"], changes_kept_bytes=64 * 1024 * 1024)
    mirror: dict[int, str] = {}

    async with sopasync.Database(options) as db:
        for number in range(100):
            await order(db, number, "new")
        watch = db.watch({"orders": str}, snapshot=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(order, db, 7, "paid")
            async for change in watch:
                mirror[change.key] = change.value
                if change.value == "paid":
                    print(f"Commit {change.seq}: order {change.key} is {change.value}")
                    break
        position = watch.seq  # kept wherever the mirror is kept

    async with sopasync.Database(options) as db:
        await order(db, 8, "paid")
        await order(db, 7, "sent")
        async for commit in db.watch({"orders": str}, since=position).commits():
            mirror.update((change.key, change.value) for change in commit.changes)
            position = commit.seq
            if position == db.last_seq:
                break
        async with db.begin_transaction() as tx:
            orders = await tx.open_btree("orders", value_type=str)
            assert mirror == {key: value async for key, value in orders.items()}
    print(f"The mirror has all {len(mirror)} orders as the store has them, up to commit {position}.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
