"""How a transaction begins, what it sees, and how it ends."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import anyio
import pytest

import sopasync
from sopasync import Database, TransactionMode, TransactionOutcome, TransactionState

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store_name(db):
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add([(number, number) for number in range(10)])
    return "s"


async def read(db, key, name="s"):
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        return await (await tx.open_btree(name)).get(key)


async def test_a_clean_exit_commits_and_an_error_rolls_back(db, store_name):
    async with db.begin_transaction() as tx:
        await (await tx.open_btree("s")).upsert("a", 1)
    assert tx.state is TransactionState.COMMITTED
    assert tx.outcome is TransactionOutcome.COMMITTED
    assert tx.commit_seq == db.last_seq
    with pytest.raises(ZeroDivisionError):
        async with db.begin_transaction() as tx:
            await (await tx.open_btree("s")).upsert("a", 2)
            raise ZeroDivisionError
    assert tx.outcome is TransactionOutcome.ROLLED_BACK
    assert tx.commit_seq is None
    assert await read(db, "a") == 1


async def test_begin_commit_and_rollback_by_hand(db, store_name):
    tx = db.begin_transaction()
    assert tx.state is TransactionState.NEW
    tx.begin()
    await (await tx.open_btree("s")).upsert("a", 1)
    assert tx.outcome is None
    await tx.commit()
    assert tx.outcome is TransactionOutcome.COMMITTED
    tx.rollback()  # does nothing: it has ended
    assert tx.outcome is TransactionOutcome.COMMITTED
    other = db.begin_transaction()
    other.begin()
    await (await other.open_btree("s")).upsert("a", 2)
    other.rollback()
    assert await read(db, "a") == 1


async def test_rollback_inside_the_block_ends_it_quietly(db, store_name):
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("s")
        await store.upsert("a", 1)
        tx.rollback()
        with pytest.raises(sopasync.TransactionClosedError, match="is rolled back: begin another one"):
            await store.get("a")
    assert tx.outcome is TransactionOutcome.ROLLED_BACK
    assert await read(db, "a") is None


async def test_a_transaction_reads_its_snapshot_and_its_own_writes(db, store_name):
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("s")
        await store.upsert(0, "mine")
        async with db.begin_transaction() as other:
            await (await other.open_btree("s")).upsert(5, "theirs")
        assert await store.get(5) == 5
        assert await store.get(0) == "mine"
        assert [value async for value in store.values(stop=3)] == ["mine", 1, 2]
        tx.rollback()
    assert await read(db, 5) == "theirs"


async def test_several_stores_change_in_one_commit_or_not_at_all(db):
    async with db.begin_transaction() as tx:
        for name in ("accounts", "logs"):
            await tx.new_btree(name)
    with pytest.raises(sopasync.DuplicateKeyError):
        async with db.begin_transaction() as tx:
            accounts, logs = await tx.open_btree("accounts"), await tx.open_btree("logs")
            await accounts.add("ann", 100)
            await logs.add(1, "ann opened")
            await logs.add(1, "again")
    async with db.begin_transaction() as tx:
        assert await (await tx.open_btree("accounts")).count() == 0
        assert await (await tx.open_btree("logs")).count() == 0


async def test_the_second_writer_of_a_key_is_refused_with_store_and_key(db, store_name):
    first, second = db.begin_transaction(), db.begin_transaction()
    for tx in (first, second):
        tx.begin()
        store = await tx.open_btree("s")
        await store.update(3, await store.get(3) + 1)
    await first.commit()
    with pytest.raises(sopasync.ConflictError, match=r"conflict in store 's'.*key 3") as error:
        await second.commit()
    assert error.value.retryable
    assert (error.value.store, error.value.keys) == ("s", (3,))
    assert second.outcome is TransactionOutcome.ROLLED_BACK
    assert await read(db, 3) == 4


async def test_savepoints_undo_their_block(db, store_name):
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("s")
        await store.update(0, "kept")
        with pytest.raises(ZeroDivisionError):
            async with tx.savepoint():
                await store.update(0, "undone")
                await store.add("new", 1)
                await tx.new_btree("other")
                raise ZeroDivisionError
        assert await store.get(0) == "kept"
        async with tx.savepoint() as outer:
            await store.update(1, "undone by hand")
            async with tx.savepoint():
                await store.update(2, "inner")
            outer.rollback()
            await store.update(3, "after the rollback")
        with pytest.raises(sopasync.TransactionStateError, match="inside its `async with` block only"):
            outer.rollback()
    async with db.begin_transaction() as tx:
        assert await (await tx.open_btree("s")).get_many([0, 1, 2, 3, "new"]) == [
            "kept",
            1,
            2,
            "after the rollback",
            None,
        ]
        assert [store.name for store in await tx.stores()] == ["s"]


async def test_the_time_limit_rolls_back(db, store_name):
    async with db.begin_transaction() as kept:
        with pytest.raises(sopasync.TransactionExpiredError, match="time limit of 0.05 s ran out"):
            async with db.begin_transaction(max_time=0.05) as tx:
                store = await tx.open_btree("s")
                await store.upsert("a", 1)
                await anyio.sleep(0.1)
        assert tx.outcome is TransactionOutcome.ROLLED_BACK
        assert kept.outcome is None
    assert await read(db, "a") is None
    with pytest.raises(TimeoutError):
        await store.get("a")


async def test_an_expired_transaction_does_not_stay_open(db, store_name):
    tx = db.begin_transaction(max_time=timedelta(milliseconds=1))
    tx.begin()
    await anyio.sleep(1.1)
    assert await read(db, 1) == 1  # any begin looks after them
    assert tx.outcome is TransactionOutcome.ROLLED_BACK
    assert db.statistics().transactions_open == 0


async def test_turns_of_one_transaction_run_in_order_whoever_sends_them(db, store_name):
    order = []

    async def send(store, number):
        await store.append("log", f"{number} ")
        order.append(number)

    async with db.begin_transaction() as tx:
        store = await tx.open_btree("s")
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(send, store, number)
        written = order.copy()
    assert [int(number) for number in (await read(db, "log")).split()] == written


async def test_snapshot_isolation_can_be_asked_for(db, store_name):
    async with db.begin_transaction(isolation="snapshot") as tx:
        assert tx.isolation == "snapshot"
        store = await tx.open_btree("s")
        await store.upsert("copy", await store.get(1))
        async with db.begin_transaction() as other:
            await (await other.open_btree("s")).update(1, "changed")
    assert await read(db, "copy") == 1  # read skew is what was asked for


async def test_no_check_writes_over_everything(db, store_name):
    async with db.begin_transaction(TransactionMode.NO_CHECK) as tx:
        store = await tx.open_btree("s")
        await store.update(1, "mine")
        async with db.begin_transaction() as other:
            await (await other.open_btree("s")).update(1, "theirs")
    assert await read(db, 1) == "mine"


async def test_two_handles_in_one_loop_share_one_engine(db, db_path, store_name):
    async with Database(db_path) as other:
        async with other.begin_transaction() as tx:
            await (await tx.open_btree("s")).upsert("from", "other")
        assert await read(db, "from") == "other"
    assert await read(db, "from") == "other"


async def test_a_large_part_is_undone_before_anything_else_happens(db):
    """More than is undone at once: an engine thread does it, and what follows queues behind."""
    rows = [(key, "new") for key in range(20_000)]
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("s")
        await store.add(1, "old")
        async with tx.savepoint() as savepoint:
            await store.upsert(rows)
            savepoint.rollback()
            savepoint.rollback()
            assert await store.count() == 1
            await store.upsert(2, "kept")
            async with tx.savepoint() as inner:
                await store.upsert(rows)
                inner.rollback()
        found = []
        async with anyio.create_task_group() as tasks:
            with contextlib.suppress(sopasync.DuplicateKeyError):
                await store.add([(key + 10, "new") for key in range(20_000)] + [(1, "again")])
            for key in (1, 2, 15):

                async def look(key=key):
                    found.append((key, await store.get(key)))

                tasks.start_soon(look)
        assert sorted(found, key=str) == [(1, "old"), (15, None), (2, "kept")]
    async with db.begin_transaction() as tx:
        assert [tuple(item) for item in await (await tx.open_btree("s")).get_items()] == [
            (1, "old"),
            (2, "kept"),
        ]


async def test_a_transaction_may_end_while_a_large_part_is_being_undone(db):
    rows = [(key, "new") for key in range(20_000)]
    for end in ("rollback", "commit"):
        tx = db.begin_transaction()
        tx.begin()
        store = await tx.new_btree("s")
        await store.upsert(-1, end)
        with contextlib.suppress(ZeroDivisionError):
            async with tx.savepoint():
                await store.upsert(rows)
                raise ZeroDivisionError
        if end == "rollback":
            tx.rollback()
        else:
            await tx.commit()
    async with db.begin_transaction() as tx:
        assert [tuple(item) for item in await (await tx.open_btree("s")).get_items()] == [(-1, "commit")]


async def test_a_full_mailbox_pushes_back_and_keeps_the_order(db):
    sent, done = [], []
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("s")

        async def send(number, scope):
            with scope:
                sent.append(number)
                await store.upsert(number, number)
                done.append(number)

        # The turn held here is like one that waits for the disk.
        async with anyio.create_task_group() as tasks, tx._turns.turn():
            scopes = [anyio.CancelScope() for _ in range(1000)]
            for number, scope in enumerate(scopes):
                tasks.start_soon(send, number, scope)
            while len(sent) < 1000:
                await anyio.sleep(0)
            # Two that wait in the mailbox and two that wait in front of it are cancelled.
            cancelled = [sent[3], sent[200], sent[256], sent[999]]
            for number in cancelled:
                scopes[number].cancel()
            await anyio.sleep(0.01)
            assert done == []
        assert done == [number for number in sent if number not in cancelled]
        assert await store.count() == 996
    statistics = db.statistics().stores[0]
    assert statistics.mailbox_high_water == 256
    assert statistics.turns_pushed_back == 1000 - 256
    assert statistics.turns_queued == 1000
