"""Ingesting batches with many tasks at once, each batch in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import anyio

import sopasync
from sopasync._cli.demo.batches import Batch, write

TASKS = 64


async def ingest(db: sopasync.Database, work: Iterable[Batch], on_commit: Callable[[Batch], None]) -> None:
    """Commit every batch; `on_commit` is called for each one after its commit has returned."""
    queue = iter(work)
    async with anyio.create_task_group() as tasks:
        for _ in range(TASKS):
            tasks.start_soon(_worker, db, queue, on_commit)


async def _worker(db: sopasync.Database, queue: Iterator[Batch], on_commit: Callable[[Batch], None]) -> None:
    # All workers take from one iterator: between two awaits nobody else runs, so no lock is needed.
    for batch in queue:
        await db.run(write, batch)
        on_commit(batch)
