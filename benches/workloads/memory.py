"""Memory of a process whose data is several times its cache: filled, changed and read at random, and scanned.

The figure is the highest resident memory above what the process had before it opened the store.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

from benches import dataset
from benches.adapters.interface import AsyncStore, Row, SyncStore
from benches.job import Job, Metrics

ROWS_PER_COMMIT = 1000
CHANGES_PER_COMMIT = 50
CHANGES = 40
GETS_PER_SEED = 50
MIB = 1024 * 1024


def memory(job: Job) -> Metrics:
    """MiB used, and MiB used beyond the cache."""
    next(_batches(job))
    store = job.open(cache_bytes=job.scale.memory_cache_bytes)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # begins the peak anew
    if isinstance(store, AsyncStore):
        asyncio.run(_use_async(job, store))
    else:
        assert isinstance(store, SyncStore)
        _use(job, store)
    used = resident("VmHWM") - before
    return {
        "used_mib": used / MIB,
        "over_cache_mib": (used - job.scale.memory_cache_bytes) / MIB,
        "data_to_cache": job.scale.memory_rows * dataset.ROW_BYTES / job.scale.memory_cache_bytes,
    }


def resident(field: str) -> int:
    """Bytes of resident memory of this process: now (VmRSS) or at most (VmHWM)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"/proc/self/status has no {field}")


def _use(job: Job, store: SyncStore) -> None:
    store.open()
    for batch in _batches(job):
        store.commit(batch)
    for batch in _changes(job):
        store.commit(batch)
    with store.reading() as reader:
        for key in _wanted(job):
            assert reader.get(key) is not None, "a committed row is gone"
        found = sum(map(len, reader.pages_of_items()))
    store.close()
    assert found == job.scale.memory_rows, f"{found} of {job.scale.memory_rows} rows are there"


async def _use_async(job: Job, store: AsyncStore) -> None:
    await store.open()
    for batch in _batches(job):
        await store.commit(batch)
    for batch in _changes(job):
        await store.commit(batch)
    found = 0
    async with store.reading() as reader:
        for key in _wanted(job):
            assert await reader.get(key) is not None, "a committed row is gone"
        async for page in reader.pages_of_items():
            found += len(page)
    await store.close()
    assert found == job.scale.memory_rows, f"{found} of {job.scale.memory_rows} rows are there"


def _seeds(job: Job) -> range:
    return range(job.scale.memory_rows // ROWS_PER_COMMIT)


def _batches(job: Job) -> Iterator[list[Row]]:
    """Made as they are needed, so that our own data does not count."""
    for seed in _seeds(job):
        yield dataset.rows(ROWS_PER_COMMIT, seed)


def _changes(job: Job) -> Iterator[list[Row]]:
    generator = random.Random(dataset.SEED + 6)
    for _ in range(CHANGES):
        seed = generator.choice(_seeds(job))
        keys = dataset.keys(ROWS_PER_COMMIT, seed)[:CHANGES_PER_COMMIT]
        yield list(zip(keys, dataset.values(CHANGES_PER_COMMIT, seed + 7), strict=True))


def _wanted(job: Job) -> Iterator[bytes]:
    generator = random.Random(dataset.SEED + 8)
    for _ in range(CHANGES):
        keys = dataset.keys(ROWS_PER_COMMIT, generator.choice(_seeds(job)))
        yield from generator.sample(keys, GETS_PER_SEED)
