"""Hits and the quick way to them: lazily unpacked payloads, filters that come again, keys told without reading rows."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Sequence

import numpy as np
import pytest

import sopasync
from sopasync import InvalidArgumentError, VectorConfig, VectorError, VectorHit, VectorHits, field

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


@pytest.mark.parametrize("count", [0, 1, 10, 64, 65, 200])
async def test_hits_are_a_sequence_as_a_list_of_them_is(db, count):
    await fill(db, 200)
    async with db.begin_transaction(mode=READING) as tx:
        store = await tx.open_vector_store("v")
        hits = await store.query([0.0] * 16, max(count, 1), {"n": {"$lt": 200 if count else 0}})
        again = await store.query([0.0] * 16, max(count, 1), {"n": {"$lt": 200 if count else 0}})
    listed = list(hits)
    assert isinstance(hits, Sequence)
    assert len(hits) == len(listed) == count
    assert bool(hits) is bool(listed)
    assert [*hits] == listed == list(again)
    assert list(reversed(hits)) == listed[::-1]
    assert hits == listed
    assert listed == hits
    assert hits == again
    assert hits != listed[:-1] or not count
    assert hits != tuple(listed)
    assert (hits + again, hits + listed, listed + hits) == (listed * 2,) * 3
    for part in (
        slice(None),
        slice(2, 9),
        slice(-3, None),
        slice(None, None, -7),
        slice(500, 900),
        slice(70, 3),
    ):
        assert hits[part] == listed[part]
    for place in range(-count, count):
        assert hits[place] is hits[place] is listed[place]
        assert hits.index(listed[place]) == listed.index(listed[place])
        assert hits.index(listed[place], -(10**30), 10**30) == listed.index(listed[place])
        assert hits.count(listed[place]) == 1
        assert listed[place] in hits
    for place in (count, -count - 1, 10**30, -(10**30)):
        with pytest.raises(IndexError):
            _ = hits[place]
    with pytest.raises(TypeError):
        _ = hits["a"]
    with pytest.raises(TypeError):
        hash(hits)
    with pytest.raises(TypeError):
        _ = hits < again
    with pytest.raises(TypeError):
        _ = operator.add(hits, (1,))
    with pytest.raises(ValueError, match="not among"):
        hits.index(VectorHit(-1, 0.0, 0.0))
    with pytest.raises(ValueError, match="not among"):
        hits.index(VectorHit(-1, 0.0, 0.0), -(10**30), 10**30)
    for listed_hit in listed[:1]:
        with pytest.raises(ValueError, match="not among"):
            hits.index(listed_hit, 10**30)
    assert hits.count(None) == 0
    match hits:
        case [first, *others]:
            assert (first, others) == (listed[0], listed[1:])
        case []:
            assert not count
        case _:
            pytest.fail("it is no sequence to match")
    for made in (VectorHits(listed), copy.deepcopy(hits), pickle.loads(pickle.dumps(hits))):
        assert made == hits
        assert made.ids == hits.ids
        assert made.scores.tolist() == hits.scores.tolist()
    assert VectorHits() == []
    with pytest.raises(TypeError):
        VectorHits([1])
    shown = ", ".join(map(repr, listed[:20])) + (f", ... {count - 20} more" if count > 20 else "")
    assert repr(hits) == f"VectorHits([{shown}])"
    assert VectorHits[int, dict].__origin__ is VectorHits


@pytest.mark.parametrize("count", [1, 100])
async def test_columns_of_hits_are_those_of_each(db, count):
    await fill(db, 100)
    async with db.begin_transaction(mode=READING) as tx:
        store = await tx.open_vector_store("v")
        [_, hits] = await store.query_many([[1.0] * 16, [0.0] * 16], count)
    assert hits.ids == [hit.id for hit in hits]
    for column, name in ((hits.scores, "score"), (hits.distances, "distance")):
        assert column.dtype == np.float32
        assert column.tolist() == [getattr(hit, name) for hit in hits]
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


async def test_many_queries_find_what_each_finds_alone(db):
    rows = await fill(db, 3000)
    await db.settle("v")
    queries = np.concatenate([rows, rows + np.float32(0.01)])
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v")
        await store.upsert(-1, rows[5], {"n": -1})
        await store.delete(6)
        for chosen in ({"exact": True}, {"ef": 40}, {"ef": 40, "filter": {"n": {"$lt": 1500}}}):
            lists = await store.query_many(queries, 5, **chosen)
            assert len(lists) == len(queries)
            for place in range(0, len(queries), 97):
                assert lists[place] == await store.query(queries[place], 5, **chosen)
            assert lists[5].ids[:2] == [5, -1]
            assert 6 not in lists[6].ids


async def test_the_place_of_what_is_no_vector_is_told_however_many_there_are(db):
    rows = await fill(db, 10)
    many = np.tile(rows, (500, 1))
    bad = many.copy()
    bad[4_321, 3] = np.nan
    async with db.begin_transaction(mode=READING) as tx:
        store = await tx.open_vector_store("v")
        for form in (bad, bad.tolist(), bad.astype(np.float64), list(bad)):
            with pytest.raises(VectorError, match=r"store 'v': vector 4321: .*3"):
                await store.query_many(form, 1)
        for wrong in (5, None, "abc", {}, rows[0], rows[None], [rows], [1.0, 2.0], (row for row in rows)):
            with pytest.raises(VectorError):
                await store.query_many(wrong, 1)
        for k, ef in ((0, None), (1, 0), (True, None), (1.0, None), (None, None)):
            with pytest.raises(InvalidArgumentError):
                await store.query_many(rows, k, ef=ef)
        assert await store.query_many([], 1) == []
        assert await store.query_many(np.zeros((0, 16), np.float32), 1) == []
        assert len(await store.query_many(rows, 1)) == 10


async def test_numbers_beyond_all_that_there_can_be_are_all(db):
    rows = await fill(db, 400)
    await db.settle("v")
    async with db.begin_transaction(mode=READING) as tx:
        store = await tx.open_vector_store("v")
        for many in (2**31, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 10**30):
            for exact in (False, True):
                assert len(await store.query(rows[0], many, exact=exact)) == 400
                assert len(await store.query(rows[0], 10, ef=many, exact=exact)) == 10
                assert len(await store.query(rows[0], 10, {"n": {"$lt": 300}}, ef=many)) == 10
                assert [len(hits) for hits in await store.query_many(rows[:2], many, exact=exact)] == [
                    400
                ] * 2
            assert len(await store.query_range(rows[0], many, limit=many)) == 400
        assert await store.query_range(rows[0], -(10**400)) == []
        assert len(await store.query_range(rows[0], np.float32(1000))) == 400
        for radius in ("1", None, True, float("nan"), [1.0], 1j):
            with pytest.raises(InvalidArgumentError, match="radius"):
                await store.query_range(rows[0], radius)


async def test_what_is_neither_true_nor_false_nor_many_ids_is_refused(db):
    rows = await fill(db, 10)
    async with db.begin_transaction(mode=READING) as tx:
        store = await tx.open_vector_store("v")
        for wrong in (1, 0, None, "no", [], 1.0):
            for search in (
                lambda wrong=wrong: store.query(rows[0], exact=wrong),
                lambda wrong=wrong: store.query(rows[0], payloads=wrong),
                lambda wrong=wrong: store.query(rows[0], among=[1], payloads=wrong),
                lambda wrong=wrong: store.query_many(rows, exact=wrong),
                lambda wrong=wrong: store.query_range(rows[0], 1.0, payloads=wrong),
            ):
                with pytest.raises(InvalidArgumentError, match="neither True nor False"):
                    await search()
        assert len(await store.query(rows[0], exact=np.bool_(True), payloads=np.bool_(False))) == 10
        with pytest.raises(InvalidArgumentError, match="iterable of ids, got int"):
            await store.query(rows[0], among=5)


@pytest.mark.parametrize(
    "wrong", [None, 5, 1.5, "abc", b"abc", {1: [0.0]}, {(1.0, 2.0)}, np.array(5), object()]
)
async def test_what_is_no_list_is_refused_and_changes_nothing(db, wrong):
    await fill(db, 3)
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v")
        with pytest.raises(VectorError, match=r"store 'v': .*expected"):
            await store.upsert_many([7, 8, 9], wrong)
        if not isinstance(wrong, set):
            for call in (store.upsert_many(wrong, np.zeros((1, 16))), store.get_many(wrong)):
                with pytest.raises(InvalidArgumentError, match="ids are a list"):
                    await call
            with pytest.raises(InvalidArgumentError, match="column 'a' of the payloads"):
                await store.upsert_many([7], np.zeros((1, 16)), {"a": wrong})
        assert await store.count() == 3


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
