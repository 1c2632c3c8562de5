"""`Database.checkpoint`: written by the engine's own thread, and told to whoever waits, however many they are."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import anyio
import anyio.to_thread
import pytest

import sopasync
import sopasync.sync
from sopasync import Database, DatabaseState

pytestmark = pytest.mark.anyio


async def write(db, key=1):
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("s") if key > 1 else await tx.new_btree("s")
        await store.add(key, "x" * 100)


async def test_it_holds_what_was_committed_before(db):
    await write(db)
    seq = db.last_seq
    await db.checkpoint()
    engine = db.statistics().engine
    assert (engine["checkpoints"], engine["checkpoint_seq"]) == (1, seq)
    assert db.statistics().commits_waiting == 0
    await db.checkpoint()
    assert db.statistics().engine["checkpoints"] == 1, "there was nothing to write"


async def test_it_starts_no_thread(db, monkeypatch):
    async def refuse(*args, **keywords):
        raise AssertionError("a worker thread is started")

    await write(db)
    monkeypatch.setattr(anyio.to_thread, "run_sync", refuse)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    await db.checkpoint()


async def test_several_at_once_are_all_told(db):
    await write(db)
    told = []

    async def ask(number):
        await db.checkpoint()
        told.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(ask, number)
    assert sorted(told) == list(range(20))
    assert db.statistics().engine["checkpoints"] == 1


@pytest.fixture
def anyio_backend_name_of_threads():
    return ["asyncio", "trio"]


async def test_handles_in_several_loops_and_threads_ask_at_once(db, db_path, anyio_backend_name_of_threads):
    await write(db)

    async def beside():
        async with Database(db_path) as other:
            for _ in range(10):
                await other.checkpoint()

    def blocking():
        with sopasync.sync.Database(db_path) as other:
            for _ in range(10):
                other.checkpoint()

    async with anyio.create_task_group() as tasks:
        for backend in anyio_backend_name_of_threads:
            tasks.start_soon(
                anyio.to_thread.run_sync, lambda backend=backend: anyio.run(beside, backend=backend)
            )
        tasks.start_soon(anyio.to_thread.run_sync, blocking)
        for key in range(2, 20):
            await write(db, key)
            await db.checkpoint()
    assert db.statistics().engine["checkpoint_seq"] == db.last_seq


async def test_a_cancelled_wait_leaves_it_running(db):
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add([(key, "x" * 100) for key in range(20_000)])
    with anyio.CancelScope() as scope:
        scope.cancel()
        await db.checkpoint()
    assert scope.cancelled_caught
    with anyio.fail_after(20):
        while db.statistics().engine["checkpoint_seq"] < db.last_seq:
            await anyio.sleep(0.001)
    assert db.statistics().commits_waiting == 0
    await db.checkpoint()


async def test_closing_waits_for_it(db_path, anyio_backend):
    db = await Database(db_path).open()
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add([(key, "x" * 100) for key in range(20_000)])
    ended = []

    async def ask():
        await db.checkpoint()
        ended.append("checkpoint")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        while not db.statistics().commits_waiting:
            await anyio.sleep(0)
        await db.aclose()
        ended.append("close")
    assert sorted(ended) == ["checkpoint", "close"]


async def test_a_handle_that_may_not_ask_is_told(db, db_path):
    async with Database(db_path) as other:
        pass
    assert other.state is DatabaseState.CLOSED
    with pytest.raises(sopasync.ClosedError):
        await other.checkpoint()

    def elsewhere():
        with pytest.raises(sopasync.LoopMismatchError):
            asyncio.run(db.checkpoint())

    await anyio.to_thread.run_sync(elsewhere)


@pytest.mark.parametrize("way", ["scope", "task"])
async def test_when_closing_is_cancelled_whoever_waits_is_told(db_path, anyio_backend, way):
    if way == "task" and anyio_backend[0] != "asyncio":
        pytest.skip("a task of its own is cancelled on asyncio alone")
    db = await Database(db_path).open()
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add([(key, "x" * 100) for key in range(100_000)])
    told = []

    async def ask():
        try:
            await db.checkpoint()
            told.append(True)
        except sopasync.ClosedError:
            told.append(False)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            while not db.statistics().commits_waiting:
                await anyio.sleep(0)
            if way == "scope":
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await db.aclose()
            else:
                closing = asyncio.create_task(db.aclose())
                await asyncio.sleep(0)
                closing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await closing
    assert len(told) == 1
