"""Swarm with threads: each thread has its own event loop and handle; all share one engine and one tree."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import anyio

import sopasync

THREADS = 5
ITEMS_PER_THREAD = 100
ROUNDS = 5


async def work(folder: Path, thread_id: int) -> None:
    """Commit this thread's items in several transactions, the last keys side by side with other threads'."""
    async with sopasync.Database(folder) as db:
        for start in range(0, ITEMS_PER_THREAD, ITEMS_PER_THREAD // ROUNDS):
            async with db.begin_transaction() as tx:
                tree = await tx.open_btree("concurrent_tree")
                for j in range(start, start + ITEMS_PER_THREAD // ROUNDS):
                    # Interleaved keys, all at the tail of the tree: the worst place to meet.
                    await tree.add(j * THREADS + thread_id, f"Thread {thread_id} - Item {j}")
    print(f"Thread {thread_id} committed.")


async def prepare(folder: Path) -> None:
    """Make the tree; it stays empty."""
    async with sopasync.Database(folder) as db, db.begin_transaction() as tx:
        await tx.new_btree("concurrent_tree")


async def count(folder: Path) -> None:
    """Check that every item of every thread is there."""
    async with (
        sopasync.Database(folder) as db,
        db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx,
    ):
        tree = await tx.open_btree("concurrent_tree")
        keys = [key async for key in tree.keys()]
    assert keys == list(range(THREADS * ITEMS_PER_THREAD)), "an acknowledged item is missing"
    print(f"{THREADS} threads committed {len(keys)} items; every one is there.")


def main(folder: Path) -> None:
    """Start the threads, wait for them, count."""
    anyio.run(prepare, folder)
    threads = [threading.Thread(target=anyio.run, args=(work, folder, i)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    anyio.run(count, folder)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary) / "swarm")
