"""Opening, closing and leaving: no hang, no lost commit, no crash, whatever is under way."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from contextlib import AsyncExitStack

import anyio
import pytest

import sopasync
from sopasync import Database, DatabaseState, TransactionMode, TransactionOutcome
from sopasync._core import Engine
from sopasync._wakeup import Wakeup

pytestmark = pytest.mark.anyio


async def keys_of(path):
    async with Database(path) as db, db.begin_transaction(TransactionMode.FOR_READING) as tx:
        return [key async for key in (await tx.open_btree("s")).keys()]


async def test_open_and_close_do_nothing_the_second_time(db_path, anyio_backend):
    db = Database(db_path)
    assert db.state is DatabaseState.NEW
    assert "not open" in repr(db)
    await db.open()
    await db.open()
    assert db.state is DatabaseState.OPEN
    await db.aclose()
    await db.aclose()
    assert db.state is DatabaseState.CLOSED
    await Database(db_path).aclose()


async def test_a_handle_works_in_an_exit_stack_across_tasks(db_path, anyio_backend):
    stack = AsyncExitStack()
    db = await stack.enter_async_context(Database(db_path))

    async def close():
        async with db.begin_transaction() as tx:
            await (await tx.new_btree("s")).add(1, 1)
        await stack.aclose()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close)
    assert await keys_of(db_path) == [1]


async def test_closing_awaits_commits_under_way_and_rolls_back_what_is_open(db_path, anyio_backend):
    db = await Database(db_path).open()
    async with db.begin_transaction() as tx:
        await tx.new_btree("s")
    transactions = []
    requested = 0

    async def write(number):
        nonlocal requested
        async with db.begin_transaction() as tx:
            transactions.append(tx)
            await (await tx.open_btree("s")).add(number, number)
            requested += 1

    left_open = db.begin_transaction()
    left_open.begin()
    store = await left_open.open_btree("s")
    await store.add("open", 1)
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(write, number)
        while requested < 20:
            await anyio.sleep(0)
        tasks.start_soon(db.aclose)
    assert {tx.outcome for tx in transactions} == {TransactionOutcome.COMMITTED}
    assert left_open.outcome is TransactionOutcome.ROLLED_BACK
    with pytest.raises(sopasync.ClosedError, match="rolled back because its database was closed"):
        await store.get(1)
    assert await keys_of(db_path) == list(range(20))


async def test_closing_twice_at_once_closes_once_and_both_wait(db_path, anyio_backend):
    db = await Database(db_path).open()
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add(1, 1)
    states = []

    async def close():
        await db.aclose()
        states.append(db.state)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(close)
    assert states == [DatabaseState.CLOSED] * 3
    assert await keys_of(db_path) == [1]


async def test_a_cancelled_close_still_closes(db_path, anyio_backend):
    db = await Database(db_path).open()
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add(1, 1)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await db.aclose()
    assert db.state is DatabaseState.CLOSED
    assert await keys_of(db_path) == [1]


async def test_leaving_without_closing_warns_and_loses_nothing(db_path, anyio_backend):
    db = await Database(db_path).open()
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add(1, 1)
    del tx
    with pytest.warns(ResourceWarning, match="was not closed: use `async with`"):
        del db
        gc.collect()
    assert await keys_of(db_path) == [1]


@pytest.mark.parametrize("ticks", range(1, 7))
def test_a_close_cancelled_at_any_tick_lets_the_database_go(db_path, ticks):
    async def main():
        db = await Database(db_path).open()
        async with db.begin_transaction() as tx:
            await (await tx.new_btree("s")).upsert(1, 1)
        task = asyncio.create_task(db.aclose())
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0.2)
        return db.state

    assert asyncio.run(main()) is DatabaseState.CLOSED
    assert run_program(COUNT, db_path).stdout == "1\n"


COUNT = """
import asyncio, sys, sopasync
async def main():
    async with sopasync.Database(sys.argv[1]) as db, db.begin_transaction() as tx:
        print(await (await tx.open_btree("s")).count())
