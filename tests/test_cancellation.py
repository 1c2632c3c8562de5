"""Cancelled before its commit is sealed, a transaction is rolled back; later, its outcome is known.

Whichever way the cancellation comes: ``task.cancel()``, ``asyncio.timeout``, ``wait_for``, an asyncio
task group, an anyio scope, or trio. And at whichever ``await`` it arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading

import anyio
import pytest
import trio

import sopasync
from sopasync import Database, TransactionOutcome
from sopasync._coordinator import Coordinator
from sopasync._limits import SEAL_BYTES
from sopasync._wakeup import Wakeup

ASYNCIO_ONLY = pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ],
)
pytestmark = pytest.mark.anyio


@pytest.fixture
async def db(db):
    async with db.begin_transaction() as tx:
        await tx.new_btree("s")
    return db


class Writer:
    """Writes the key `number` in a transaction of its own and remembers the transaction."""

    def __init__(self, db: Database, number: int) -> None:
        self.db = db
        self.number = number
        self.tx: sopasync.Transaction | None = None
        self.cancelled = False
        self.entered_commit = False

    async def run(self) -> None:
        try:
            async with self.db.begin_transaction() as self.tx:
                store = await self.tx.open_btree("s")
                await store.add(self.number, "written")
                self.entered_commit = True
        except (asyncio.CancelledError, trio.Cancelled):
            self.cancelled = True
            raise


async def by_task_cancel(writer, delay):
    task = asyncio.create_task(writer.run())
    await asyncio.sleep(delay)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled() == writer.cancelled


async def by_asyncio_timeout(writer, delay):
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(delay):
            await writer.run()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def by_wait_for(writer, delay):
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(writer.run(), delay)


async def by_task_group(writer, delay):
    async def fail():
        await asyncio.sleep(delay)
        raise ZeroDivisionError

    with contextlib.suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(writer.run())
            tasks.create_task(fail())


async def by_anyio_scope(writer, delay):
    with anyio.move_on_after(delay):
        await writer.run()


async def by_trio(writer, delay):
    with trio.move_on_after(delay):
        await writer.run()


async def assert_contract(db, writers):
    """What a transaction says about itself is what the database holds."""
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("s")
        present = {key async for key in store.keys()}
    for writer in writers:
        if writer.tx is None:
            continue
        assert writer.tx.outcome in (TransactionOutcome.COMMITTED, TransactionOutcome.ROLLED_BACK, None)
        if writer.tx.outcome is None:  # cancelled before it began
            assert writer.cancelled
        if not writer.cancelled:
            assert writer.tx.outcome is TransactionOutcome.COMMITTED
        assert (writer.number in present) == (writer.tx.outcome is TransactionOutcome.COMMITTED)
    assert db.statistics().transactions_open == 0
    assert db.statistics().commits_waiting == 0


DELAYS = [0, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.05]


@ASYNCIO_ONLY
@pytest.mark.parametrize(
    "cancel", [by_task_cancel, by_asyncio_timeout, by_wait_for, by_task_group, by_anyio_scope]
)
async def test_cancelled_on_asyncio(db, anyio_backend, cancel):
    writers = [Writer(db, number) for number in range(len(DELAYS) * 8)]
    for writer in writers:
        await cancel(writer, DELAYS[writer.number % len(DELAYS)])
    await assert_contract(db, writers)
    assert {writer.cancelled for writer in writers} == {True, False}


@pytest.mark.parametrize("anyio_backend", [pytest.param(("trio", {}), id="trio")])
@pytest.mark.parametrize("cancel", [by_trio, by_anyio_scope])
async def test_cancelled_on_trio(db, anyio_backend, cancel):
    writers = [Writer(db, number) for number in range(len(DELAYS) * 8)]
    for writer in writers:
        await cancel(writer, DELAYS[writer.number % len(DELAYS)])
    await assert_contract(db, writers)
    assert {writer.cancelled for writer in writers} == {True, False}


async def test_a_swarm_cancelled_at_random_moments(db):
    choices = random.Random(7)
    writers = [Writer(db, number) for number in range(200)]

    async def run(writer):
        await anyio.sleep(choices.random() * 0.02)
        with anyio.move_on_after(choices.random() * 0.005):
            await writer.run()

    async with anyio.create_task_group() as tasks:
        for writer in writers:
            tasks.start_soon(run, writer)
    await assert_contract(db, writers)


async def test_a_cancellation_that_was_there_before_the_commit_prevents_it(db):
    writer = Writer(db, 1)
    writer.cancelled = True
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with db.begin_transaction() as writer.tx:
            store = await writer.tx.open_btree("s")
            await store.add(1, "written")  # inline: does not see the cancellation
    assert scope.cancelled_caught
    assert writer.tx.outcome is TransactionOutcome.ROLLED_BACK
    await assert_contract(db, [writer])


@ASYNCIO_ONLY
@pytest.mark.parametrize("size", [1, SEAL_BYTES])
async def test_a_task_that_cancels_itself_does_not_commit(db, anyio_backend, size):
    writer = Writer(db, 1)

    async def run():
        async with db.begin_transaction() as writer.tx:
            await (await writer.tx.open_btree("s")).add(1, "w" * size)
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    task = asyncio.create_task(run())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert writer.tx is not None
    assert writer.tx.outcome is TransactionOutcome.ROLLED_BACK


@ASYNCIO_ONLY
async def test_a_sealed_commit_is_awaited_however_often_it_is_cancelled(db, anyio_backend):
    for round_number in range(20):
        writer = Writer(db, round_number)
        task = asyncio.create_task(writer.run())
        while not writer.entered_commit:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the sealing tick is over
        for _ in range(5):
            task.cancel()
            await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await assert_contract(db, [writer])


@ASYNCIO_ONLY
async def test_native_and_scope_cancellations_together_end_the_task(db, anyio_backend):
    for round_number in range(10):
        writer = Writer(db, round_number)
        scope = anyio.CancelScope()

        async def run(writer=writer, scope=scope):
            with scope:
                await writer.run()
            return "went on"

        task = asyncio.create_task(run())
        while not writer.entered_commit:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        scope.cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            assert await task == "went on"
            assert not writer.cancelled
        await assert_contract(db, [writer])


@ASYNCIO_ONLY
async def test_cancelled_at_every_tick_of_a_life(db_path, anyio_backend):
    """Open, write in batches, scan, retry, commit and close, cancelled at tick 0, 1, 2, ..."""
    outcomes = []

    async def life():
        async with Database(db_path) as db:
            async for attempt in db.attempts():
                async with attempt as tx:
                    store = await tx.new_btree("s")
                    await store.upsert([(number, number) for number in range(600)])
                    async for _ in store.items():
                        pass
                    outcomes.append(tx)
            with pytest.raises(sopasync.DuplicateKeyError):
                async with db.begin_transaction() as tx:
                    await (await tx.open_btree("s")).add([(number, 0) for number in range(-600, 1)])

    ticks = 0
    while True:
        task = asyncio.create_task(life())
        for _ in range(ticks):
            await asyncio.sleep(0)
        if task.done():
            break
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        if not task.cancelled():
            break
        ticks += 1 if ticks < 40 else max(1, ticks // 4)
    await task
    async with Database(db_path) as db, db.begin_transaction() as tx:
        store = await tx.open_btree("s")
        assert await store.count() == 600  # every batch wholly or not at all
    assert ticks > 3


async def test_a_cancelled_open_leaks_nothing(db_path, anyio_backend):
    for delay in (0, 0.0001, 0.001, 0.003, 0.01):
        db = Database(db_path)
        with anyio.move_on_after(delay):
            await db.open()
        if db.state is sopasync.DatabaseState.OPEN:
            await db.aclose()
        else:
            assert db.state is sopasync.DatabaseState.NEW
    async with Database(db_path) as db, db.begin_transaction() as tx:
        await tx.new_btree("s")


class HeldCommit:
    """A transaction whose commit is sealed, and whose outcome comes when the test says so."""

    def __init__(self, size: int = 1) -> None:
        self.size = size

    def pending_bytes(self) -> int:
        return self.size

    def submit(self, completions: object, token: int) -> None:
        pass

    def withdraw(self) -> bool:
        return False


@ASYNCIO_ONLY
async def test_a_task_that_waits_for_a_commit_looks_like_any_other_that_waits(anyio_backend):
    wakeup = Wakeup()
    coordinator = Coordinator(wakeup)
    commit = coordinator.prepare(HeldCommit(), lambda commit: None)  # type: ignore[arg-type]
    assert commit is not None
    commit.is_large = True  # handed over by itself, which here does nothing
    task = asyncio.create_task(coordinator.commit(commit))
    await anyio.wait_all_tasks_blocked()
    assert not task.done()
    asyncio.get_running_loop().call_soon(commit.finish, 0, 1)
    await task
    assert commit.seq == 1
    while wakeup.pending_count:
        await asyncio.sleep(0.001)
        wakeup.forget(1)
    wakeup.close()


@ASYNCIO_ONLY
async def test_commits_that_are_work_enough_do_not_wait_for_the_end_of_the_tick(anyio_backend):
    wakeup = Wakeup()
    coordinator = Coordinator(wakeup)
    commits = [coordinator.prepare(HeldCommit(SEAL_BYTES // 2), lambda commit: None) for _ in range(4)]  # type: ignore[arg-type]
    waiting = []
    for commit in commits:
        assert commit is not None
        commit.is_large = True  # handed over by itself, which here does nothing
        waiting.append(asyncio.create_task(coordinator.commit(commit)))
    await asyncio.sleep(0)
    assert [commit is not None and commit.token for commit in commits] == [1, 2, None, None]
    await asyncio.sleep(0)
    assert [commit is not None and commit.token for commit in commits] == [1, 2, 3, 4]
    for commit in commits:
        assert commit is not None
        asyncio.get_running_loop().call_soon(commit.finish, 0, 1)
    await asyncio.gather(*waiting)
    for token in range(1, 5):
        wakeup.forget(token)
    wakeup.close()


@ASYNCIO_ONLY
@pytest.mark.parametrize(
    "order", ["scope", "native", "scope native", "native scope", "native native", "scope native native"]
)
async def test_a_scope_never_swallows_a_native_cancellation_that_came_with_its_own(anyio_backend, order):
    """Sealed, the commit is awaited; then the native cancellation goes on, whichever of the two came first."""
    wakeup = Wakeup()
    coordinator = Coordinator(wakeup)
    commit = coordinator.prepare(HeldCommit(), lambda commit: None)  # type: ignore[arg-type]
    assert commit is not None
    commit.is_large = True  # handed over by itself, which here does nothing
    scope = anyio.CancelScope()

    raised: list[str] = []

    async def run():
        with scope:
            try:
                await coordinator.commit(commit)
            except asyncio.CancelledError as error:
                raised.append(str(error))
                raise
        return "went on"

    task = asyncio.create_task(run())
    for _ in range(3):
        await asyncio.sleep(0)
    for number, which in enumerate(order.split()):
        if which == "scope":
            scope.cancel()
        else:
            task.cancel(f"native {number}")
        for _ in range(4):
            await asyncio.sleep(0)
    assert not task.done(), "the outcome is awaited"
    asyncio.get_running_loop().call_soon(commit.finish, 0, 1)
    (result,) = await asyncio.gather(task, return_exceptions=True)
    if "native" in order:
        assert isinstance(result, asyncio.CancelledError)
        assert task.cancelled()
        # A native one is raised, or the scope could take it for its own: the first that came to the commit,
        # unless the scope's came before; then the last of those that came while the outcome was awaited.
        expected = {"native": 0, "scope native": 1, "native scope": 0, "native native": 0}.get(order, 2)
        assert raised == [f"native {expected}"]
    else:
        assert result == "went on"
        assert scope.cancelled_caught
    while wakeup.pending_count:
        await asyncio.sleep(0.001)
        wakeup.forget(1)
    wakeup.close()


async def test_a_commit_that_no_thread_can_be_started_for_is_refused_and_the_others_go_on(db, monkeypatch):
    """Given a large commit, which is handed over by a thread of its own, and no more threads."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "sopasync-submit":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    ended: dict[int, sopasync.Transaction] = {}

    async def write(numbers: range) -> None:
        with contextlib.suppress(RuntimeError):
            async with db.begin_transaction() as tx:
                ended[len(numbers)] = tx
                store = await tx.open_btree("s")
                for number in numbers:
                    await store.add(number, "x" * 200)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(write, range(3000))
            group.start_soon(write, range(5000, 5001))
    assert ended[3000].outcome == TransactionOutcome.ROLLED_BACK
    assert ended[1].outcome == TransactionOutcome.COMMITTED
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("s")
        assert [item.key async for item in store.items()] == [5000]
