"""A vector store finds the nearest exactly as a transaction's snapshot has them, and refuses what is no vector."""

from __future__ import annotations

import array
import dataclasses
import datetime
import math
import uuid

import msgspec
import numpy as np
import pytest

import sopasync
from sopasync import Database, TransactionMode, VectorConfig, VectorItem, field

pytestmark = pytest.mark.anyio

PLANE = VectorConfig(dimension=2, metric="l2")


async def test_the_recipe_of_the_cookbook(db):
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("products", VectorConfig(dimension=3))
        await store.upsert(
            VectorItem(id="prod_101", vector=[0.1, 0.5, 0.9], payload={"name": "Laptop", "price": 999})
        )
        await store.upsert("prod_102", [0.1, 0.5, 0.8], {"name": "Phone", "price": 599})
        hits = await store.query(vector=[0.1, 0.5, 0.8], k=5, filter={"name": "Laptop"})
    assert [hit.id for hit in hits] == ["prod_101"]
    assert hits[0].payload == {"name": "Laptop", "price": 999}
    assert hits[0].score == pytest.approx(0.99865, abs=1e-5)
    assert hits[0].distance == pytest.approx(1 - hits[0].score, abs=1e-6)


async def test_what_was_committed_is_found_after_reopening(db_path, anyio_backend):
    async with Database(db_path) as db, db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", PLANE)
        await store.upsert_many(range(10), [[number, 0] for number in range(10)])
    async with Database(db_path) as db, db.begin_transaction() as tx:
        store = await tx.open_vector_store("v")
        assert store.config == PLANE
        assert [hit.id for hit in await store.query([3.2, 0], 3)] == [3, 4, 2]
        assert await store.count() == 10
        assert (await store.get(3)).vector.tolist() == [3.0, 0.0]


async def test_own_changes_are_seen_inside_and_not_outside(db):
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", PLANE)
        await store.upsert_many(["a", "b"], [[0, 0], [5, 5]])
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v")
        await store.upsert("c", [1, 0])
        await store.delete("a")
        await store.upsert("b", [0, 1])
        inside = await store.query([0, 0], 5)
        assert [(hit.id, hit.distance) for hit in inside] in (
            [("b", 1.0), ("c", 1.0)],
            [("c", 1.0), ("b", 1.0)],
        )
        async with db.begin_transaction(TransactionMode.FOR_READING) as other:
            outside = await (await other.open_vector_store("v")).query([0, 0], 5)
            assert [hit.id for hit in outside] == ["a", "b"]
        assert await store.count() == 2
        assert await store.get("a") is None
        tx.rollback()
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        assert [hit.id for hit in await (await tx.open_vector_store("v")).query([0, 0], 5)] == ["a", "b"]


async def test_a_reader_keeps_its_snapshot_while_everything_is_replaced(db):
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", PLANE)
        await store.upsert_many(range(200), [[number, 0] for number in range(200)])
    async with db.begin_transaction(TransactionMode.FOR_READING) as reader:
        old = await reader.open_vector_store("v")
        before = await old.query([50.2, 0], 7)
        for round_number in range(10):
            async with db.begin_transaction() as tx:
                store = await tx.open_vector_store("v")
                await store.upsert_many(range(200), [[number, round_number + 1] for number in range(200)])
                await store.delete(list(range(40, 60)))
        await db.settle("v")
        assert await old.query([50.2, 0], 7) == before
        assert await old.count() == 200
    async with db.begin_transaction(TransactionMode.FOR_READING) as reader:
        new = await reader.open_vector_store("v")
        assert {hit.id for hit in await new.query([50, 10], 2)} == {39, 60}


async def test_a_savepoint_takes_back_vectors_too(db):
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", PLANE)
        await store.upsert("kept", [0, 0])
        with pytest.raises(ZeroDivisionError):
            async with tx.savepoint():
                await store.upsert("gone", [0, 1])
                await store.delete("kept")
                assert [hit.id for hit in await store.query([0, 0], 5)] == ["gone"]
                raise ZeroDivisionError
        assert [hit.id for hit in await store.query([0, 0], 5)] == ["kept"]
    async with db.begin_transaction() as tx:
        assert [hit.id async for hit in (await tx.open_vector_store("v")).items()] == ["kept"]


