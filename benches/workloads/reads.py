"""Reading what is cached: single gets in random order, and whole scans in pages.

The folder holds what `load_random` left there; it is read once through before anything is measured, so
that everything is in memory. A get is called by a bare loop, with nothing of ours in between.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from time import perf_counter
from typing import Any

from benches import dataset
from benches.adapters.interface import AsyncReader, AsyncStore, SyncStore
from benches.job import Job, Metrics

HOPS = {"aiosqlite"}
"""Stores whose every get goes to a thread: they are given a tenth of the gets."""

FOUND = (bytes, str)
CHECKED = 1000
"""Gets repeated after the measurement, to see that they bring values."""


def reads(job: Job) -> Metrics:
    """Microseconds per get; items and values per second of a scan."""
    wanted = _wanted(job)
    store = job.open()
    if isinstance(store, AsyncStore):
        return asyncio.run(_reads_async(store, wanted, job.rows))
    assert isinstance(store, SyncStore)
    store.open()
    with store.reading() as reader:
        _count(reader.pages_of_items())
        begun = perf_counter()
        for key in wanted:
            reader.get(key)
        get_us = (perf_counter() - begun) / len(wanted) * 1e6
        assert all(isinstance(reader.get(key), FOUND) for key in wanted[:CHECKED]), (
            "a loaded row is not there"
        )
        items, seconds = _scanned(reader.pages_of_items)
        values, value_seconds = _scanned(reader.pages_of_values)
    store.close()
    _check(job.rows, items, values)
    return {
        "get_us": get_us,
        "items_per_s": items / seconds,
        "values_per_s": values / value_seconds,
    }


async def _reads_async(store: AsyncStore, wanted: list[bytes], rows: int) -> Metrics:
    await store.open()
    async with store.reading() as reader:
        async for _ in reader.pages_of_items():
            pass
        get = reader.get
        begun = perf_counter()
        for key in wanted:
            await get(key)
        get_us = (perf_counter() - begun) / len(wanted) * 1e6
        for key in wanted[:CHECKED]:
            assert isinstance(await get(key), FOUND), "a loaded row is not there"
        items, seconds = await _scanned_async(reader.pages_of_items)
        values, value_seconds = await _scanned_async(reader.pages_of_values)
    await store.close()
    _check(rows, items, values)
    return {
        "get_us": get_us,
        "items_per_s": items / seconds,
        "values_per_s": values / value_seconds,
    }


def records(job: Job) -> Metrics:
    """Typed values per second of a scan: the store's own decoding, or msgspec's over the peer's bytes."""
    count = max(job.rows // 2, 1)
    rows = dataset.records(count)
    store = job.open()
    if isinstance(store, AsyncStore):
        found, seconds = asyncio.run(_records_async(store, rows))
    else:
        assert isinstance(store, SyncStore)
        found, seconds = _records_sync(store, rows)
    assert found == count, f"{found} of {count} records came back"
    return {"records_per_s": found / seconds}


def _records_sync(store: SyncStore, rows: list[tuple[bytes, bytes]]) -> tuple[int, float]:
    store.open()
    store.load(rows)
    with store.reading() as reader:
        _count(reader.pages_of_values())
        begun, found = perf_counter(), 0
        for page in reader.pages_of_values():
            found += len(list(map(dataset.decode_record, page)))
        seconds = perf_counter() - begun
    store.close()
    return found, seconds


async def _records_async(store: AsyncStore, rows: list[tuple[bytes, bytes]]) -> tuple[int, float]:
    await store.open()
    await store.load_records(rows)
    async with store.reading() as reader:
        await _decoded(reader)
        begun = perf_counter()
        found = await _decoded(reader)
        seconds = perf_counter() - begun
    await store.close()
    return found, seconds


async def _decoded(reader: AsyncReader) -> int:
    found = 0
    if reader.pages_of_records is not None:
        async for page in reader.pages_of_records():
            found += len(page)
    else:
        async for page in reader.pages_of_values():
            found += len(list(map(dataset.decode_record, page)))
    return found


def _wanted(job: Job) -> list[bytes]:
    gets = job.scale.gets // 10 if job.store in HOPS else job.scale.gets
    gets = min(gets, 2 * job.rows) if job.slow else gets
    generator = random.Random(dataset.SEED + 3)
    return generator.choices(dataset.keys(job.rows), k=gets)


def _check(rows: int, items: int, values: int) -> None:
    assert items >= rows, f"the scan saw {items} of {rows} items"
    assert values >= rows, f"the scan saw {values} of {rows} values"


def _count(pages: Any) -> int:
    return sum(map(len, pages))


def _scanned(pages: Callable[[], Any]) -> tuple[int, float]:
    begun = perf_counter()
    return _count(pages()), perf_counter() - begun


async def _scanned_async(pages: Callable[[], Any]) -> tuple[int, float]:
    begun, found = perf_counter(), 0
    async for page in pages():
        found += len(page)
    return found, perf_counter() - begun