asyncio.run(main())
"""


def test_handles_of_several_loops_and_threads_share_one_engine(db_path):
    async def write(number):
        async with Database(db_path) as db:
            for step in range(20):
                async with db.begin_transaction() as tx:
                    await (await tx.new_btree("s")).add((number, step), step)

    threads = [threading.Thread(target=lambda n=n: asyncio.run(write(n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asyncio.run(keys_of(db_path))) == 80


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_handle_whose_loop_is_gone_can_be_dropped_or_closed_in_another(db_path, backend):
    kept = []

    async def leave_open(key):
        db = await Database(db_path).open()
        async with db.begin_transaction() as tx:
            await (await tx.new_btree("s")).add(key, 1)
        kept.append(db)

    async def use():
        kept[0].begin_transaction().begin()

    anyio.run(leave_open, 1, backend=backend)
    with pytest.raises(sopasync.LoopMismatchError):
        asyncio.run(use())
    asyncio.run(kept[0].aclose())
    kept.clear()
    anyio.run(leave_open, 2, backend=backend)
    with pytest.warns(ResourceWarning, match="was not closed"):
        kept.clear()
        gc.collect()
    assert asyncio.run(keys_of(db_path)) == [1, 2]


def run_program(program, *arguments):
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert time.monotonic() - started < 30
    return done


LEAVE = """
import asyncio, sys, sopasync
async def main():
    db = await sopasync.Database(sys.argv[1]).open()
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add(1, 1)
    tx = db.begin_transaction(); tx.begin()
    await (await tx.open_btree("s")).add(2, 2)
    if sys.argv[2] == "keep": globals().update(db=db, tx=tx)
    if sys.argv[2] == "exit": sys.exit(7)
    if sys.argv[2] == "commit under way":
        asyncio.ensure_future(commit(db)); await asyncio.sleep(0)
async def commit(db):
    async with db.begin_transaction() as tx:
        await (await tx.open_btree("s")).add(3, 3)
asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["drop", "keep", "exit", "commit under way"])
def test_an_interpreter_that_exits_with_an_open_database_does_not_hang(db_path, how):
    done = run_program(LEAVE, db_path, how)
    assert done.returncode == (7 if how == "exit" else 0), done.stderr
    assert "Traceback" not in done.stderr
    assert asyncio.run(keys_of(db_path)) in ([1], [1, 3])


FORK = """
import asyncio, os, sys, sopasync
async def main():
    async with sopasync.Database(sys.argv[1]) as db:
        async with db.begin_transaction() as tx:
            await (await tx.new_btree("s")).add(1, 1)
        open_tx = db.begin_transaction(); open_tx.begin()
        store = await open_tx.open_btree("s")
        pid = os.fork()
        if pid == 0:
            found = []
            for call in (lambda: db.begin_transaction().begin(), db.statistics):
                try: call()
                except sopasync.ForkedProcessError as error: found.append(str(error))
            try:
                for _ in range(100): await store.get(1)
            except sopasync.ForkedProcessError: found.append("turns")
            try: await db.aclose()
            except sopasync.ForkedProcessError: found.append("close")
            ok = len(found) == 4 and "opened before fork() and works in the parent only" in found[0]
            sys.stderr.write("" if ok else repr(found)); sys.stderr.flush()
            os._exit(0 if ok else 3)
        _, status = os.waitpid(pid, 0)
        async with db.begin_transaction() as tx:
            await (await tx.open_btree("s")).add(2, 2)
        return os.waitstatus_to_exitcode(status)
sys.exit(asyncio.run(main()))
"""


