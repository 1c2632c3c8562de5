"""Bulk load from Python: rows in random order and in key order, and the disk space that the first takes.

The time goes from the call, with all rows in a list, to its return, when every row is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from benches import dataset
from benches.adapters.interface import AsyncStore, Row, SyncStore
from benches.job import Job, Metrics


def random_order(job: Job) -> Metrics:
    """Rows in random order, in one transaction where the store can."""
    rows = dataset.rows(job.rows)
    seconds = _timed(job, rows, in_order=False)
    raw = dataset.ROW_BYTES * len(rows)
    return {
        "rows_per_s": len(rows) / seconds,
        "space": _space(Path(job.folder), lambda name: not name.startswith(("log-", "lock"))) / raw,
        "space_with_log": _space(Path(job.folder), lambda _: True) / raw,
    }


def key_order(job: Job) -> Metrics:
    """Rows in key order into an empty store, by the way the store has for that."""
    rows = sorted(dataset.rows(job.rows))
    return {"rows_per_s": len(rows) / _timed(job, rows, in_order=True)}


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


def _space(folder: Path, counts: Callable[[str], bool]) -> int:
    """Disk space of a closed store in bytes, holes not counted."""
    return sum(
        file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file() and counts(file.name)
    )
