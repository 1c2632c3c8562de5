"""Many tasks at once: inserts never conflict, the loop stays free, a cancelled call has changed nothing, sums agree."""

from __future__ import annotations

import random

import anyio
import numpy as np
import pytest
from tests.heartbeat import assert_loop_stays_free

import sopasync
from sopasync import ConflictError, Database, TransactionMode, VectorConfig, field

pytestmark = pytest.mark.anyio


async def test_sixteen_writers_of_different_ids_never_conflict(db):
    async with db.begin_transaction() as tx:
        await tx.open_vector_store("v", VectorConfig(8, "l2"))

    async def write(writer):
        rng = np.random.default_rng(writer)
        for batch in range(6):
            async with db.begin_transaction() as tx:
                store = await tx.open_vector_store("v")
                ids = [(writer, batch, number) for number in range(20)]
                await store.upsert_many(ids, rng.standard_normal((20, 8)))
                if batch:
                    await store.upsert((writer, 0, 0), rng.standard_normal(8))
                    await store.delete((writer, batch - 1, 19))
                await anyio.sleep(0)

    async with anyio.create_task_group() as tasks:
        for writer in range(16):
            tasks.start_soon(write, writer)
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        store = await tx.open_vector_store("v")
        assert await store.count() == 16 * (6 * 20 - 5)
        rows = {item.id: item.vector async for item in store.items()}
        for query in (np.zeros(8), np.ones(8)):
            nearest = sorted(rows, key=lambda key: float(np.linalg.norm(rows[key] - query)))[:10]
            assert [hit.id for hit in await store.query(query, 10, exact=True)] == nearest
    assert db.statistics().engine["conflicts"] == 0


async def test_the_loop_stays_free_while_vectors_pour_in_and_are_searched_and_merged(db):
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((12_000, 64), dtype=np.float32)
    async with db.begin_transaction() as tx:
        await tx.open_vector_store("v", VectorConfig(64, "l2"))

    async def work(number):
        async with db.begin_transaction() as tx:
            store = await tx.open_vector_store("v")
            ids = range(number * len(rows), (number + 1) * len(rows))
            await store.upsert_many(ids, rows, {"n": list(ids)})
        async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
            store = await tx.open_vector_store("v")
            for query in range(30):
                await store.query(rows[query], 10)
                await store.query(rows[query], 10, field("n") < 5000)
            await store.query_many(rows[:50], 10, exact=True)
            await store.query_range(rows[0], 9.0)
        await db.settle("v")

    await assert_loop_stays_free(work)


@pytest.mark.parametrize("form", ["arrays", "lists"])
async def test_the_loop_stays_free_while_thousands_of_vectors_are_looked_for_at_once(db, form):
    rows = np.random.default_rng(3).standard_normal((10_000, 32), dtype=np.float32)
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", VectorConfig(32, "l2"))
        await store.upsert_many(range(2_000), rows[:2_000], {"n": list(range(2_000))})
    await db.settle("v")
    queries = rows.tolist() if form == "lists" else rows.astype(np.float64)
    counts = []

    async def work(_):
        async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
            store = await tx.open_vector_store("v")
            lists = await store.query_many(queries, 10)
            counts.append((len(lists), len(lists[-1]), lists[7][0].id))

    await assert_loop_stays_free(work)
    assert set(counts) == {(10_000, 10, 7)}


@pytest.mark.parametrize("dimension", [2, 32])
async def test_the_loop_stays_free_of_very_many_hits(db, dimension):
    count = 100_000
    rows = np.random.default_rng(4).standard_normal((count, dimension), dtype=np.float32)
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", VectorConfig(dimension, "l2", index="exact"))
        await store.upsert_many(range(count), rows, {"n": list(range(count))})
    await db.settle("v")

    async def work(_):
        async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
            store = await tx.open_vector_store("v")
            hits = await store.query(rows[5], count)
            within = await store.query_range(rows[5], 1e6)
            assert len(hits) == len(within) == count
            assert hits[0].id == 5
            assert hits[-1] == within[-1]
            for k in (3_000, 20_000):
                assert len(await store.query(rows[6], k, {"n": {"$gte": 0}})) == k

    await assert_loop_stays_free(work)


