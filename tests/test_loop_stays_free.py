"""The event loop is not kept longer than 5 ms, whatever the library is doing."""

from __future__ import annotations

import contextlib
import gc
import statistics
import time

import anyio
import pytest

import sopasync
from sopasync import Database

pytestmark = pytest.mark.anyio

BLOCKED_MS_MAX = 5.0
ROUNDS = 5


class Heartbeat:
    """Measures in CPU time of this thread how long the loop is kept between two of its beats.

    CPU time, because other processes of the machine take wall time that nobody here can give back.
    """

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self._going = True

    async def beat(self) -> None:
        while self._going:
            before = time.thread_time()
            await anyio.sleep(0)
            self.longest_ms = max(self.longest_ms, (time.thread_time() - before) * 1000)

    def stop(self) -> None:
        self._going = False


async def longest_of(work):
    """The median, over several rounds, of the longest time the loop was kept."""
    longest = []
    for number in range(ROUNDS):
        heart = Heartbeat()
        gc.collect()
        gc.disable()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(heart.beat)
                await anyio.sleep(0)
                await work(number)
                heart.stop()
        finally:
            gc.enable()
        longest.append(heart.longest_ms)
    return statistics.median(longest)


async def test_while_many_single_calls_run_inline(db):
    async def work(number):
        async with db.begin_transaction() as tx:
            store = await tx.new_btree("s")
            for key in range(5000):
                await store.upsert((number, key), "value")
            for key in range(5000):
                await store.get((number, key))

    assert await longest_of(work) < BLOCKED_MS_MAX


async def test_while_many_small_reading_transactions_run_inline(db):
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add(1, 1)

    async def work(number):
        for _ in range(2000):
            async with db.begin_transaction() as tx:
                await (await tx.open_btree("s")).get(1)

    assert await longest_of(work) < BLOCKED_MS_MAX


@pytest.mark.parametrize("size", [10, 10_000])
async def test_while_lists_are_written_and_read(db, size):
    count = 20_000 if size == 10 else 500
    rows = [[((number, key), "x" * size) for key in range(count)] for number in range(ROUNDS)]
    keys = [[key for key, _ in some] for some in rows]
    kept = []

    async def work(number):
        async with db.begin_transaction() as tx:
            store = await tx.new_btree("s")
            await store.add(rows[number])
            kept.append(await store.get_many(keys[number]))
            kept.extend([page async for page in store.items().pages(100_000)])

    assert await longest_of(work) < BLOCKED_MS_MAX


async def test_while_a_large_transaction_commits_and_is_checkpointed(db):
    rows = [[((number, key), "x" * 100) for key in range(20_000)] for number in range(ROUNDS)]

    async def work(number):
        async with db.begin_transaction() as tx:
            await (await tx.new_btree("s")).add(rows[number])
        await db.checkpoint()


async def test_while_a_large_transaction_is_rolled_back(db):
    rows = [(key, "x" * 100) for key in range(20_000)]

    async def work(number):
        tx = db.begin_transaction()
        tx.begin()
        await (await tx.new_btree("s")).add(rows)
        tx.rollback()
        await anyio.sleep(0.05)

    assert await longest_of(work) < BLOCKED_MS_MAX


async def test_while_another_database_is_recovered(db, tmp_path):
    other = tmp_path / "other"

    async with Database(other) as filled, filled.begin_transaction() as tx:
        await (await tx.new_btree("s")).add([(key, "x" * 100) for key in range(50_000)])

    async def work(number):
        async with Database(other) as reopened, reopened.begin_transaction() as tx:
            assert await (await tx.open_btree("s")).count() == 50_000

    assert await longest_of(work) < BLOCKED_MS_MAX


async def test_while_one_large_value_is_written_and_read(db):
    async def work(number):
        async with db.begin_transaction() as tx:
            await (await tx.new_btree("s")).upsert(number, b"x" * 4_000_000)
        async with db.begin_transaction() as tx:
            await (await tx.open_btree("s")).get(number)

    assert await longest_of(work) < BLOCKED_MS_MAX


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

    assert await longest_of(work) < BLOCKED_MS_MAX


async def test_while_values_that_go_to_a_file_are_written(db):
    async def work(number):
        async with db.begin_transaction() as tx:
            store = await tx.new_btree("s", value_type=bytes)
            for key in range(40):
                await store.upsert((number, key), b"x" * 1_000_000)

    assert await longest_of(work) < BLOCKED_MS_MAX
