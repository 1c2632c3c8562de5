"""The event loop is not kept longer than 5 ms, whatever the library is doing."""

from __future__ import annotations

import contextlib
import time

import anyio
import pytest
from tests.heartbeat import BLOCKED_MS_MAX, ROUNDS_MAX, assert_loop_stays_free

import sopasync
from sopasync import Database, SearchConfig, VectorConfig

pytestmark = pytest.mark.anyio


async def test_a_turn_that_is_too_long_is_noticed():
    async def work(number):
        began_s = time.thread_time()
        while time.thread_time() - began_s < BLOCKED_MS_MAX / 1000:
            pass

    with pytest.raises(AssertionError, match="kept longer than 5 ms"):
        await assert_loop_stays_free(work)


async def test_while_many_single_calls_run_inline(db):
    async def work(number):
        async with db.begin_transaction() as tx:
            store = await tx.new_btree("s")
            for key in range(5000):
                await store.upsert((number, key), "value")
            for key in range(5000):
                await store.get((number, key))

    await assert_loop_stays_free(work)


async def test_while_many_small_reading_transactions_run_inline(db):
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add(1, 1)

    async def work(number):
        for _ in range(2000):
            async with db.begin_transaction() as tx:
                await (await tx.open_btree("s")).get(1)

    await assert_loop_stays_free(work)


@pytest.mark.parametrize("size", [10, 10_000])
async def test_while_lists_are_written_and_read(db, size):
    count = 20_000 if size == 10 else 500
    rows = [[((number, key), "x" * size) for key in range(count)] for number in range(ROUNDS_MAX)]
    keys = [[key for key, _ in some] for some in rows]
    kept = []

    async def work(number):
        async with db.begin_transaction() as tx:
            store = await tx.new_btree("s")
            await store.add(rows[number])
            kept.append(await store.get_many(keys[number]))
            kept.extend([page async for page in store.items().pages(100_000)])

    await assert_loop_stays_free(work)


async def test_while_a_large_transaction_commits_and_is_checkpointed(db):
    rows = [[((number, key), "x" * 100) for key in range(20_000)] for number in range(ROUNDS_MAX)]

    async def work(number):
        async with db.begin_transaction() as tx:
            await (await tx.new_btree("s")).add(rows[number])
        await db.checkpoint()

    await assert_loop_stays_free(work)


async def test_while_a_store_is_read_after_a_large_commit(db):
    rows = [[((number, key), f"value {key}") for key in range(20_000)] for number in range(ROUNDS_MAX)]

    async def work(number):
        async with db.begin_transaction() as tx:
            await (await tx.new_btree("s")).upsert(rows[number])
        async with db.begin_transaction() as tx:
            async for page in (await tx.open_btree("s")).columns(size=1000):
                assert page
                break

    await assert_loop_stays_free(work)


async def test_while_a_large_transaction_is_rolled_back(db):
    rows = [(key, "x" * 100) for key in range(20_000)]

    async def work(number):
        tx = db.begin_transaction()
        tx.begin()
        await (await tx.new_btree("s")).add(rows)
        tx.rollback()
        await anyio.sleep(0.05)

    await assert_loop_stays_free(work)


async def test_while_another_database_is_recovered(db, tmp_path):
    other = tmp_path / "other"

    async with Database(other) as filled, filled.begin_transaction() as tx:
        await (await tx.new_btree("s")).add([(key, "x" * 100) for key in range(50_000)])

    async def work(number):
        async with Database(other) as reopened, reopened.begin_transaction() as tx:
            assert await (await tx.open_btree("s")).count() == 50_000

    await assert_loop_stays_free(work)


async def test_while_one_large_value_is_written_and_read(db):
    async def work(number):
        async with db.begin_transaction() as tx:
            await (await tx.new_btree("s")).upsert(number, b"x" * 4_000_000)
        async with db.begin_transaction() as tx:
            await (await tx.open_btree("s")).get(number)

    await assert_loop_stays_free(work)


