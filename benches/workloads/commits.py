"""Durable commits: one row each from one client, eight threads and 64 tasks; ten rows each from 64 tasks.

Every stretch begins with an empty store and lasts for `Scale.seconds`; a commit counts when its call has
returned. From asyncio, a store of plain calls is used through threads, as its users do.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from benches import dataset
from benches.adapters.interface import AsyncStore, Row, SyncStore
from benches.job import Job, Metrics
from benches.spread import percentile

THREADS = 8
TASKS = 64
ROWS_PER_TRANSACTION = 10
ROWS_MADE = 100_000
EXECUTOR_THREADS = {"lmdb": 1, "sqlite": 1}
"""These have one writer: more threads would only wait for its lock. All others get `THREADS`."""


def one_client(job: Job) -> Metrics:
    """One client: every commit waits for the one before."""
    feed = itertools.cycle(_batches(1))
    store = job.open()
    if isinstance(store, SyncStore):
        store.open()
        with store.session() as commit:
            latencies, elapsed = _commit_for(job.scale.seconds, commit, feed)
        store.close()
    else:
        latencies, elapsed = asyncio.run(_one_task(job, store, feed))
    return _metrics(latencies, elapsed)


async def _one_task(job: Job, store: AsyncStore, feed: Iterator[list[Row]]) -> tuple[list[float], float]:
    await store.open()
    latencies: list[float] = []
    elapsed = await _task(store.commit, feed, latencies, perf_counter(), job.scale.seconds)
    await store.close()
    return latencies, elapsed


def threads(job: Job) -> Metrics:
    """Eight threads; awaited stores get an event loop and a handle in each of them."""
    store = job.open()
    feeds = [itertools.cycle(_batches(1, seed)) for seed in range(THREADS)]
    gate = threading.Barrier(THREADS + 1)
    done: list[tuple[list[float], float]] = []

    def plain(feed: Iterator[list[Row]]) -> None:
        assert isinstance(store, SyncStore)
        with store.session() as commit:
            gate.wait()
            done.append(_commit_for(job.scale.seconds, commit, feed))

    async def awaited(feed: Iterator[list[Row]]) -> None:
        own = job.open()
        assert isinstance(own, AsyncStore)
        await own.open()
        gate.wait()
        latencies: list[float] = []
        elapsed = await _task(own.commit, feed, latencies, perf_counter(), job.scale.seconds)
        done.append((latencies, elapsed))
        await own.close()

    def awaiting(feed: Iterator[list[Row]]) -> None:
        asyncio.run(awaited(feed))

    sync = isinstance(store, SyncStore)
    if isinstance(store, SyncStore):
        store.open()
    workers = [threading.Thread(target=plain if sync else awaiting, args=(feed,)) for feed in feeds]
    for worker in workers:
        worker.start()
    gate.wait()
    for worker in workers:
        worker.join()
    if isinstance(store, SyncStore):
        store.close()
    assert len(done) == THREADS, "a thread failed; its error is above"
    return _metrics([one for part, _ in done for one in part], max(elapsed for _, elapsed in done))


def tasks(job: Job) -> Metrics:
    """64 tasks of one event loop, one row per commit."""
    return asyncio.run(_tasks(job, rows_each=1))


def transactions(job: Job) -> Metrics:
    """64 tasks of one event loop, ten rows per commit."""
    return asyncio.run(_tasks(job, rows_each=ROWS_PER_TRANSACTION))


async def _tasks(job: Job, rows_each: int) -> Metrics:
    store = job.open()
    feed = itertools.cycle(_batches(rows_each))
    latencies: list[float] = []
    if isinstance(store, SyncStore):
        store.open()
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(EXECUTOR_THREADS.get(job.store, THREADS)) as pool:

            async def commit(rows: list[Row]) -> None:
                await loop.run_in_executor(pool, store.commit, rows)

            elapsed = await _all_tasks(job, commit, feed, latencies)
        store.close()
    else:
        await store.open()
        elapsed = await _all_tasks(job, store.commit, feed, latencies)
        await store.close()
    return _metrics(latencies, elapsed)


async def _all_tasks(
    job: Job,
    commit: Callable[[list[Row]], Awaitable[None]],
    feed: Iterator[list[Row]],
    latencies: list[float],
) -> float:
    begun = perf_counter()
    ends = await asyncio.gather(
        *(_task(commit, feed, latencies, begun, job.scale.seconds) for _ in range(TASKS))
    )
    return max(ends)


async def _task(
    commit: Callable[[list[Row]], Awaitable[None]],
    feed: Iterator[list[Row]],
    latencies: list[float],
    begun: float,
    seconds: float,
) -> float:
    """Commit until the time is over; returns when the last one was done, counted from `begun`."""
    now = perf_counter()
    while now - begun < seconds:
        await commit(next(feed))
        before, now = now, perf_counter()
        latencies.append(now - before)
    return now - begun


def _commit_for(
    seconds: float, commit: Callable[[list[Row]], None], feed: Iterator[list[Row]]
) -> tuple[list[float], float]:
    latencies: list[float] = []
    begun = now = perf_counter()
    while now - begun < seconds:
        commit(next(feed))
        before, now = now, perf_counter()
        latencies.append(now - before)
    return latencies, now - begun


def _batches(rows_each: int, seed: int = 0) -> list[list[Row]]:
    rows = dataset.rows(ROWS_MADE // (1 if rows_each > 1 else 4), dataset.SEED + 100 * seed)
    return [rows[at : at + rows_each] for at in range(0, len(rows), rows_each)]


def _metrics(latencies: list[float], elapsed: float) -> Metrics:
    return {
        "per_s": len(latencies) / elapsed,
        "p50_ms": percentile(latencies, 50) * 1e3,
        "p99_ms": percentile(latencies, 99) * 1e3,
    }