@pytest.mark.parametrize(
    ("metric", "element", "distance"),
    [
        ("l2", "f32", lambda a, b: math.dist(a, b)),
        ("l2", "f16", lambda a, b: math.dist(a, b)),
        ("l2", "int8", lambda a, b: math.dist(a, b)),
        ("inner_product", "f32", lambda a, b: -float(np.dot(a, b))),
        ("inner_product", "int8", lambda a, b: -float(np.dot(a, b))),
        ("cosine", "f32", lambda a, b: 1 - cosine(a, b)),
        ("cosine", "f16", lambda a, b: 1 - cosine(a, b)),
        ("cosine", "int8", lambda a, b: 1 - cosine(a, b)),
        ("hamming", "bits", lambda a, b: float(np.count_nonzero(a != b))),
    ],
)
async def test_every_metric_and_element_measures_as_numpy_does(db, metric, element, distance):
    rng = np.random.default_rng(3)
    if element == "bits":
        rows = rng.integers(0, 2, (60, 19)).astype(bool)
    elif element == "int8":
        rows = rng.integers(-128, 128, (60, 19))
    else:
        rows = rng.integers(-40, 40, (60, 19)) / 8
    rows[7] = 0
    as_numbers = rows.astype(np.float64)
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", VectorConfig(19, metric, element))
        await store.upsert_many(range(60), rows)
        for query in (0, 7, 13):
            expected = sorted(distance(as_numbers[query], other) for other in as_numbers)[:9]
            hits = await store.query(rows[query], 9)
            assert [hit.distance for hit in hits] == pytest.approx(expected, abs=2e-3)
            for hit in hits:
                assert hit.distance == pytest.approx(
                    distance(as_numbers[query], as_numbers[hit.id]), abs=2e-3
                )
        item = await store.get(3)
        assert item.vector.dtype == store.config.numpy_type
        stored = np.unpackbits(item.vector, bitorder="little")[:19] if element == "bits" else item.vector
        assert stored.astype(np.float64).tolist() == as_numbers[3].tolist()


def cosine(a, b):
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.dot(a, b) / lengths) if lengths else 0.0


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f4", ">f8", np.int8, np.uint16, np.int64]
)
async def test_vectors_of_every_numeric_dtype_are_taken(db, dtype):
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", VectorConfig(4, "l2"))
        rows = np.arange(12).reshape(3, 4).astype(dtype)
        await store.upsert_many([0, 1, 2], rows)
        await store.upsert(3, rows[1])
        await store.upsert(4, rows[:, ::-1][2])  # not contiguous
        await store.upsert_many([5, 6], rows[::2])
        assert [(await store.get(key)).vector.tolist() for key in range(7)] == [
            [0, 1, 2, 3],
            [4, 5, 6, 7],
            [8, 9, 10, 11],
            [4, 5, 6, 7],
            [11, 10, 9, 8],
            [0, 1, 2, 3],
            [8, 9, 10, 11],
        ]
        assert (await store.query(rows[0], 1))[0].distance == 0


