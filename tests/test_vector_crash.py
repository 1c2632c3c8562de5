"""Killed while it ingests and maintenance merges, a vector store opens as brute force over its last commit has it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import anyio
import numpy as np
import pytest

from sopasync import Database, TransactionMode, VectorConfig, field

DIMENSION = 256  # so that a few thousand vectors are enough to be sealed and merged
LATENT = 8
BATCH = 400
IDS = 6000
ROUNDS = 6
KILLED_AFTER_S = (0.3, 2.5)

CHILD = textwrap.dedent("""
    import asyncio, sys
    import numpy as np
    from sopasync import Database, VectorConfig

    async def main(path, first):
        async with Database(path) as db:
            commit = first
            while True:
                rng = np.random.default_rng(commit)
                async with db.begin_transaction() as tx:
                    store = await tx.open_vector_store("v", VectorConfig({dimension}, "l2"))
                    log = await tx.new_btree("log")
                    ids = rng.integers(0, {ids}, {batch}).tolist()
                    latent = rng.standard_normal(({batch}, {latent}), dtype=np.float32)
                    rows = np.tile(latent, {dimension} // {latent}) * np.arange(1, {dimension} + 1, dtype=np.float32) / 100
                    await store.upsert_many(ids, rows, {{"commit": [commit] * {batch}}})
                    await store.delete(rng.integers(0, {ids}, 20).tolist())
                    await log.add(commit, True)
                print(commit, flush=True)
                commit += 1

    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
""").format(dimension=DIMENSION, latent=LATENT, batch=BATCH, ids=IDS)


def vectors(rng, count):
    """Vectors of few degrees of freedom, as embeddings are."""
    latent = rng.standard_normal((count, LATENT), dtype=np.float32)
    return np.tile(latent, DIMENSION // LATENT) * np.arange(1, DIMENSION + 1, dtype=np.float32) / 100


def replay(commits: int) -> dict[int, tuple[np.ndarray, int]]:
    """What the store holds after so many commits of the child."""
    model: dict[int, tuple[np.ndarray, int]] = {}
    for commit in range(commits):
        rng = np.random.default_rng(commit)
        ids = rng.integers(0, IDS, BATCH).tolist()
        rows = vectors(rng, BATCH)
        model.update({key: (row, commit) for key, row in zip(ids, rows, strict=True)})
        for key in rng.integers(0, IDS, 20).tolist():
            model.pop(key, None)
    return model


async def compare(path: str, acknowledged: int) -> int:
    """Compare the store with brute force at the commit it recovered to; returns the number of commits."""
    async with Database(path) as db:
        async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
            commits = await (await tx.open_btree("log")).count()
            assert commits >= acknowledged, "an acknowledged commit is lost"
            store = await tx.open_vector_store("v")
            model = replay(commits)
            assert await store.count() == len(model)
            await look(store, model, exact=True)
            recall = await look(store, model, exact=False)
            assert recall >= 0.95, recall
        await db.settle("v")
        async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
            store = await tx.open_vector_store("v")
            await look(store, model, exact=True)
            assert await look(store, model, exact=False) >= 0.95
            statistics = store.statistics()
            assert statistics.segments or acknowledged < 40, "nothing was sealed"
            assert statistics.rows == len(model)
            assert not statistics.broken_segments
        report = await db.check()
        assert not report.problems
    return commits


async def look(store, model, *, exact):
    """The part of the true nearest that queries find; every hit must be true to the model."""
    keys = np.array(list(model))
    rows = np.stack([model[key][0] for key in keys.tolist()])
    commits = np.array([model[key][1] for key in keys.tolist()])
    rng = np.random.default_rng(99)
    found = wanted = 0
    for _ in range(12):
        query = vectors(rng, 1)[0]
        since = int(rng.integers(0, commits.max() + 1))
        for given, matches in (
            (None, np.ones(len(keys), bool)),
            (field("commit") >= since, commits >= since),
        ):
            distances = np.linalg.norm(rows[matches].astype(np.float64) - query, axis=1)
            nearest = keys[matches][np.argsort(distances)[:10]].tolist()
            hits = await store.query(query, 10, given, exact=exact)
            assert len(hits) == min(10, int(matches.sum()))
            for hit in hits:
                row, commit = model[hit.id]
                assert hit.payload == {"commit": commit}
                assert abs(hit.distance - np.linalg.norm(row.astype(np.float64) - query)) < 1e-3
            if exact:
                limit = distances[np.argsort(distances)[:10]][-1] if nearest else 0
                assert all(hit.distance < limit + 1e-3 for hit in hits)
            found += len({hit.id for hit in hits} & set(nearest))
            wanted += len(nearest)
    return found / wanted


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_kill_9_while_ingesting_and_merging(tmp_path):
    path = str(tmp_path / "database")
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    rng = random.Random(seed)
    commits = 0
    for _ in range(ROUNDS):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, path, str(commits)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        assert child.stdout is not None
        lines = [child.stdout.readline()]  # it has begun
        time.sleep(rng.uniform(*KILLED_AFTER_S))
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
        child.wait()
        child.stdout.close()
        acknowledged = max((int(line) + 1 for line in lines if line.endswith("\n")), default=commits)
        commits = anyio.run(compare, path, acknowledged)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_damaged_or_missing_index_file_is_built_again(tmp_path):
    path = tmp_path / "database"
    rng = np.random.default_rng(5)
    rows = vectors(rng, 12_000)
    model = {number: (row, 0) for number, row in enumerate(rows)}

    async def fill():
        async with Database(path) as db:
            async with db.begin_transaction() as tx:
                store = await tx.open_vector_store("v", VectorConfig(DIMENSION, "l2"))
                await store.upsert_many(range(len(rows)), rows, {"commit": [0] * len(rows)})
            await db.settle("v")
            async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
                store = await tx.open_vector_store("v")
                await store.query(rows[0], 1)
                assert store.statistics().segments, "nothing was sealed"

    async def see():
        async with Database(path) as db:
            for _ in range(2):
                async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
                    store = await tx.open_vector_store("v")
                    await look(store, model, exact=True)
                    assert await look(store, model, exact=False) > 0.8
                await db.settle("v")
            async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
                store = await tx.open_vector_store("v")
                await store.query(rows[0], 1)
                assert not store.statistics().broken_segments
                assert store.statistics().segments

    anyio.run(fill)
    files = sorted(path.glob("derived-*"))
    assert files
    content = bytearray(files[0].read_bytes())
    content[len(content) // 2] ^= 0x40
    files[0].write_bytes(bytes(content))
    anyio.run(see)
    for file in path.glob("derived-*"):
        file.unlink()
    anyio.run(see)
