"""Weights are views of the page file: nothing is copied, nothing that happens to the database changes them."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import sopasync
from sopasync import Database, TransactionMode

pytestmark = pytest.mark.anyio

FLOATS = 100_000
"""Of one array: 400 kB."""


def weights(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(FLOATS).astype(np.float32)


async def save(db: Database, name: str, seed: int) -> None:
    async with db.begin_transaction() as tx:
        models = await tx.open_model_store("models")
        await models.save("nets", name, {"weights": weights(seed), "seed": seed})


async def load(db: Database, name: str, **options: Any) -> Any:
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        models = await tx.open_model_store("models")
        return await models.load("nets", name, **options)


def is_as_saved(model: Any) -> bool:
    return bool(np.array_equal(model["weights"], weights(model["seed"])))


def mapped_files() -> str:
    """What the system says this process has mapped."""
    return Path("/proc/self/maps").read_text(encoding="utf-8")


async def test_loaded_arrays_are_read_only_views_of_the_page_file(db: Database, db_path: Path) -> None:
    await save(db, "a", 1)
    model = await load(db, "a")
    assert is_as_saved(model)
    assert not model["weights"].flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        model["weights"][0] = 1.0
    assert f"{db_path.resolve()}/pages" in mapped_files()
    del model
    gc.collect()
    assert f"{db_path.resolve()}/pages" not in mapped_files()


async def test_all_who_load_a_version_share_one_mapping(db: Database) -> None:
    await save(db, "a", 1)
    one, other = await load(db, "a"), await load(db, "a")
    assert one["weights"].ctypes.data == other["weights"].ctypes.data


async def test_a_model_in_use_stays_as_it_is_while_others_take_its_name(db: Database) -> None:
    held = []
    for seed in range(20):
        await save(db, "a", seed)
        held.append(await load(db, "a"))
        if seed % 3 == 0:
            await db.checkpoint()
        assert all(map(is_as_saved, held))
        held = held[-4:]
    async with db.begin_transaction() as tx:
        models = await tx.open_model_store("models")
        await models.delete("nets", "a")
    await save(db, "b", 99)
    await db.checkpoint()
    assert all(map(is_as_saved, held))


async def test_a_model_in_use_outlives_its_transaction_and_its_database(tmp_path: Path) -> None:
    async with Database(tmp_path / "db") as db:
        for seed in range(3):
            await save(db, f"model {seed}", seed)
        held = [await load(db, f"model {seed}") for seed in range(3)]
        async with db.begin_transaction() as tx:
            await tx.remove_model_store("models")
    assert (tmp_path / "db" / "pages").stat().st_size < FLOATS * 4
    async with Database(tmp_path / "db") as db:
        for seed in range(3, 8):
            await save(db, f"model {seed}", seed)
        assert all(map(is_as_saved, held))


async def test_a_model_of_the_transaction_itself_outlives_its_rollback(db: Database) -> None:
    tx = db.begin_transaction()
    tx.begin()
    models = await tx.open_model_store("models")
    await models.save("nets", "a", {"weights": weights(1), "seed": 1})
    model = await models.load("nets", "a")
    tx.rollback()
    for seed in range(2, 6):
        await save(db, "b", seed)
    assert is_as_saved(model)


async def test_a_forked_child_has_its_own_copy(db: Database) -> None:
    await save(db, "a", 1)
    model = await load(db, "a")
    read_end, write_end = os.pipe()
    go_end, told_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(go_end, 1)
        os.write(write_end, b"same" if is_as_saved(model) else b"else")
        os._exit(0)
    del model
    gc.collect()
    for seed in range(2, 8):
        await save(db, "a", seed)
    os.write(told_end, b"!")
    assert os.read(read_end, 4) == b"same"
    os.waitpid(child, 0)
    for end in (read_end, write_end, go_end, told_end):
        os.close(end)


async def test_damage_is_an_error_at_the_first_load_and_whenever_it_is_asked_for(
    db: Database, db_path: Path
) -> None:
    await save(db, "seen", 1)
    await save(db, "unseen", 2)
    assert is_as_saved(await load(db, "seen"))
    pages = (db_path / "pages").read_bytes()
    with (db_path / "pages").open("r+b") as file:
        for seed in (1, 2):
            place = pages.index(weights(seed).tobytes()[:64]) + 5000
            file.seek(place)
            file.write(bytes([pages[place] ^ 1]))
    with pytest.raises(sopasync.CorruptionError):
        await load(db, "unseen")
    with pytest.raises(sopasync.CorruptionError):
        await load(db, "seen", verify="always")
    with pytest.raises(sopasync.InvalidArgumentError, match="verify"):
        await load(db, "seen", verify="never")


async def test_a_read_only_handle_reads_a_copy(db: Database, db_path: Path) -> None:
    await save(db, "a", 1)
    await db.checkpoint()
    script = f"""
        import asyncio, sopasync
        from pathlib import Path
        async def main():
            async with sopasync.Database({str(db_path)!r}, read_only=True) as db:
                async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
                    models = await tx.open_model_store("models")
                    model = await models.load("nets", "a")
                    assert not model["weights"].flags.writeable
                    assert "/pages" not in Path("/proc/self/maps").read_text()
                    print(float(model["weights"].sum()))
        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], check=True, capture_output=True, text=True
    )
    assert float(done.stdout) == float(weights(1).sum())


async def test_pieces_of_blobs_are_views_that_stay_when_asked_for(db: Database) -> None:
    data = np.random.default_rng(1).bytes(5_000_000)
    async with db.begin_transaction() as tx:
        blobs = await tx.open_blob_store("files")
        await blobs.write("a", data)
    async with db.begin_transaction() as tx:
        blobs = await tx.open_blob_store("files")
        views = [piece async for piece in blobs.stream("a", 10, copy=False)]
        assert all(piece.readonly for piece in views)
        assert all(type(piece) is bytes for piece in [piece async for piece in blobs.stream("a")])
        await blobs.delete("a")
    for seed in range(2, 5):
        async with db.begin_transaction() as tx:
            blobs = await tx.open_blob_store("files")
            await blobs.write("b", np.random.default_rng(seed).bytes(5_000_000))
    assert b"".join(views) == data[10:]
