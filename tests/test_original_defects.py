"""The defects measured in the system this one takes its vocabulary from, each by name."""

from __future__ import annotations

import asyncio
import random
import threading

import anyio
import pytest

import sopasync
from sopasync import Database

THREADS = [1, 2, 4, 8]


def run_threads(path, count, work, **options):
    """Run ``await work(db, number)`` in threads with event loops of their own; returns what was acknowledged."""
    acknowledged: list[object] = []
    failures: list[BaseException] = []

    async def main(number):
        async with Database(path, **options) as db:
            async for key in work(db, number):
                acknowledged.append(key)  # noqa: PERF401 - one by one, so that a failure leaves what came before

    def thread(number):
        try:
            asyncio.run(main(number))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=thread, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert not any(each.is_alive() for each in threads), "hangs"
    assert failures == []
    return acknowledged


def keys_after_reopening(path, name="s"):
    async def read():
        async with Database(path) as db, db.begin_transaction() as tx:
            return [key async for key in (await tx.open_btree(name)).keys()]

    return asyncio.run(read())


@pytest.mark.parametrize("count", THREADS)
def test_no_acknowledged_commit_is_lost_on_a_hot_tail(db_path, count):
    async def work(db, number):
        for step in range(100):
            key = step * 10 + number
            async for attempt in db.attempts(attempts=100):
                async with attempt as tx:
                    await (await tx.new_btree("s")).add(key, f"thread {number}")
            yield key

    acknowledged = run_threads(db_path, count, work)
    assert len(acknowledged) == count * 100
    assert keys_after_reopening(db_path) == sorted(acknowledged)


@pytest.mark.parametrize("count", THREADS)
def test_no_acknowledged_commit_is_lost_on_random_keys(db_path, count):
    async def work(db, number):
        choices = random.Random(number)
        for _ in range(50):
            keys = [(choices.randrange(1 << 40), number) for _ in range(10)]
            async for attempt in db.attempts(attempts=100):
                async with attempt as tx:
                    await (await tx.new_btree("s")).add([(key, "value") for key in keys])
            for key in keys:
                yield key

    acknowledged = run_threads(db_path, count, work)
    assert keys_after_reopening(db_path) == sorted(acknowledged)


def test_no_hang_under_splits_with_small_nodes(db_path):
    async def work(db, number):
        for step in range(40):
            async with db.begin_transaction() as tx:
                store = await tx.new_btree("s")
                await store.add([((step, item, number), "x" * 40) for item in range(10)])
            for item in range(10):
                yield step, item, number

    acknowledged = run_threads(db_path, 4, work, page_bytes=512)
    assert keys_after_reopening(db_path) == sorted(acknowledged)


def test_an_empty_store_needs_no_seed_for_a_swarm(db_path):
    """Five threads create the store and fill it at once, without a conflict and without a retry."""

    async def work(db, number):
        async with db.begin_transaction() as tx:
            tree = await tx.new_btree("concurrent_tree")
            for item in range(100):
                await tree.add(number * 100 + item, f"Thread {number} - Item {item}")
        for item in range(100):
            yield number * 100 + item

    run_threads(db_path, 5, work)
    assert keys_after_reopening(db_path, "concurrent_tree") == list(range(500))


@pytest.mark.anyio
async def test_different_keys_never_conflict_between_tasks(db):
    async def work(number):
        for step in range(10):
            async with db.begin_transaction() as tx:
                await (await tx.new_btree("s")).add((number, step), "value")

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(work, number)
    async with db.begin_transaction() as tx:
        assert await (await tx.open_btree("s")).count() == 200
    assert db.statistics().engine["conflicts"] == 0


@pytest.fixture
async def doctors(db):
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("on call")).add([("ann", True), ("bob", True)])
    return db


