"""Swarm with tasks: a hundred tasks commit to one empty tree at once. No locks, no pre-seeding, nothing lost."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio

import sopasync

TASKS = 100
ITEMS_PER_TASK = 20


async def worker(db: sopasync.Database, number: int) -> None:
    """Add this task's items in one transaction, and count them in a total that all tasks share."""
    async with db.begin_transaction() as tx:
        tree = await tx.open_btree("concurrent_tree")
        for j in range(ITEMS_PER_TASK):
            await tree.add(number * ITEMS_PER_TASK + j, f"Task {number} - Item {j}")
        # Everybody changes this one key, but increments commute: they are applied when the commit
        # is put in order, so even here nobody conflicts.
        totals = await tx.open_btree("totals")
        await totals.increment("items", ITEMS_PER_TASK)


async def main(folder: Path) -> None:
    """Let the swarm loose on empty stores and count what it left."""
    async with sopasync.Database(folder / "swarm") as db:
        async with db.begin_transaction() as tx:
            await tx.new_btree("concurrent_tree")
            await tx.new_btree("totals")

        async with anyio.create_task_group() as tasks:
            for number in range(TASKS):
                tasks.start_soon(worker, db, number)

        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            tree = await tx.open_btree("concurrent_tree")
            keys = [key async for key in tree.keys()]
            assert keys == list(range(TASKS * ITEMS_PER_TASK)), "an acknowledged item is missing"
            totals = await tx.open_btree("totals")
            assert await totals.get("items") == TASKS * ITEMS_PER_TASK
        print(f"{TASKS} tasks committed {len(keys)} items; every one is there.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
