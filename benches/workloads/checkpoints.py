"""Commit latency of one client while a checkpoint is written, against stretches without one, in turns.

Each commit changes ten rows at random in a loaded store. A checkpoint moves what is only in the log into
the tables: RocksDB's flush, SQLite's passive checkpoint. A commit counts as "during" when the two overlap.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from collections.abc import Iterator
from time import perf_counter

from benches import dataset
from benches.adapters.interface import AsyncStore, Row, SyncStore
from benches.job import Job, Metrics
from benches.spread import percentile

ROWS_PER_COMMIT = 10


def checkpoint(job: Job) -> Metrics:
    """Milliseconds per commit outside and during, and their ratio."""
    rows = dataset.rows(max(job.rows // 2, ROWS_PER_COMMIT))
    store = job.open(checkpoints=False)
    if isinstance(store, AsyncStore):
        return asyncio.run(_checkpoint_async(job, store, rows))
    assert isinstance(store, SyncStore)
    feed = _changes(rows)
    outside: list[float] = []
    during: list[float] = []
    store.open()
    store.load(rows)
    store.checkpoint()
    with store.session() as commit:
        for _ in range(job.scale.checkpoint_rounds):
            end = perf_counter() + job.scale.seconds
            while perf_counter() < end:
                outside.append(_timed(commit, next(feed)))
            writer = threading.Thread(target=store.checkpoint)
            writer.start()
            while writer.is_alive():
                during.append(_timed(commit, next(feed)))
    store.close()
    return _metrics(outside, during)


async def _checkpoint_async(job: Job, store: AsyncStore, rows: list[Row]) -> Metrics:
    feed = _changes(rows)
    outside: list[float] = []
    during: list[float] = []
    await store.open()
    await store.load(rows)
    await store.checkpoint()
    for _ in range(job.scale.checkpoint_rounds):
        end = perf_counter() + job.scale.seconds
        while perf_counter() < end:
            outside.append(await _timed_async(store, next(feed)))
        writer = asyncio.create_task(store.checkpoint())
        await asyncio.sleep(0)
        while not writer.done():
            during.append(await _timed_async(store, next(feed)))
        await writer
    await store.close()
    return _metrics(outside, during)


def _timed(commit: object, rows: list[Row]) -> float:
    begun = perf_counter()
    commit(rows)  # type: ignore[operator]
    return perf_counter() - begun


async def _timed_async(store: AsyncStore, rows: list[Row]) -> float:
    begun = perf_counter()
    await store.commit(rows)
    return perf_counter() - begun


def _changes(rows: list[Row]) -> Iterator[list[Row]]:
    generator = random.Random(dataset.SEED + 4)
    keys = [key for key, _ in rows]
    values = itertools.cycle(dataset.values(1000, dataset.SEED + 5))
    while True:
        yield [(generator.choice(keys), next(values)) for _ in range(ROWS_PER_COMMIT)]


def _metrics(outside: list[float], during: list[float]) -> Metrics:
    if not during:
        during = [0.0]
    return {
        "outside_p50_ms": percentile(outside, 50) * 1e3,
        "outside_p99_ms": percentile(outside, 99) * 1e3,
        "during_p50_ms": percentile(during, 50) * 1e3,
        "during_p99_ms": percentile(during, 99) * 1e3,
        "p99_ratio": percentile(during, 99) / percentile(outside, 99),
        "commits_during": float(len(during)),
    }