async def test_vectors_of_every_other_form_are_taken(db):
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return np.array([1.0, 2.0])

    forms = [
        [1, 2.0],
        (1.0, 2),
        [np.float32(1), np.int16(2)],
        array.array("f", [1, 2]),
        array.array("d", [1, 2]),
        memoryview(array.array("f", [1, 2])),
        Tensor(),
    ]
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", PLANE)
        for number, form in enumerate(forms):
            await store.upsert(number, form)
            assert (await store.get(number)).vector.tolist() == [1, 2], form
            assert (await store.query(form, 1))[0].distance == 0
        await store.upsert_many(["x", "y"], [np.array([1, 2]), [1, 2]])
        assert [len(hits) for hits in await store.query_many([np.array([1, 2]), (3, 4)], 2)] == [2, 2]
        bits = await tx.open_vector_store("b", VectorConfig(10, "hamming", "bits"))
        for number, form in enumerate(
            [[1, 0] * 5, np.array([True, False] * 5), b"\x55\x01", np.array([0x55, 1], np.uint8)]
        ):
            await bits.upsert(number, form)
            assert (await bits.get(number)).vector.tobytes() == b"\x55\x01"
        small = await tx.open_vector_store("i", VectorConfig(2, "l2", "int8"))
        for number, form in enumerate([[1, -2], np.array([1, -2]), b"\x01\xfe"]):
            await small.upsert(number, form)
            assert (await small.get(number)).vector.tolist() == [1, -2]


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([1], "the vector has 1 element, and the store's dimension is 2"),
        ([1, 2, 3], "the vector has 3 elements, and the store's dimension is 2"),
        (np.zeros(3), "the vector has 3 elements, and the store's dimension is 2"),
        (np.zeros((1, 2)), r"this array has the shape \(1, 2\)"),
        ([1, math.nan], "element 1 of the vector is NaN or infinite"),
        ([math.inf, 1], "element 0 of the vector is NaN or infinite"),
        (np.array([1, 1e300]), "element 1 of the vector is NaN or infinite"),
        (["1", 2], "element 0 of the vector is '1', and a number is expected"),
        ([None, 2], "element 0 of the vector is None"),
        (np.array(["a", "b"]), "an array of dtype <U1 does not go into a store of 'f32' vectors"),
        (np.array([1j, 2]), "an array of dtype complex128 does not go"),
        ("ab", "a list of numbers or an array of them is expected, got str"),
        ({1: 2}, "got dict"),
        (7, "got int"),
    ],
)
async def test_what_is_no_vector_is_refused_and_changes_nothing(db, vector, message):
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", PLANE)
        await store.upsert(1, [1, 1], {"a": 1})
        for call in (
            lambda: store.upsert(1, vector),
            lambda: store.upsert_many([1, 2, 3], [[5, 5], vector, [6, 6]]),
            lambda: store.query(vector),
            lambda: store.query_range(vector, 5),
            lambda: store.query_many([[1, 1], vector]),
        ):
            with pytest.raises(sopasync.VectorError, match=message) as error:
                await call()
            assert error.value.store == "v"
        assert [item.id async for item in store.items()] == [1]
        assert (await store.get(1)).vector.tolist() == [1, 1]


async def test_a_vector_of_many_that_is_refused_is_named_by_its_position(db):
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", PLANE)
        rows = np.ones((3000, 2), np.float32)
        rows[2345, 1] = math.nan
        with pytest.raises(sopasync.VectorError, match="vector 2345: element 1"):
            await store.upsert_many(range(3000), rows)
        with pytest.raises(sopasync.VectorError, match="vector 2345: element 1"):
            await store.upsert_many(range(3000), rows.tolist())
        assert await store.count() == 0


