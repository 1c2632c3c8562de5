"""Atomic training: vectors, model and metadata change in one commit, and a kill -9 in the middle leaves no ghost."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio
import numpy as np
from numpy.typing import NDArray

import sopasync
from sopasync import Model, TransactionMode, VectorConfig

TEXTS = {
    "cat": "a cat sat on a mat",
    "dog": "a dog ran to a cat",
    "sun": "the sun was hot",
    "sea": "the sea was cold",
}
LETTERS, DIMENSION = 26, 8


def embed(text: str, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Count the letters of a text, and project the counts."""
    counts = np.bincount([ord(c) - 97 for c in text if c.isalpha()], minlength=LETTERS).astype(np.float32)
    return counts @ weights


async def train(tx: sopasync.Transaction, version: int) -> None:
    """Write one version of everything. The caller's transaction makes it one change."""
    # Stands for learning: every version has other weights.
    weights = np.random.default_rng(version).standard_normal((LETTERS, DIMENSION)).astype(np.float32)
    vectors = await tx.open_vector_store("documents", VectorConfig(DIMENSION))
    models = await tx.open_model_store("models")
    status = await tx.new_btree("status")
    await vectors.upsert_many(list(TEXTS), np.stack([embed(text, weights) for text in TEXTS.values()]))
    model = Model(id=f"v{version}", algorithm="letters", parameters=weights, metrics={"texts": len(TEXTS)})
    await models.save("embedding", "letters", model)
    await status.upsert("active", {"version": version})


async def check(tx: sopasync.Transaction) -> int:
    """Make every vector again from the stored weights; returns the version all stores are at."""
    status = await tx.open_btree("status")
    models = await tx.open_model_store("models")
    vectors = await tx.open_vector_store("documents")
    active = await status.get("active")
    assert active is not None
    version: int = active["version"]
    model = await models.load("embedding", "letters", into=Model)
    assert model.id == f"v{version}", "the row and the weights are of two versions"
    for name, text in TEXTS.items():
        item = await vectors.get(name)
        assert item is not None
        assert np.allclose(item.vector, embed(text, model.parameters)), "vectors of other weights"
    return version


async def train_for_ever(folder: str) -> None:
    """Train version after version, until somebody ends the process."""
    async with sopasync.Database(folder) as db:
        async with db.begin_transaction() as tx:
            await tx.new_btree("status")
        version = 0
        while True:
            async with db.begin_transaction() as tx:
                active = await (await tx.open_btree("status")).get("active")
                version = active["version"] + 1 if active else 1
                await train(tx, version)
            print(version, flush=True)  # acknowledged: from now on it must be there


def train_and_kill(folder: Path, moment_s: float) -> int:
    """Train in a process of its own, and kill it; returns the last version it acknowledged."""
    with subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        time.sleep(moment_s)
        process.kill()
        lines += process.stdout.readlines()
    return max(int(line) for line in lines if line.endswith(b"\n"))


async def main(folder: Path) -> None:
    """Kill a process that trains, three times, and look at what it left."""
    versions: list[int] = []
    for moment_s in (0.0, 0.05, 0.2):
        acknowledged = train_and_kill(folder / "db", moment_s)
        async with (
            sopasync.Database(folder / "db") as db,
            db.begin_transaction(TransactionMode.FOR_READING) as tx,
        ):
            versions.append(await check(tx))
        assert versions[-1] >= acknowledged
    assert versions == sorted(set(versions)), "each process went on where the one before it was killed"
    print(f"Killed {len(versions)} times: row, weights and vectors were of one version each time.")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        anyio.run(train_for_ever, sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as temporary:
            anyio.run(main, Path(temporary))
