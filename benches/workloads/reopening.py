"""Opening after a crash: a process that has filled the log is killed, and the next one opens what it left.

Checkpoints are off, so every row is in the log only. LMDB has no log and nothing to replay; it is
measured all the same, as what an application waits for is the same.
"""

from __future__ import annotations

import asyncio
import os
import signal
from time import perf_counter
from typing import NoReturn

from benches import dataset
from benches.adapters.interface import AsyncStore, SyncStore
from benches.job import Job, Metrics

ROWS_PER_COMMIT = 500
CACHE_BYTES = 1 << 30
"""Room for everything the log holds, so that memory alone forces no checkpoint either."""


def fill(job: Job) -> Metrics:
    """Commit rows in random order and die by SIGKILL."""
    rows = dataset.rows(job.scale.replayed)
    batches = [rows[at : at + ROWS_PER_COMMIT] for at in range(0, len(rows), ROWS_PER_COMMIT)]
    store = job.open(checkpoints=False, cache_bytes=CACHE_BYTES)
    if isinstance(store, SyncStore):
        store.open()
        for batch in batches:
            store.commit(batch)
        _die()
    assert isinstance(store, AsyncStore)

    async def fill_and_die(opened: AsyncStore) -> None:
        await opened.open()
        for batch in batches:
            await opened.commit(batch)
        _die()

    asyncio.run(fill_and_die(store))
    raise AssertionError("it should be dead")


def reopen(job: Job) -> Metrics:
    """Open it, and read one row; then every row is counted."""
    key = dataset.keys(1)[0]
    store = job.open(checkpoints=False, cache_bytes=CACHE_BYTES)
    if isinstance(store, AsyncStore):
        seconds, found = asyncio.run(_reopen_async(store, key))
    else:
        assert isinstance(store, SyncStore)
        begun = perf_counter()
        store.open()
        with store.reading() as reader:
            assert reader.get(key) is not None, "an acknowledged row is gone"
            seconds = perf_counter() - begun
            found = sum(map(len, reader.pages_of_items()))
        store.close()
    assert found == job.scale.replayed, f"{found} of {job.scale.replayed} acknowledged rows are there"
    return {"open_ms": seconds * 1e3, "replayed_per_s": found / seconds}


async def _reopen_async(store: AsyncStore, key: bytes) -> tuple[float, int]:
    begun = perf_counter()
    await store.open()
    async with store.reading() as reader:
        assert await reader.get(key) is not None, "an acknowledged row is gone"
        seconds = perf_counter() - begun
        found = 0
        async for page in reader.pages_of_items():
            found += len(page)
    await store.close()
    return seconds, found


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL cannot be survived")
