"""Weights beside safetensors, blobs beside sequential reads and writes of a file, commits beside a reader of changes.

The two sides take turns in one process, on one disk, and each ratio is the median of those of the turns. Plain
files are written with one fsync at their end, as a commit has one of the page file and one of the log.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benches.job import Job, Metrics
from benches.spread import median

from .memory import MIB, resident

ROUNDS = 3
LAYERS = 10
CHUNK_BYTES = 2 * 1024 * 1024


def weights(job: Job) -> Metrics:
    """Milliseconds to save and load weights, and how they compare with safetensors and one fsync."""
    return asyncio.run(_weights(job))


async def _weights(job: Job) -> Metrics:
    from safetensors.numpy import load_file, save_file

    from sopasync import Database, TransactionMode

    folder = _fresh(job)
    plain = folder / "weights.safetensors"
    generator = np.random.default_rng(1)
    each = job.scale.weights_bytes // LAYERS // 4
    model = {f"layer {layer}": generator.standard_normal(each).astype(np.float32) for layer in range(LAYERS)}
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for turn in range(ROUNDS):
        plain.unlink(missing_ok=True)
        begun = perf_counter()
        save_file(model, plain)
        _sync(plain)
        theirs = perf_counter() - begun
        async with Database(folder / "db") as db:
            begun = perf_counter()
            async with db.begin_transaction() as tx:
                await (await tx.open_model_store("models")).save("nets", str(turn), model)
            ours = perf_counter() - begun
        note("save_ms", ours * 1e3)
        note("save_ratio", ours / theirs)
        begun = perf_counter()
        loaded: Any = load_file(plain)
        note("peer_load_ms", (perf_counter() - begun) * 1e3)
        del loaded
        async with (
            Database(folder / "db") as db,
            db.begin_transaction(TransactionMode.FOR_READING) as tx,
        ):
            models = await tx.open_model_store("models")
            for name in ("load_first_ms", "load_ms"):
                begun = perf_counter()
                loaded = await models.load("nets", str(turn))
                note(name, (perf_counter() - begun) * 1e3)
                assert all(np.array_equal(loaded[key], model[key]) for key in model), "other weights"
                del loaded
    shutil.rmtree(folder)
    return {name: median(values) for name, values in found.items()}


def blobs(job: Job) -> Metrics:
    """How long writing and reading a blob takes, in times of a plain file; and what memory a long one takes."""
    return asyncio.run(_blobs(job))


async def _blobs(job: Job) -> Metrics:
    from sopasync import Database, TransactionMode

    folder = _fresh(job)
    chunk = np.random.default_rng(1).bytes(CHUNK_BYTES)
    count = job.scale.blob_bytes // CHUNK_BYTES
    plain = folder / "plain"
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for _ in range(ROUNDS):
        plain.unlink(missing_ok=True)
        begun = perf_counter()
        with plain.open("wb", buffering=0) as file:
            for _ in range(count):
                file.write(chunk)
            os.fsync(file.fileno())
        their_write = perf_counter() - begun
        their_read = _read_plainly(plain)
        _drop(plain)
        their_cold = _read_plainly(plain)
        plain.unlink()
        shutil.rmtree(folder / "db", ignore_errors=True)
        async with Database(folder / "db") as db:
            begun = perf_counter()
            await _write(db, "blob", chunk, count)
            note("write_ratio", (perf_counter() - begun) / their_write)
            note("write_mb_per_s", count * CHUNK_BYTES / 1e6 / (perf_counter() - begun))
        async with Database(folder / "db") as db:
            for name, copy in (("read_ratio", True), ("read_again_ratio", True), ("view_ratio", False)):
                async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
                    store = await tx.open_blob_store("blobs")
                    size = 0
                    begun = perf_counter()
                    async for piece in store.stream("blob", copy=copy):
                        size += len(piece)
                    note(name, (perf_counter() - begun) / their_read)
                    assert size == count * CHUNK_BYTES, "a part of the blob is missing"
        _drop(folder / "db" / "pages")
        async with Database(folder / "db") as db, db.begin_transaction(TransactionMode.FOR_READING) as tx:
            store = await tx.open_blob_store("blobs")
            begun = perf_counter()
            size = sum([len(piece) async for piece in store.stream("blob")])
            note("cold_ratio", (perf_counter() - begun) / their_cold)
            assert size == count * CHUNK_BYTES, "a part of the blob is missing"
    shutil.rmtree(folder / "db")
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # noqa: ASYNC240 - begins the peak anew
    async with Database(folder / "db") as db:
        await _write(db, "long", chunk, job.scale.long_blob_bytes // CHUNK_BYTES)
        async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
            store = await tx.open_blob_store("blobs")
            async for piece in store.stream("long"):
                assert piece == chunk, "other bytes"
        used = resident("VmHWM") - before
    shutil.rmtree(folder)
    return {name: median(values) for name, values in found.items()} | {"memory_mib": used / MIB}


def _read_plainly(path: Path) -> float:
    """Seconds that it takes to read a file from its beginning to its end."""
    begun = perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.read(CHUNK_BYTES):
            pass
    return perf_counter() - begun


def _drop(path: Path) -> None:
    """Have the system forget what it holds of a file in memory, which was synced."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


async def _write(db: Any, name: str, chunk: bytes, count: int) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.open_blob_store("blobs")
        async with store.create(name) as writer:
            for _ in range(count):
                await writer.write(chunk)


def feed(job: Job) -> Metrics:
    """Commits per second of eight tasks while somebody follows the change feed, beside those while nobody does."""
    return asyncio.run(_feed(job))


async def _feed(job: Job) -> Metrics:
    from sopasync import Database

    folder = _fresh(job)
    rates: dict[bool, list[float]] = {False: [], True: []}
    async with Database(folder / "db") as db:
        for _ in range(2 * ROUNDS):
            for followed in (False, True):
                rates[followed].append(await _commits(db, followed, job.scale.seconds))
    shutil.rmtree(folder)
    ratios = [with_reader / without for without, with_reader in zip(*rates.values(), strict=True)]
    return {"commits_per_s": median(rates[True]), "slower_percent": (1 - median(ratios)) * 100}


async def _commits(db: Any, followed: bool, seconds: float) -> float:
    seen = done = 0
    first = db.last_seq

    async def follow(watch: Any) -> None:
        nonlocal seen
        async for commit in watch.commits():
            seen = commit.seq

    async def client(number: int) -> None:
        nonlocal done
        while perf_counter() < end:
            async with db.begin_transaction() as tx:
                store = await tx.new_btree("rows")
                await store.upsert((number, done % 1000), "x" * 100)
            done += 1

    watch = db.watch() if followed else None
    reader = asyncio.create_task(follow(watch)) if watch is not None else None
    begun = perf_counter()
    end = begun + seconds
    await asyncio.gather(*(client(number) for number in range(8)))
    rate = done / (perf_counter() - begun)
    if watch is not None and reader is not None:
        while seen < db.last_seq:  # noqa: ASYNC110 - nothing to be told by
            await asyncio.sleep(0.001)
        await watch.aclose()
        await reader
        assert seen >= first + done, "the reader missed commits"
    return rate


def _fresh(job: Job) -> Path:
    folder = Path(job.folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