FORK_AND_EXIT = """
import asyncio, os, sys, sopasync
async def write(key, db=None):
    db = db or await sopasync.Database(sys.argv[1]).open()
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add(key, key)
    return db
kept = asyncio.run(write(1))
pid = os.fork()
if pid == 0:
    sys.exit(0)  # runs exit handlers and destructors with the parent's handle
_, status = os.waitpid(pid, 0)
asyncio.run(write(2))
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("program", [FORK, FORK_AND_EXIT], ids=["used", "left"])
def test_a_forked_child_is_told_and_harms_nothing(db_path, program):
    done = run_program(program, db_path)
    assert done.returncode == 0, done.stderr
    assert asyncio.run(keys_of(db_path)) == [1, 2]


FOLLOW = """
import asyncio, sys, sopasync
async def main():
    async with sopasync.Database(sys.argv[1], read_only=True) as db:
        for _ in range(2):
            async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
                print(await (await tx.open_btree("s")).count(), flush=True)
            try:
                async with db.begin_transaction() as tx: pass
            except sopasync.ReadOnlyError: print("refused", flush=True)
            input()
            await db.refresh()
asyncio.run(main())
"""


async def test_another_process_may_open_read_only_and_follow(db, db_path):
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add(1, 1)
    process = subprocess.Popen(
        [sys.executable, "-c", FOLLOW, str(db_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert await anyio.to_thread.run_sync(process.stdout.readline) == "1\n"
        assert await anyio.to_thread.run_sync(process.stdout.readline) == "refused\n"
        async with db.begin_transaction() as tx:
            await (await tx.open_btree("s")).add(2, 2)
        process.stdin.write("\n")
        process.stdin.flush()
        assert await anyio.to_thread.run_sync(process.stdout.readline) == "2\n"
        process.communicate("\n", timeout=20)
    assert process.returncode == 0


async def test_care_runs_beside_the_work(db, db_path, tmp_path):
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add([(number, "x" * 100) for number in range(5000)])
    await db.checkpoint()
    report = await db.check()
    assert report.problems == ()
    calls = []
    await db.backup(tmp_path / "copy", progress=lambda done, total: calls.append((done, total)))
    assert len(await keys_of(tmp_path / "copy")) == 5000
    assert calls


async def test_a_commit_is_told_its_outcome_when_closing_is_cancelled(db_path, anyio_backend):
    db = await Database(db_path).open()
    async with db.begin_transaction() as tx:
        await tx.new_btree("s")
    tx = db.begin_transaction()
    tx.begin()
    await (await tx.open_btree("s")).add(1, "x" * 1_000_000)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tx.commit)
            while not db.statistics().commits_waiting:
                await anyio.sleep(0)
            with anyio.CancelScope() as scope:
                scope.cancel()
                await db.aclose()
    assert db.state is DatabaseState.CLOSED
    assert tx.outcome is TransactionOutcome.COMMITTED
    assert await keys_of(db_path) == [1]


OPEN_AND_CLOSE = """
import asyncio, sys, sopasync
async def main():
    async with sopasync.Database(sys.argv[1]): print("opened")
asyncio.run(main())
"""


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.2])
def test_a_database_whose_opening_was_cancelled_is_let_go(db_path, delay, monkeypatch):
    class SlowEngine:
        """The engine, opened in a tenth of a second, so that it is known where the cancellation falls."""

        @staticmethod
        def open(path, **options):
            time.sleep(0.1)
            return Engine.open(path, **options)

    monkeypatch.setattr("sopasync._opening.Engine", SlowEngine)

    async def main():
        db = Database(db_path)
        with anyio.move_on_after(delay):
            await db.open()
        if db.state is DatabaseState.OPEN:
            await db.aclose()
        await asyncio.sleep(0.5)

    asyncio.run(main())
    assert run_program(OPEN_AND_CLOSE, db_path).stdout == "opened\n"


@pytest.mark.parametrize("anyio_backend", [pytest.param(("trio", {}), id="trio")])
async def test_a_waiter_that_leads_and_is_cancelled_hands_the_lead_on(anyio_backend):
    wakeup = Wakeup()
    first, second = wakeup.signal(), wakeup.signal()
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            tasks.start_soon(cancel_soon, scope)
            tasks.start_soon(second.wait)
            await first.wait()
        assert scope.cancelled_caught
        await anyio.wait_all_tasks_blocked()
        assert wakeup.has_leader()
        second.set()
    assert not wakeup.has_leader()
    wakeup.close()


async def cancel_soon(scope):
    await anyio.wait_all_tasks_blocked()
    scope.cancel()
