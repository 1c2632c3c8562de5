"""Models: any shape of them in and out, arrays in the safetensors format, versions, trust."""

from __future__ import annotations

import dataclasses
import datetime
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import BaseModel

import sopasync
from sopasync import Database, Model, TransactionMode
from sopasync._tensors import pack, put_together, take_apart, unpack

pytestmark = pytest.mark.anyio


@dataclasses.dataclass
class AgentConfig:
    system_prompt: str
    temperature: float
    model_name: str
    made: datetime.datetime | None = None


@dataclasses.dataclass
class LoraAdapter:
    rank: int
    alpha: float
    weights: list[list[float]]


class Network(msgspec.Struct):
    layers: list[NDArray[np.float32]]
    names: dict[str, np.ndarray[Any, Any]]
    note: str = ""


class Settings(BaseModel):
    depth: int
    tags: list[str] = []


def equal(left: Any, right: Any) -> bool:
    """Deep equality that looks into arrays, their dtypes and the types of numbers."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, float):
        return left.hex() == right.hex()
    return bool(left == right)


async def saved(db: Database, value: Any, **options: Any) -> Any:
    async with db.begin_transaction() as tx:
        await (await tx.open_model_store("models")).save("c", "n", value, **options)
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        return await (await tx.open_model_store("models")).load("c", "n")


async def test_every_shape_of_model_comes_back_as_its_type(db: Database) -> None:
    rng = np.random.default_rng(1)
    network = Network([rng.standard_normal((40, 30)).astype("f4")] * 3, {"a": np.arange(999)}, "x")
    models: list[Any] = [
        AgentConfig("You are helpful.", 0.7, "llama", datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)),
        LoraAdapter(8, 16.0, rng.standard_normal((20, 30)).tolist()),
        Settings(depth=3, tags=["a"]),
        Model(id="churn_v1", algorithm="forest", parameters=[0.5, 0.1], metrics={"accuracy": 0.98}),
        network,
    ]
    async with db.begin_transaction() as tx:
        store = await tx.open_model_store("models")
        for model in models:
            info = await store.save("all", type(model).__name__, model)
            assert info.type_name.endswith(type(model).__name__)
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        store = await tx.open_model_store("models")
        assert await store.list("all") == sorted(type(model).__name__ for model in models)
        for model in models[:-1]:
            assert await store.load("all", type(model).__name__, into=type(model)) == model
        again = await store.load("all", "Network", into=Network)
        assert equal(again.layers, network.layers)
        assert equal(again.names, network.names)
        assert again.note == "x"
        assert (await store.get("all", "Model"))["id"] == "churn_v1"
        assert (await store.info("all", "Network")).format == "safetensors"


def random_value(source: random.Random, depth: int = 0) -> Any:
    kind = source.randrange(12 if depth < 3 else 9)
    rng = np.random.default_rng(source.randrange(1 << 30))
    if kind < 5:
        return source.choice(
            [None, True, 2**70, -5, 1.5, "text", b"bytes", datetime.date(2026, 1, 1), float("inf"), -0.0]
        )
    if kind == 5:
        dtype = source.choice(["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"])
        shape = tuple(source.randrange(20) for _ in range(source.randrange(4)))
        return (rng.standard_normal(shape) * 9).astype(dtype)
    if kind == 6:
        array = rng.standard_normal((16, 12)).astype(source.choice([">f4", "c16", "<f8"]))
        return source.choice([array, array.T, array[::2, 1:]])
    if kind == 7:
        return rng.standard_normal((source.randrange(1, 12), 16)).tolist()
    if kind == 8:
        return [*rng.standard_normal(100).tolist(), source.choice([1, True, None, 2.0, [1.0]])]
    if kind == 9:
        return [random_value(source, depth + 1) for _ in range(source.randrange(5))]
    keys = ["a", "b.c", "__metadata__", "", "é", "a.0"]
    return {key: random_value(source, depth + 1) for key in source.sample(keys, source.randrange(5))}


def test_taking_apart_and_putting_together_gives_back_the_value() -> None:
    for seed in range(400):
        value = random_value(random.Random(seed))
        rest, places, tensors = take_apart(value)
        data = b"".join(pack(tensors))
        there = safetensors.numpy.load(data)
        assert there.keys() == tensors.keys(), f"seed {seed}: the safetensors library reads the same names"
        for name, array in tensors.items():
            assert np.array_equal(there[name], array, equal_nan=True), f"seed {seed}"
        again = put_together(rest, places, unpack(data, "here"))
        if not tensors:
            assert equal(again, value), f"seed {seed}"
        # Big-endian arrays come back little-endian: the format knows no other.
        assert equal(_native(again), _native(value)), f"seed {seed}"


def _native(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
    if isinstance(value, list):
        return [_native(child) for child in value]
    if isinstance(value, dict):
        return {key: _native(child) for key, child in value.items()}
    return value


def test_files_of_the_safetensors_library_are_read_without_copying() -> None:
    arrays = {"w": np.arange(60, dtype="f4").reshape(5, 12), "b": np.zeros(0, "i8"), "s": np.float64(3.5)}
    data = safetensors.numpy.save({k: np.asarray(v) for k, v in arrays.items()}, {"made": "there"})
    found = unpack(data, "here")
    for name, array in arrays.items():
        assert np.array_equal(found[name], array)
    whole = np.frombuffer(data, "u1")
    assert np.shares_memory(found["w"], whole)
    assert not found["w"].flags.writeable


def test_damaged_safetensors_are_corruption_and_never_arrays_out_of_bounds() -> None:
    data = b"".join(pack({"w": np.arange(64, dtype="f4"), "v": np.arange(9, dtype="i2")}))
    source = random.Random(5)
    refused = 0
    for place in range(200):
        damaged = bytearray(data)
        damaged[place] ^= 1 << source.randrange(8)
        try:
            found = unpack(bytes(damaged), "here")
        except sopasync.CorruptionError:
            refused += 1
            continue
        assert sum(array.nbytes for array in found.values()) <= len(data)
    assert refused > 100
    for length in range(len(data)):
        with pytest.raises(sopasync.CorruptionError, match="here is no safetensors file"):
            unpack(data[:length], "here")


@pytest.mark.parametrize("count", [0, 1, 3000, 500_000])
async def test_arrays_of_any_size_in_and_out(db: Database, count: int) -> None:
    value = {"w": np.arange(count, dtype="f4"), "n": 1}
    assert equal(await saved(db, value), value)
    array = np.arange(count, dtype="i8")
    assert equal(await saved(db, array), array)


async def test_a_large_plain_model_lies_beside_its_row(db: Database) -> None:
    value = {"text": "x" * 300_000}
    assert await saved(db, value) == value
    with pytest.raises(sopasync.CodecError, match="beside its arrays"):
        await saved(db, {"text": "x" * 300_000, "w": np.zeros(1000)})


async def test_versions_count_saves_and_guard_them(db: Database) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.open_model_store("models")
        assert (await store.save("c", "n", 1, expect=0)).version == 1
        assert (
            await store.save("c", "n", {"w": np.zeros(100_000)}, expect=1, metadata={"auc": 0.9})
        ).version == 2
        with pytest.raises(sopasync.StaleVersionError, match="version 2, not at 1") as caught:
            await store.save("c", "n", 3, expect=1)
        assert (caught.value.found, caught.value.expected) == (2, 1)
        with pytest.raises(sopasync.StaleVersionError):
            await store.delete("c", "n", expect=1)
        info = await store.info("c", "n")
        assert (info.version, info.metadata) == (2, {"auc": 0.9})
        assert info.created_at <= info.saved_at
        await store.save("c", "n", 3)
        assert (await store.info("c", "n")).version == 3
        assert await store._rows.count() == 1, "the payload of version 2 went with it"


async def test_categories_names_and_deletion(db: Database) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.open_model_store("models")
        assert await store.categories() == []
        for category in ("b", "a", "ab", "a\x00b"):
            for name in ("2", "1"):
                await store.save(category, name, {"w": np.ones(100), "c": category})
        assert await store.categories() == ["a", "a\x00b", "ab", "b"]
        assert await store.list("a") == ["1", "2"]
        assert [info.name for info in await store.infos("ab")] == ["1", "2"]
        assert await store.list("zz") == []
        await store.delete("a", "1")
        assert await store.list("a") == ["2"]
        assert not await store.exists("a", "1")
        assert await store.get("a", "1", 5) == 5
        for call in (store.load("a", "1"), store.delete("a", "1"), store.info("a", "1")):
            with pytest.raises(sopasync.KeyNotFound, match="no model 'a/1'"):
                await call
        for category in await store.categories():
            for name in await store.list(category):
                await store.delete(category, name)
        assert await store._rows.count() == 0


async def test_pickles_are_loaded_only_when_trusted(db: Database) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.open_model_store("models")
        await store.save("c", "n", {1, 2, frozenset([3])}, pickle=True)
        with pytest.raises(sopasync.UntrustedPickleError, match="trust_pickle=True"):
            await store.load("c", "n")
        with pytest.raises(sopasync.UntrustedPickleError):
            await store.get("c", "n")
        assert await store.load("c", "n", trust_pickle=True) == {1, 2, frozenset([3])}


async def test_bad_input_is_refused_and_changes_nothing(db: Database) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.open_model_store("models")
        await store.save("c", "n", 1)
        for category, name in (("", "n"), ("c", ""), ("c" * 513, "n"), (1, "n"), ("c", None)):
            with pytest.raises(sopasync.InvalidArgumentError, match="of a model"):
                await store.save(category, name, 1)  # type: ignore[arg-type]
        for value in (object(), lambda: 1, {"a": object()}):
            with pytest.raises(sopasync.CodecError, match="pickle=True"):
                await store.save("c", "n", value)
        with pytest.raises(sopasync.CodecError, match="does not read as"):
            await store.load("c", "n", into=AgentConfig)
        assert await store.load("c", "n") == 1
        assert await store._rows.count() == 1
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        store = await tx.open_model_store("models")
        with pytest.raises(sopasync.ReadOnlyError):
            await store.save("c", "m", 1)
        with pytest.raises(sopasync.StoreNotFoundError):
            await tx.open_model_store("others")
    await db.remove_model_store("models")


async def test_two_savers_of_one_name_conflict_and_of_two_names_do_not(db: Database) -> None:
    async with db.begin_transaction() as tx:
        await tx.open_model_store("models")
    transactions = []
    for name in ("a", "a", "b"):
        tx = db.begin_transaction()
        tx.begin()
        await (await tx.open_model_store("models")).save("c", name, {"w": np.ones(9999)})
        transactions.append(tx)
    await transactions[0].commit()
    with pytest.raises(sopasync.ConflictError):
        await transactions[1].commit()
    await transactions[2].commit()


async def test_models_are_there_after_opening_again(db: Database, db_path: Path) -> None:
    value = {"w": np.random.default_rng(3).standard_normal((300, 400))}
    await saved(db, value)
    await db.aclose()
    async with Database(db_path) as again, again.begin_transaction(TransactionMode.FOR_READING) as tx:
        assert equal(await (await tx.open_model_store("models")).load("c", "n"), value)