@pytest.mark.parametrize("way", ["savepoint", "duplicate", "cancelled", "present"])
async def test_while_a_large_part_of_a_transaction_is_undone(db, way):
    rows = [(key, "x" * 20) for key in range(60_000)]
    more = rows * 100

    async def work(number):
        async with db.begin_transaction() as tx:
            store = await tx.new_btree("s")
            await store.upsert(-1, number)
            if way == "savepoint":
                with contextlib.suppress(ZeroDivisionError):
                    async with tx.savepoint(), tx.savepoint():
                        await store.upsert(rows)
                        raise ZeroDivisionError
            elif way == "duplicate":
                with contextlib.suppress(sopasync.DuplicateKeyError):
                    await store.add([*rows, rows[0]])
            elif way == "present":
                assert not await store.add_if_not_exists([*rows[:20_000], (-1, 0)])
            else:
                with anyio.move_on_after(0.05):
                    await store.upsert(more)
            assert await store.count() == 1
            assert await store.get(-1) == number
        async with db.begin_transaction() as tx:
            assert await (await tx.open_btree("s")).get_items() == [sopasync.Item(-1, number)]

    await assert_loop_stays_free(work)


async def test_while_values_that_go_to_a_file_are_written(db):
    async def work(number):
        async with db.begin_transaction() as tx:
            store = await tx.new_btree("s", value_type=bytes)
            for key in range(40):
                await store.upsert((number, key), b"x" * 1_000_000)

    await assert_loop_stays_free(work)


@pytest.mark.parametrize("call", ["add", "update", "remove"])
async def test_while_lists_go_into_a_store_with_a_unique_index_and_an_enforced_relation(db, call):
    count = 20_000
    rows = [
        [((number, key), {"mail": (number, key), "person": key % 100}) for key in range(count)]
        for number in range(ROUNDS_MAX)
    ]
    changed = [[(key, {**value, "mail": (value["mail"], "x")}) for key, value in some] for some in rows]
    keys = [[key for key, _ in some] for some in rows]
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("people")).add([(key, None) for key in range(100)])
        people = sopasync.Relation(["person"], "people", ["id"], on_delete="restrict")
        mails = sopasync.SecondaryIndex("mails", ["mail"], unique=True)
        store = await tx.new_btree("s", sopasync.BtreeOptions(indexes=[mails], relations=[people]))
        if call != "add":
            for some in rows:
                await store.add(some)

    async def work(number):
        async with db.begin_transaction() as tx:
            store = await tx.open_btree("s")
            await getattr(store, call)({"add": rows, "update": changed, "remove": keys}[call][number])

    await assert_loop_stays_free(work)


@pytest.mark.parametrize("kind", ["list", "generator", "async generator", "keys of a store"])
async def test_while_a_search_is_among_very_many_ids(db, kind):
    count = 300_000 if kind != "keys of a store" else 50_000
    ids = list(range(count))
    async with db.begin_transaction() as tx:
        vectors = await tx.open_vector_store("vectors", VectorConfig(4, "l2"))
        await vectors.upsert_many(range(100), [[number, 0, 0, 0] for number in range(100)])
        texts = await tx.open_search("texts", SearchConfig())
        await texts.add_many([(number, "word") for number in range(100)])
        if kind == "keys of a store":
            await (await tx.new_btree("s")).add([(key, None) for key in ids])

    async def one_by_one():
        for key in ids:
            yield key

    async def work(number):
        async with db.begin_transaction() as tx:

            async def among():
                if kind == "keys of a store":
                    return (await tx.open_btree("s")).keys()
                return {"list": ids, "generator": iter(ids)}.get(kind) or one_by_one()

            vectors = await tx.open_vector_store("vectors")
            hits = await vectors.query([0, 0, 0, 0], 2, among=await among())
            assert hits.ids == [0, 1]
            texts = await tx.open_search("texts")
            assert len(await texts.search("word", among=await among())) == 10

    await assert_loop_stays_free(work)


@pytest.mark.parametrize("end", ["rollback", "commit", "commit of a change"])
async def test_while_a_transaction_ends_that_has_read_very_many_keys(db, end):
    keys = list(range(200_000))
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add(1, 1)

    async def work(number):
        tx = db.begin_transaction()
        tx.begin()
        store = await tx.open_btree("s")
        assert len(await store.get_many(keys)) == len(keys)
        if end == "commit of a change":
            await store.update(1, number)
        if end == "rollback":
            tx.rollback()
        else:
            await tx.commit()
        async with db.begin_transaction() as after:
            await (await after.open_btree("s")).get(1)
        await anyio.sleep(0.05)

    await assert_loop_stays_free(work)
