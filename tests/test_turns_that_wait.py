"""Turns that must wait for the disk: in order, cancellable without a trace, and never in the way of others."""

from __future__ import annotations

import random

import anyio
import pytest

import sopasync
from sopasync import Database, TransactionMode

pytestmark = pytest.mark.anyio

ROWS = 20_000


@pytest.fixture
async def cold(db_path, anyio_backend):
    """A database much larger than its cache, just opened."""
    options = {"cache_bytes": 256 * 1024, "page_bytes": 4096}
    async with Database(db_path, **options) as db:
        for start in range(0, ROWS, 2000):
            async with db.begin_transaction() as tx:
                store = await tx.new_btree("s")
                await store.add([(key, f"{key} " * 30) for key in range(start, start + 2000)])
    async with Database(db_path, **options) as db:
        yield db


def waited(db):
    return sum(store.turns_waited for store in db.statistics().stores)


async def test_what_is_not_in_memory_is_fetched(cold):
    keys = random.Random(1).sample(range(ROWS), 500)
    async with cold.begin_transaction(TransactionMode.FOR_READING) as tx:
        store = await tx.open_btree("s")
        for key in keys:
            assert await store.get(key) == f"{key} " * 30
        assert await store.get_many(keys) == [f"{key} " * 30 for key in keys]
        assert await store.count() == ROWS
        assert [key async for key in store.keys()] == list(range(ROWS))
        assert [item.key for item in await store.get_items(sopasync.PagingInfo(700, 20))] == list(
            range(14000, 14020)
        )
    assert waited(cold) > 100


async def test_turns_of_one_transaction_keep_their_order_while_one_waits(cold):
    finished = []

    async def get(store, key):
        await store.get(key)
        finished.append(key)

    keys = random.Random(2).sample(range(ROWS), 200)
    async with cold.begin_transaction(TransactionMode.FOR_READING) as tx:
        store = await tx.open_btree("s")
        async with anyio.create_task_group() as tasks:
            for key in keys:
                tasks.start_soon(get, store, key)
    # A task group of trio starts its tasks in any order, so what is promised is that all are served, and one at a time.
    assert sorted(finished) == sorted(keys)
    (actor,) = cold.statistics().stores
    assert actor.turns_queued > 0
    assert 0 < actor.mailbox_high_water <= len(keys)


async def test_transactions_wait_side_by_side(cold):
    async def read(seed):
        async with cold.begin_transaction(TransactionMode.FOR_READING) as tx:
            store = await tx.open_btree("s")
            for key in random.Random(seed).sample(range(ROWS), 50):
                assert await store.get(key) == f"{key} " * 30

    async with anyio.create_task_group() as tasks:
        for seed in range(20):
            tasks.start_soon(read, seed)


async def test_a_cancelled_turn_leaves_nothing_behind(cold):
    """A write whose page must be fetched first is cancelled at many moments; what was told is what is there."""
    cancelled = 0
    async with cold.begin_transaction() as tx:
        store = await tx.open_btree("s")
        applied = {}
        for number, key in enumerate(random.Random(3).sample(range(ROWS), 300)):
            with anyio.CancelScope() as scope:
                if number % 3:
                    scope.cancel()
                else:
                    scope.deadline = anyio.current_time() + number * 1e-6
                await store.update(key, "updated")
                applied[key] = "updated"
            cancelled += scope.cancelled_caught
        for key in random.Random(3).sample(range(ROWS), 300):
            assert await store.get(key) == applied.get(key, f"{key} " * 30)
    assert cancelled > 0  # with uvloop many are done before the cancellation comes
    async with cold.begin_transaction() as tx:
        store = await tx.open_btree("s")
        changed = {item.key async for item in store.items() if item.value == "updated"}
    assert changed == set(applied)


async def test_a_cancelled_batch_leaves_nothing_behind(cold):
    keys = random.Random(4).sample(range(ROWS), 400)
    async with cold.begin_transaction() as tx:
        store = await tx.open_btree("s")
        for number in range(20):
            with anyio.move_on_after(number * 0.0003) as scope:
                await store.update([(key, number) for key in keys])
            if not scope.cancelled_caught:
                break
            assert all(isinstance(value, str) for value in await store.get_many(keys))
        tx.rollback()


async def test_a_transaction_may_end_while_one_of_its_turns_waits(cold):
    failures = []

    async def read(store):
        try:
            for key in random.Random(5).sample(range(ROWS), 2000):
                await store.get(key)
        except sopasync.TransactionClosedError as error:
            failures.append(error)

    async with anyio.create_task_group() as tasks:
        tx = cold.begin_transaction()
        tx.begin()
        store = await tx.open_btree("s")
        for _ in range(3):
            tasks.start_soon(read, store)
        await anyio.sleep(0.005)
        tx.rollback()
    assert len(failures) == 3
    assert cold.statistics().transactions_open == 0


async def test_closing_while_turns_wait(cold):
    async def read():
        with pytest.raises(sopasync.SopasyncError):
            async with cold.begin_transaction() as tx:
                store = await tx.open_btree("s")
                for key in random.Random(6).sample(range(ROWS), 5000):
                    await store.get(key)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(read)
        await anyio.sleep(0.005)
        await cold.aclose()
