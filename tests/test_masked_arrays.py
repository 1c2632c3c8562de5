"""Arrays with a mask are refused wherever arrays come in: their elements alone are not what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import sopasync
from sopasync import VectorConfig

pytestmark = pytest.mark.anyio

ROW = np.ma.masked_array(np.ones(4, np.float32), [0, 1, 0, 0])
ROWS = np.ma.masked_array(np.ones((3, 4), np.float32), np.eye(3, 4))
NOTHING_MASKED = np.ma.masked_array(np.ones(4, np.float32))


class Wrapped:
    """Something that numpy makes an array of."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return ROW


@pytest.fixture
async def tx(db):
    async with db.begin_transaction() as transaction:
        yield transaction


@pytest.mark.parametrize("element", ["f32", "f16", "int8"])
async def test_vectors(tx, element):
    store = await tx.open_vector_store("vectors", VectorConfig(4, "l2", element=element))
    await store.upsert(1, np.ones(4, np.int8))
    for masked in (ROW, NOTHING_MASKED, ROW.astype(np.float64), ROW.astype(np.int8), Wrapped()):
        with pytest.raises(sopasync.VectorError, match="masked array"):
            await store.upsert(2, masked)
        with pytest.raises(sopasync.VectorError, match="masked array"):
            await store.query(masked, 1)
        with pytest.raises(sopasync.VectorError, match="masked array"):
            await store.query(masked, 1, among=[1])
        with pytest.raises(sopasync.VectorError, match="masked array"):
            await store.query_range(masked, 1.0)
        with pytest.raises(sopasync.VectorError, match="masked array"):
            await store.upsert_many([2, 3], [np.ones(4, np.int8), masked])
    for masked in (ROWS, ROWS.astype(np.int8)):
        with pytest.raises(sopasync.VectorError, match="masked array"):
            await store.upsert_many([2, 3, 4], masked)
        with pytest.raises(sopasync.VectorError, match="masked array"):
            await store.query_many(masked, 1)
    assert await store.count() == 1


async def test_ids(tx):
    store = await tx.open_vector_store("vectors", VectorConfig(4, "l2"))
    ids = np.ma.masked_array([1, 2, 3], [0, 1, 0])
    with pytest.raises(sopasync.InvalidArgumentError, match="masked array"):
        await store.upsert_many(ids, np.ones((3, 4), np.float32))
    with pytest.raises(sopasync.InvalidArgumentError, match="masked array"):
        await store.get_many(ids)
    assert await store.count() == 0


async def test_in_columns_of_payloads_what_is_masked_is_none(tx):
    store = await tx.open_vector_store("vectors", VectorConfig(4, "l2"))
    prices = np.ma.masked_array([1, 2, 3], [0, 1, 0])
    await store.upsert_many([1, 2, 3], np.ones((3, 4), np.float32), {"price": prices})
    assert [item.payload["price"] for item in await store.get_many([1, 2, 3])] == [1, None, 3]


@dataclass
class Record:
    numbers: NDArray[np.float32]


async def test_values(tx):
    untyped = await tx.new_btree("untyped")
    arrays = await tx.new_btree("arrays", value_type=NDArray[np.float32])
    for masked in (ROW, ROWS, NOTHING_MASKED):
        for value in (masked, [masked], {"a": (masked,)}, Record(masked)):
            with pytest.raises(sopasync.CodecError, match="masked array"):
                await untyped.add(1, value)
        with pytest.raises(sopasync.CodecError, match="masked array"):
            await arrays.add(1, masked)
    with pytest.raises(sopasync.CodecError):
        await untyped.add(1, np.ma.masked)
    assert await untyped.count() == await arrays.count() == 0


async def test_keys(tx):
    store = await tx.new_btree("s")
    for key in (np.ma.masked, np.ma.masked_array(1, True), ROW):
        with pytest.raises(sopasync.KeyTypeError):
            await store.add(key, 1)
    assert await store.count() == 0


@pytest.mark.parametrize("count", [4, 1000])
async def test_models(tx, count):
    models = await tx.open_model_store("models")
    masked = np.ma.masked_array(np.ones(count), np.arange(count) == 1)
    for model in (
        masked,
        {"weights": masked},
        {"layers": [{"w": np.ones(count)}, {"w": masked}]},
        Record(masked),
    ):
        with pytest.raises(sopasync.CodecError, match="masked array"):
            await models.save("net", "first", model)
    await models.save("net", "first", masked, pickle=True)