async def test_other_wrong_arguments_are_refused_and_change_nothing(db):
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", PLANE)
        await store.upsert(1, [1, 1], {"price": 3})
        with pytest.raises(
            sopasync.VectorError, match="a payload is a dict, or a record with named fields, got list"
        ):
            await store.upsert(2, [1, 1], [1])
        with pytest.raises(sopasync.CodecError, match="value"):
            await store.upsert(2, [1, 1], {"a": object()})
        with pytest.raises(sopasync.KeyTypeError):
            await store.upsert({}, [1, 1])
        with pytest.raises(sopasync.InvalidArgumentError, match="3 ids and 2 vectors"):
            await store.upsert_many([1, 2, 3], [[1, 1], [2, 2]])
        with pytest.raises(sopasync.InvalidArgumentError, match="2 ids and 1 payloads"):
            await store.upsert_many([1, 2], [[1, 1], [2, 2]], [{}])
        with pytest.raises(sopasync.InvalidArgumentError, match="column 'a' of the payloads has 1 elements"):
            await store.upsert_many([1, 2], [[1, 1], [2, 2]], {"a": [1]})
        with pytest.raises(sopasync.InvalidArgumentError, match="give an id and a vector, a VectorItem"):
            await store.upsert("only an id")
        for k in (0, -1, 1.5, True, "1"):
            with pytest.raises(sopasync.InvalidArgumentError, match="k="):
                await store.query([1, 1], k)
        with pytest.raises(sopasync.InvalidArgumentError, match="radius=nan"):
            await store.query_range([1, 1], math.nan)
        with pytest.raises(
            sopasync.InvalidArgumentError, match=r"no payload has a field 'prize'\. There are: price"
        ):
            await store.query([1, 1], filter=field("prize") < 3)
        with pytest.raises(sopasync.InvalidArgumentError, match="there is no operator"):
            await store.query([1, 1], filter={"price": {"$below": 3}})
        assert await store.count() == 1
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        store = await tx.open_vector_store("v")
        with pytest.raises(sopasync.ReadOnlyError):
            await store.upsert(2, [1, 1])
        with pytest.raises(sopasync.ReadOnlyError):
            await store.delete(1)
    with pytest.raises(sopasync.TransactionClosedError):
        await store.query([1, 1])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"dimension": 0}, "dimension=0 is not a whole number from 1 to 65536"),
        ({"dimension": 3.0}, "dimension=3.0 is not a whole number"),
        (
            {"dimension": 3, "metric": "euclid"},
            "metric='euclid' is unknown: use one of 'cosine', 'inner_product'",
        ),
        ({"dimension": 3, "element": "f64"}, "element='f64' is unknown"),
        ({"dimension": 3, "metric": "hamming"}, "'hamming' and 'bits' go together"),
        ({"dimension": 3, "element": "bits"}, "'hamming' and 'bits' go together"),
        ({"dimension": 3, "ef": 0}, "ef=0 is not a whole number"),
        ({"dimension": 3, "index": "ivf"}, "index='ivf' is unknown"),
    ],
)
def test_a_config_that_is_none_is_refused(config, message):
    with pytest.raises(sopasync.InvalidArgumentError, match=message):
        VectorConfig(**config)


async def test_opening_and_removing_stores(db):
    async with db.begin_transaction() as tx:
        with pytest.raises(
            sopasync.StoreNotFoundError, match=r"give open_vector_store\(\) a config to make it"
        ):
            await tx.open_vector_store("v")
        store = await tx.open_vector_store("v", PLANE)
        await store.upsert(1, [1, 1])
        assert await (await tx.open_vector_store("v", PLANE)).count() == 1
        with pytest.raises(sopasync.StoreExistsError, match="its dimension is 2 but 3 was asked for"):
            await tx.open_vector_store("v", VectorConfig(3, "l2"))
        with pytest.raises(sopasync.UnsupportedError, match="is not a B-tree store but a vector store"):
            await tx.open_btree("v")
        await tx.new_btree("b")
        with pytest.raises(sopasync.UnsupportedError, match="is not a vector store but a B-tree store"):
            await tx.open_vector_store("b", PLANE)
        assert (await tx.describe("v")).kind == "vector"
        assert repr(store).startswith("<sopasync.VectorStore 'v', 2 x f32, l2, 0x")
    await db.remove_vector_store("v")
    with pytest.raises(sopasync.StoreNotFoundError):
        await db.remove_vector_store("v")
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", VectorConfig(3))
        assert await store.count() == 0
        assert await store.query([1, 2, 3]) == []


async def test_ids_are_whatever_can_be_a_key(db):
    ids = [None, -1, 1.5, 2**70, "text", b"bytes", uuid.UUID(int=1), datetime.date(2026, 1, 1), ("a", 1)]
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", PLANE)
        for number, key in enumerate(ids):
            await store.upsert(key, [number, 0])
        for number, key in enumerate(ids):
            assert [hit.id for hit in await store.query([number, 0], 1)] == [key]
        assert [key async for key in store.ids()] == ids
        assert [key async for page in store.ids().pages(2) for key in page] == ids
        assert await store.delete([None, "text", "other"]) == 2
        assert await store.delete(("a", 1)) is True
        assert await store.delete(("a", 1)) is False
        assert await store.contains(1.5)
        assert not await store.contains("text")
        assert [item and item.id for item in await store.get_many([1.5, "text", b"bytes"])] == [
            1.5,
            None,
            b"bytes",
        ]