@pytest.mark.anyio
async def test_write_skew_through_find_alone_is_refused(doctors):
    first, second = doctors.begin_transaction(), doctors.begin_transaction()
    for tx, mine, other in ((first, "ann", "bob"), (second, "bob", "ann")):
        tx.begin()
        store = await tx.open_btree("on call")
        assert await store.find(other)
        await store.remove(mine)
    await first.commit()
    with pytest.raises(sopasync.ConflictError):
        await second.commit()


@pytest.mark.anyio
async def test_write_skew_through_an_absent_key_is_refused(doctors):
    first, second = doctors.begin_transaction(), doctors.begin_transaction()
    for tx, mine, other in ((first, "cid", "dan"), (second, "dan", "cid")):
        tx.begin()
        store = await tx.open_btree("on call")
        assert not await store.find(other)
        await store.add(mine, True)
    await first.commit()
    with pytest.raises(sopasync.ConflictError):
        await second.commit()


@pytest.mark.anyio
@pytest.mark.parametrize("read", ["items", "keys", "count", "paging", "cursor"])
async def test_phantoms_are_refused(doctors, read):
    async def look(store):
        if read == "items":
            return [item async for item in store.items(start="a", stop="n")]
        if read == "keys":
            return [key async for key in store.keys(prefix="c")]
        if read == "count":
            return await store.count()
        if read == "paging":
            return await store.get_items(sopasync.PagingInfo(page_offset=1, page_size=1))
        await store.find("bob")
        return await store.next()

    tx = doctors.begin_transaction()
    tx.begin()
    store = await tx.open_btree("on call")
    await look(store)
    async with doctors.begin_transaction() as other:
        await (await other.open_btree("on call")).add("cid", True)
    await store.add("sum", True)
    with pytest.raises(sopasync.ConflictError):
        await tx.commit()


@pytest.mark.anyio
async def test_read_skew_is_impossible(db):
    async with db.begin_transaction() as tx:
        for name in ("x", "y"):
            await (await tx.new_btree(name)).add("balance", 50)
    async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
        x = await (await tx.open_btree("x")).get("balance")
        async with db.begin_transaction() as transfer:
            await (await transfer.open_btree("x")).update("balance", 25)
            await (await transfer.open_btree("y")).update("balance", 75)
        y = await (await tx.open_btree("y")).get("balance")
        assert (x, y) == (50, 50)
    assert tx.outcome is sopasync.TransactionOutcome.COMMITTED  # readers do not conflict


@pytest.mark.anyio
async def test_ints_above_2_to_the_53_are_exact(db):
    numbers = [2**53 - 1, 2**53, 2**53 + 1, 2**60 + 1, 2**63, 2**64 + 1, -(2**53) - 1, 10**30]
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("s")
        await store.add([(number, number) for number in numbers])
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("s")
        assert [tuple(item) async for item in store.items()] == [(n, n) for n in sorted(numbers)]


@pytest.mark.anyio
async def test_none_is_a_value_and_not_a_crash(db):
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("s")
        await store.add("add", None)
        await store.upsert("upsert", None)
        await store.add_if_not_exists("add_if_not_exists", None)
        await store.add("update", 1)
        await store.update("update", None)
        await store.add([sopasync.Item("item")])
        assert await store.get("add", "default") is None
        assert (await store.get_item("add")).value is None
        assert [value async for value in store.values()] == [None] * 5


@pytest.mark.anyio
async def test_conflicting_commits_of_several_stores_are_all_undone(db):
    async with db.begin_transaction() as tx:
        for name in ("a", "b"):
            await (await tx.new_btree(name)).add("key", 0)
    tx = db.begin_transaction()
    tx.begin()
    a, b = await tx.open_btree("a"), await tx.open_btree("b")
    await a.update("key", 1)
    await b.update("key", await b.get("key") + 1)
    async with db.begin_transaction() as other:
        await (await other.open_btree("b")).update("key", 10)
    with pytest.raises(sopasync.ConflictError):
        await tx.commit()
    async with db.begin_transaction() as tx:
        assert await (await tx.open_btree("a")).get("key") == 0
        assert await (await tx.open_btree("b")).get("key") == 10
