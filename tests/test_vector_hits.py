"""Hits and the quick way to them: lazily unpacked payloads, filters that come again, keys told without reading rows."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import sopasync
from sopasync import InvalidArgumentError, VectorConfig, VectorError, VectorHit, field

pytestmark = pytest.mark.anyio

READING = sopasync.TransactionMode.FOR_READING


async def fill(db, count, dimension=16, seed=1, payload=None):
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    payloads = payload or {"n": list(range(count)), "even": [n % 2 == 0 for n in range(count)]}
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", VectorConfig(dimension, "l2"))
        await store.upsert_many(range(count), rows, payloads)
    return rows


def nearest(rows, query, k, passes=lambda _: True):
    order = np.argsort(np.square(rows.astype(np.float64) - query).sum(1), kind="stable")
    return [int(row) for row in order if passes(int(row))][:k]


async def test_a_hit_is_a_value(db):
    await fill(db, 3)
    async with db.begin_transaction(mode=READING) as tx:
        store = await tx.open_vector_store("v")
        [hit] = await store.query([0.0] * 16, 1)
        [again] = await store.query([0.0] * 16, 1)
        [bare] = await store.query([0.0] * 16, 1, payloads=False)
    assert hit == again
    assert hit != bare
    assert hit != 5
    assert hash(hit) == hash(again)
    assert hit == VectorHit(hit.id, hit.score, hit.distance, hit.payload)
    assert hit == VectorHit(id=hit.id, score=hit.score, distance=hit.distance, payload=hit.payload)
    assert pickle.loads(pickle.dumps(hit)) == hit == copy.deepcopy(hit)
    assert repr(hit) == (
        f"VectorHit(id={hit.id!r}, score={hit.score!r}, distance={hit.distance!r}, payload={hit.payload!r})"
    )
    match hit:
        case VectorHit(id_, _, _, {"n": n}):
            assert id_ == n
        case _:
            pytest.fail("it has no parts to match")
    with pytest.raises(AttributeError):
        hit.id = 3
    with pytest.raises(TypeError):
        _ = hit < again
    assert VectorHit[int, dict].__origin__ is VectorHit


async def test_a_payload_is_there_after_its_transaction_and_is_one_object(db):
    await fill(db, 5)
    async with db.begin_transaction(mode=READING) as tx:
        store = await tx.open_vector_store("v")
        hits = await store.query([0.0] * 16, 5)
        bare = await store.query([0.0] * 16, 5, payloads=False)
    assert [hit.payload["n"] for hit in hits] == [hit.id for hit in hits]
    assert all(hit.payload is hit.payload for hit in hits)
    assert [hit.payload for hit in bare] == [None] * 5


@pytest.mark.parametrize("settled", [False, True])
async def test_payloads_of_every_length_come_with_their_hits(db, settled):
    texts = ["", "x" * 400, "y" * 600, "z" * 3000, "w" * 100_000]
    await fill(db, 300, payload={"text": [texts[n % 5] + str(n) for n in range(300)]})
    if settled:
        await db.settle("v")
    async with db.begin_transaction(mode=READING) as tx:
        store = await tx.open_vector_store("v")
        hits = await store.query([0.0] * 16, 300, exact=True)
        assert sorted(hit.id for hit in hits) == list(range(300))
        assert all(hit.payload == {"text": texts[hit.id % 5] + str(hit.id)} for hit in hits)
        own = await tx.open_vector_store("v")
        assert [hit.id for hit in await own.query([0.0] * 16, 3, payloads=False)] == [
            hit.id for hit in hits[:3]
        ]


@pytest.mark.parametrize("kind", [list, tuple, np.float64, np.float32, ">f4", ">f8", np.int64, np.float16])
async def test_a_query_is_the_same_in_every_form(db, kind):
    rows = await fill(db, 50)
    query = np.round(rows[7] * 4)
    given = kind(query.tolist()) if kind in (list, tuple) else query.astype(kind)
    strided = given if kind in (list, tuple) else np.repeat(given, 2)[::2]
    async with db.begin_transaction(mode=READING) as tx:
        store = await tx.open_vector_store("v")
        for form in (given, strided):
            assert [hit.id for hit in await store.query(form, 10)] == nearest(rows, query, 10)


@pytest.mark.parametrize(
    ("vector", "k", "ef", "error"),
    [
        (np.full(16, np.nan, np.float32), 1, None, VectorError),
        (np.full(16, np.inf), 1, None, VectorError),
        (np.zeros(15, np.float32), 1, None, VectorError),
        (np.zeros((1, 16), np.float32), 1, None, VectorError),
        ([0.0] * 17, 1, None, VectorError),
        (["a"] * 16, 1, None, VectorError),
        ([0.0] * 16, 0, None, InvalidArgumentError),
        ([0.0] * 16, True, None, InvalidArgumentError),
        ([0.0] * 16, 1, 0, InvalidArgumentError),
        ([0.0] * 16, 1.0, None, InvalidArgumentError),
    ],
)
async def test_what_is_no_query_is_refused_with_the_name_of_the_store(db, vector, k, ef, error):
    await fill(db, 3)
    async with db.begin_transaction(mode=READING) as tx:
        store = await tx.open_vector_store("v")
        for _ in range(2):
            with pytest.raises(error):
                await store.query(vector, k, ef=ef)
        assert len(await store.query([0.0] * 16, 3)) == 3


@pytest.mark.parametrize("settled", [False, True])
async def test_a_filter_that_comes_again_finds_what_it_found_and_what_was_added(db, settled):
    rows = await fill(db, 600)
    if settled:
        await db.settle("v")
    filters = [
        ({"n": {"$lt": 400}}, lambda n: n < 400),
        ({"n": {"$lt": 400.0}}, lambda n: n < 400),
        ({"even": True}, lambda n: n % 2 == 0),
        ({"n": 1}, lambda n: n == 1),
        ({"n": {"$in": [5, 3, 900]}}, lambda n: n in (3, 5, 900)),
        ({"even": 1}, lambda n: False),  # a number is not a truth
        (field("n") >= 590, lambda n: n >= 590),
        ({"$or": [{"n": 2}, {"$not": {"even": True}}]}, lambda n: n == 2 or n % 2),
    ]
    for turn in range(3):
        async with db.begin_transaction(mode=READING) as tx:
            store = await tx.open_vector_store("v")
            for query in rows[:3]:
                for given, passes in filters:
                    found = [hit.id for hit in await store.query(query, 8, given, exact=True)]
                    assert found == nearest(rows, query, 8, passes), (turn, given)
                    near = await store.query(query, 8, given, ef=200)
                    assert len(near) == min(8, sum(map(passes, range(len(rows)))))
                    assert all(passes(hit.id) for hit in near)
        more = np.random.default_rng(turn + 50).standard_normal((20, 16)).astype(np.float32)
        numbers = list(range(len(rows), len(rows) + 20))
        async with db.begin_transaction() as tx:
            store = await tx.open_vector_store("v")
            await store.upsert_many(numbers, more, {"n": numbers, "even": [n % 2 == 0 for n in numbers]})
        rows = np.concatenate([rows, more])


async def test_a_filter_dict_that_was_changed_is_another_filter(db):
    rows = await fill(db, 40)
    async with db.begin_transaction(mode=READING) as tx:
        store = await tx.open_vector_store("v")
        given = {"n": {"$lt": 10}}
        for bound in (10, 20, 5):
            given["n"]["$lt"] = bound
            for _ in range(2):
                found = await store.query(rows[0], 40, given)
                assert {hit.id for hit in found} == set(range(bound))


async def test_a_misspelled_field_is_refused_every_time(db):
    await fill(db, 400)
    await db.settle("v")
    async with db.begin_transaction(mode=READING) as tx:
        store = await tx.open_vector_store("v")
        for _ in range(3):
            with pytest.raises(InvalidArgumentError, match="nn"):
                await store.query([0.0] * 16, 1, {"nn": 1})


async def test_a_few_hundred_vectors_get_a_graph_when_nobody_adds(db):
    await fill(db, 3000)
    await db.settle("v")
    async with db.begin_transaction(mode=READING) as tx:
        store = await tx.open_vector_store("v")
        statistics = store.statistics()
    assert [segment.kind for segment in statistics.segments] == ["hnsw"]
    assert statistics.tail_rows == 0
    assert statistics.recall_estimate > 0.9