@dataclasses.dataclass
class Product:
    name: str
    price: float


class Tagged(msgspec.Struct):
    tags: list[str]


async def test_payloads_are_records_of_the_users_own(db):
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", PLANE, payload_type=Product)
        await store.upsert(1, [1, 0], Product("Laptop", 999.0))
        await store.upsert(2, [2, 0])
        hits = await store.query([0, 0])
        assert [hit.payload for hit in hits] == [Product("Laptop", 999.0), None]
        with pytest.raises(sopasync.KeyTypeError):
            await store.upsert(3, [1, 1], {"name": "no Product"})
        assert [hit.id for hit in await store.query([0, 0], filter=field("price") > 900)] == [1]
        assert [hit.payload for hit in await store.query([0, 0], payloads=False)] == [None, None]
        tagged = await tx.open_vector_store("t", PLANE, payload_type=Tagged)
        await tagged.upsert_many([1, 2], [[0, 0], [1, 1]], [Tagged(["a", "b"]), Tagged([])])
        assert [hit.payload.tags for hit in await tagged.query([0, 0], filter={"tags": "b"})] == [["a", "b"]]


async def test_ranges_and_batches(db):
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", PLANE)
        await store.upsert_many(
            np.arange(100), np.stack([np.arange(100), np.zeros(100)], axis=1), {"n": np.arange(100)}
        )
        assert {hit.id for hit in await store.query_range([10, 0], 2)} == {8, 9, 10, 11, 12}
        assert [hit.distance for hit in await store.query_range([10, 0], 2)] == [0, 1, 1, 2, 2]
        assert len(await store.query_range([10, 0], 2, limit=3)) == 3
        assert {hit.id for hit in await store.query_range([10, 0], 2, field("n") > 10)} == {11, 12}
        assert await store.query_range([10, 5], 2) == []
        lists = await store.query_many(np.array([[1, 0], [50, 0]], dtype=np.float32), 1, {"n": {"$gte": 2}})
        assert [[hit.id for hit in hits] for hits in lists] == [[2], [50]]
        assert await store.query_many([], 3) == []
        assert await store.query_many(np.empty((0, 2)), 3) == []


async def test_a_query_in_a_writing_transaction_conflicts_with_changes_and_with_nothing_else(db):
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", PLANE)
        await store.upsert("a", [0, 0])
        await tx.new_btree("b")

    async def query_and_write(isolation, change):
        tx = db.begin_transaction(isolation=isolation)
        tx.begin()
        await (await tx.open_vector_store("v")).query([0, 0])
        await (await tx.open_btree("b")).upsert(1, 1)
        await change()
        await tx.commit()

    async def add():
        async with db.begin_transaction() as other:
            await (await other.open_vector_store("v")).upsert("b", [1, 1])

    async def delete():
        async with db.begin_transaction() as other:
            await (await other.open_vector_store("v")).delete("b")

    async def elsewhere():
        async with db.begin_transaction() as other:
            await (await other.open_btree("b")).upsert(2, 2)
        await db.settle("v")

    for change in (add, delete):
        with pytest.raises(sopasync.ConflictError, match="store 'v'"):
            await query_and_write("serializable", change)
        await query_and_write("snapshot", change)
    await query_and_write("serializable", elsewhere)


async def test_two_upserts_of_one_id_conflict_and_name_it(db):
    async with db.begin_transaction() as tx:
        await tx.open_vector_store("v", PLANE)
    one, two = db.begin_transaction(), db.begin_transaction()
    for tx in (one, two):
        tx.begin()
        await (await tx.open_vector_store("v")).upsert("the id", [1, 1])
    await one.commit()
    with pytest.raises(sopasync.ConflictError, match="the id") as error:
        await two.commit()
    assert error.value.keys == ("the id",)