async def test_a_cancelled_call_has_changed_nothing_and_the_transaction_goes_on(db):
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((20_000, 32), dtype=np.float32)
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", VectorConfig(32, "l2"))
        await store.upsert_many(range(100), rows[:100])
        for delay in (0, 0.001, 0.01):
            with anyio.move_on_after(delay) as scope:
                await store.upsert_many(range(100, 20_000), rows[100:])
            if scope.cancelled_caught:
                assert await store.count() == 100
            else:
                assert await store.delete(list(range(100, 20_000))) == 19_900
        with anyio.move_on_after(0.0005):
            await store.query_many(rows[:2000], 10, exact=True)
        assert [hit.id for hit in await store.query(rows[7], 1)] == [7]
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        store = await tx.open_vector_store("v")
        assert await store.count() == 100
        with anyio.move_on_after(0.0005):
            await store.query_many(rows[:5000], 10, exact=True)
        assert [hit.id for hit in await store.query(rows[7], 1)] == [7]


async def test_the_bank_and_its_auditor(db):
    """Money moves between a B-tree and payloads of vectors; the auditor always finds the same sum, and each in its place."""
    accounts = 12

    async with db.begin_transaction() as tx:
        tree = await tx.new_btree("tree")
        store = await tx.open_vector_store("v", VectorConfig(2, "l2"))
        for number in range(accounts):
            await tree.add(number, 100)
            await store.upsert(number, [number, 100], {"balance": 100})

    async def transfer(tx, source, target, amount):
        tree, store = await tx.open_btree("tree"), await tx.open_vector_store("v")
        balance = await tree.get(source)
        await tree.update(source, balance - amount)
        item = await store.get(target)
        new = item.payload["balance"] + amount
        # The vector says what the payload says, so that the auditor can look from both sides.
        await store.upsert(target, [target, new], {"balance": new})

    async def bank(seed):
        rng = random.Random(seed)
        for _ in range(12):
            await db.run(transfer, rng.randrange(accounts), rng.randrange(accounts), rng.randrange(1, 50))

    audits = 0

    async def auditor(done):
        nonlocal audits
        while not done.is_set():
            async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
                tree, store = await tx.open_btree("tree"), await tx.open_vector_store("v")
                in_tree = sum([value async for value in tree.values()])
                hits = await store.query([0, 0], 100)
                assert len(hits) == accounts
                items = {item.id: item async for item in store.items()}
                for hit in hits:
                    assert hit.payload == items[hit.id].payload
                    assert items[hit.id].vector.tolist() == [hit.id, hit.payload["balance"]]
                    assert hit.distance == pytest.approx(
                        float(np.hypot(hit.id, hit.payload["balance"])), rel=1e-6
                    )
                rich = await store.query([0, 0], 100, field("balance") > 100)
                assert {hit.id for hit in rich} == {
                    key for key, item in items.items() if item.payload["balance"] > 100
                }
                assert in_tree + sum(hit.payload["balance"] for hit in hits) == 2 * 100 * accounts
                audits += 1
            await anyio.sleep(0)

    done = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(auditor, done)
        async with anyio.create_task_group() as banks:
            for seed in range(6):
                banks.start_soon(bank, seed)
        done.set()
    assert audits > 0


async def test_an_expired_or_closed_store_is_refused_clearly(db_path, anyio_backend):
    async with Database(db_path) as db:
        tx = db.begin_transaction()
        tx.begin()
        store = await tx.open_vector_store("v", VectorConfig(2))
    for call in (store.count, lambda: store.query([1, 1]), lambda: store.upsert(1, [1, 1])):
        with pytest.raises(sopasync.SopasyncError):
            await call()


async def test_two_transactions_that_replace_one_vector_do_not_both_commit(db):
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", VectorConfig(2))
        await store.upsert(1, [1, 1])
    for isolation in ("snapshot", "serializable"):
        one, two = (db.begin_transaction(isolation=isolation) for _ in range(2))
        for tx in (one, two):
            tx.begin()
            await (await tx.open_vector_store("v")).upsert(1, [2, 1])
        await one.commit()
        with pytest.raises(ConflictError):
            await two.commit()
        async with db.begin_transaction() as tx:
            assert await (await tx.open_vector_store("v")).count() == 1
