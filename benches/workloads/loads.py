"""Bulk load from Python: rows in random order and in key order, and the disk space that they take.

The time goes from the call, with all rows in a list, to its return, when every row is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any

from benches import dataset, space
from benches.adapters.interface import AsyncStore, Row, SyncStore
from benches.job import Job, Metrics

ROWS_PER_COMMIT = 1000


def random_order(job: Job) -> Metrics:
    """Rows in random order, in one transaction where the store can."""
    rows = dataset.rows(job.rows)
    seconds = _timed(job, rows, in_order=False)
    raw = dataset.ROW_BYTES * len(rows)
    return {
        "rows_per_s": len(rows) / seconds,
        "space": space.pages(job.folder) / raw,
        "space_with_log": space.everything(job.folder) / raw,
    }


def key_order(job: Job) -> Metrics:
    """Rows in key order into an empty store, by the way the store has for that."""
    rows = sorted(dataset.rows(job.rows))
    return {"rows_per_s": len(rows) / _timed(job, rows, in_order=True)}


def many_commits(job: Job) -> Metrics:
    """Rows in random order, a thousand per commit; checkpoints come when they come."""
    rows = dataset.rows(job.rows)
    batches = [rows[at : at + ROWS_PER_COMMIT] for at in range(0, len(rows), ROWS_PER_COMMIT)]
    store = job.open()
    if isinstance(store, AsyncStore):
        seconds = asyncio.run(_committed_async(store, batches))
    else:
        assert isinstance(store, SyncStore)
        store.open()
        begun = perf_counter()
        for batch in batches:
            store.commit(batch)
        seconds = perf_counter() - begun
        store.close()
    raw = dataset.ROW_BYTES * len(rows)
    return {"rows_per_s": len(rows) / seconds, "space": space.pages(job.folder) / raw}


async def _committed_async(store: AsyncStore, batches: list[list[Row]]) -> float:
    await store.open()
    begun = perf_counter()
    for batch in batches:
        await store.commit(batch)
    seconds = perf_counter() - begun
    await store.close()
    return seconds


def _timed(job: Job, rows: list[Row], *, in_order: bool) -> float:
    store = job.open()
    if isinstance(store, AsyncStore):
        return asyncio.run(_timed_async(store, rows, in_order=in_order))
    assert isinstance(store, SyncStore)
    store.open()
    load: Callable[[list[Row]], Any] = store.load_sorted if in_order else store.load
    begun = perf_counter()
    load(rows)
    seconds = perf_counter() - begun
    store.close()
    return seconds


async def _timed_async(store: AsyncStore, rows: list[Row], *, in_order: bool) -> float:
    await store.open()
    begun = perf_counter()
    await (store.load_sorted(rows) if in_order else store.load(rows))
    seconds = perf_counter() - begun
    await store.close()
    return seconds
