"""Conflicts are retried by `run` and `attempts`, and nothing else is."""

from __future__ import annotations

import anyio
import pytest

import sopasync
from sopasync._retry import Patience

pytestmark = pytest.mark.anyio


@pytest.fixture
async def counters(db):
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("counters")).add("a", 0)
    return db


async def value(db):
    async with db.begin_transaction() as tx:
        return await (await tx.open_btree("counters")).get("a")


async def disturb(db):
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("counters")
        await store.update("a", await store.get("a") + 100)


async def test_run_runs_again_until_it_does_not_conflict(counters):
    tries = []

    async def increment(tx, by):
        store = await tx.open_btree("counters")
        current = await store.get("a")
        tries.append(tx)
        if len(tries) < 4:
            await disturb(counters)
        await store.update("a", current + by)
        return current

    assert await counters.run(increment, 1) == 300
    assert len(tries) == 4
    assert await value(counters) == 301
    assert counters.statistics().conflicts_retried == 3


async def test_many_tasks_lose_no_increment(counters):
    async def increment(tx):
        store = await tx.open_btree("counters")
        current = await store.get("a")
        await anyio.sleep(0)
        await store.update("a", current + 1)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(lambda: counters.run(increment, attempts=1000))
    assert await value(counters) == 20


async def test_attempts_is_the_same_inline(counters):
    numbers = []
    async for attempt in counters.attempts():
        async with attempt as tx:
            numbers.append(attempt.number)
            store = await tx.open_btree("counters")
            current = await store.get("a")
            if attempt.number < 3:
                await disturb(counters)
            await store.update("a", current + 1)
    assert numbers == [1, 2, 3]
    assert await value(counters) == 201


async def test_the_last_permitted_try_raises_its_conflict(counters):
    tries = []

    async def always(tx):
        tries.append(1)
        store = await tx.open_btree("counters")
        await store.update("a", await store.get("a"))
        await disturb(counters)

    with pytest.raises(sopasync.ConflictError):
        await counters.run(always, attempts=3)
    assert len(tries) == 3
    with pytest.raises(sopasync.ConflictError):
        await counters.run(always, attempts=1_000_000, timeout=0.05)


async def test_other_errors_are_not_retried(counters):
    tries = []

    async def fails(tx):
        tries.append(1)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await counters.run(fails)
    assert len(tries) == 1


async def test_retries_can_be_switched_off(counters):
    async def always(tx):
        tries.append(1)
        store = await tx.open_btree("counters")
        await store.update("a", await store.get("a"))
        await disturb(counters)

    tries = []
    sopasync.set_retrying(False)
    try:
        with pytest.raises(sopasync.ConflictError):
            await counters.run(always)
    finally:
        sopasync.set_retrying(True)
    assert len(tries) == 1


async def test_what_cannot_run_again_is_refused(counters):
    async def generator(tx):
        yield tx

    def plain(tx):
        return 5

    with pytest.raises(sopasync.InvalidArgumentError, match="is a generator, which cannot be run again"):
        await counters.run(generator)
    with pytest.raises(
        sopasync.InvalidArgumentError, match="did not return an awaitable: give an async function"
    ):
        await counters.run(plain)
    with pytest.raises(sopasync.InvalidArgumentError, match="attempts=0"):
        await counters.run(generator.__class__, attempts=0)


async def test_unless_told_otherwise_only_time_ends_the_tries(db):
    tries = []

    async def conflict(tx):
        tries.append(tx)
        raise sopasync.ConflictError("again")

    with pytest.raises(sopasync.ConflictError):
        await db.run(conflict, timeout=0.3)
    assert len(tries) > 10
    tries.clear()
    with pytest.raises(sopasync.ConflictError):
        await db.run(conflict, attempts=3)
    assert len(tries) == 3


def test_pauses_are_random_under_a_bound_that_doubles_and_never_outlast_the_limit():
    patience = Patience(None, 100.0)
    bounds = [min(0.0005 * 2**number, 0.25) for number in range(40)]
    pauses = [patience.pause() for _ in bounds]
    assert all(0 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))
    assert len(set(pauses)) == len(pauses)
    assert max(pauses) > 0.1
    assert Patience(None, 1e-9).pause() == 0.0
