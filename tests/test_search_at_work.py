"""Search stores under load: many writers, a free event loop, cancellation, processes that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from tests.heartbeat import assert_loop_stays_free

from sopasync import ConflictError, Database, SearchConfig, TransactionMode

pytestmark = pytest.mark.anyio

WORDS = [
    "ant",
    "bee",
    "cat",
    "dog",
    "eel",
    "fox",
    "gnu",
    "hen",
    "ibis",
    "jay",
    "kite",
    "lion",
    "mole",
    "newt",
    "owl",
    "pig",
]


def text(number, length=12):
    return " ".join(WORDS[(number * 7 + place * place) % len(WORDS)] for place in range(length))


async def hits(db, query, **options):
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        return await (await tx.open_search("s")).search(query, **options)


async def test_sixteen_indexers_at_once_never_conflict(db):
    async with db.begin_transaction() as tx:
        await tx.open_search("s", SearchConfig())

    async def index(number):
        for turn in range(10):
            async with db.begin_transaction() as tx:
                store = await tx.open_search("s")
                await store.add_many(((number, turn, n), f"{text(n)} w{number}t{turn}") for n in range(5))

    async with anyio.create_task_group() as tasks:
        for number in range(16):
            tasks.start_soon(index, number)
    assert db.statistics().conflicts_retried == 0
    async with db.begin_transaction() as tx:
        assert await (await tx.open_search("s")).count() == 16 * 10 * 5
    for number in (0, 9, 15):
        assert len(await hits(db, f"w{number}t7")) == 5
    await db.settle("s")
    assert len(await hits(db, "w9t7")) == 5


async def test_who_searched_before_writing_conflicts_with_what_came_meanwhile_unless_told_otherwise(db):
    async with db.begin_transaction() as tx:
        await tx.open_search("s", SearchConfig())
    for isolation, conflicts in (("serializable", True), ("snapshot", False)):
        one = db.begin_transaction(isolation=isolation)
        one.begin()
        store = await one.open_search("s")
        found = len(await store.search("ant"))
        await store.add(f"one {isolation}", "bee")
        async with db.begin_transaction() as other:
            await (await other.open_search("s")).add(f"other {isolation}", "ant")
        if conflicts:
            with pytest.raises(ConflictError):
                await one.commit()
        else:
            await one.commit()
        assert len(await hits(db, "ant")) == found + 1


async def test_one_transaction_covers_text_and_b_tree(db):
    """The bank and the auditor: whoever looks sees as many documents of an account as its balance says."""
    async with db.begin_transaction() as tx:
        accounts = await tx.new_btree("accounts")
        await tx.open_search("s", SearchConfig())
        await accounts.add(list(dict.fromkeys(range(4), 0).items()))
    done = anyio.Event()

    async def deposit(tx, account, number):
        accounts, lines = await tx.open_btree("accounts"), await tx.open_search("s")
        await lines.add((account, number), f"deposit to account{account}")
        if number % 3 == 2:
            assert await lines.delete((account, number - 2))
        balance = await accounts.get(account)
        await accounts.update(account, balance + 1 - (number % 3 == 2))

    async def bank(account):
        for number in range(30):
            await db.run(deposit, account, number)

    async def audit():
        seen = 0
        while not done.is_set() or seen < 5:
            async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
                accounts, lines = await tx.open_btree("accounts"), await tx.open_search("s")
                for account in range(4):
                    found = await lines.search(f"account{account}", limit=100)
                    assert len(found) == await accounts.get(account)
                assert await lines.count() == sum([await accounts.get(account) for account in range(4)])
            seen += 1
            await anyio.sleep(0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(audit)
        async with anyio.create_task_group() as banks:
            for account in range(4):
                banks.start_soon(bank, account)
        await db.settle("s")
        done.set()


async def test_the_loop_stays_free_while_much_is_added_committed_and_searched(db):
    async def work(number):
        async with db.begin_transaction() as tx:
            store = await tx.open_search("s", SearchConfig())
            await store.add_many(((number, n), text(n), {"n": n}) for n in range(20_000))
            await store.add((number, "long"), "word " * 200_000)
            found = await store.search("ant bee cat", limit=200, highlight=True)
            assert len(found) == 200
        await hits(db, "ant OR bee OR cat* OR dog~1", limit=10, filter={"n": {"$lt": 100}})
        await db.settle("s")

    await assert_loop_stays_free(work)


async def test_cancelled_calls_leave_nothing_behind(db):
    async with db.begin_transaction() as tx:
        store = await tx.open_search("s", SearchConfig())
        await store.add("kept", "ant")
        for delay in (0.0, 0.001, 0.01):
            with anyio.move_on_after(delay) as scope:
                await store.add_many((n, text(n)) for n in range(30_000))
            assert scope.cancelled_caught
            assert await store.count() == 1
            assert [hit.doc_id for hit in await store.search("ant bee")] == ["kept"]
        with anyio.move_on_after(0.0005):
            await store.add("kept", "bee " * 300_000)
        assert await store.count() == 1
    assert await hits(db, "cat") == []


KILLED = """
import asyncio, sys
from sopasync import ConflictError, Database, SearchConfig

async def main():
    async with Database(sys.argv[1]) as db:
        async with db.begin_transaction() as tx:
            await tx.open_search("s", SearchConfig())
            await tx.new_btree("log")
        for number in range(10**6):
            async with db.begin_transaction() as tx:
                store, log = await tx.open_search("s"), await tx.open_btree("log")
                await store.add_many(((number, n), f"common n{number} part{n}") for n in range(8))
                if number >= 4:
                    await store.delete_many([(number - 4, n) for n in range(8)])
                await log.add(number, 8)
            print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("seconds", [0.3, 0.9])
async def test_what_was_committed_is_found_after_a_kill(db_path: Path, seconds):
    process = subprocess.Popen([sys.executable, "-c", KILLED, db_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    await anyio.to_thread.run_sync(process.stdout.readline)
    await anyio.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    said = [int(line) for line in process.stdout.read().split()]
    process.wait()
    process.stdout.close()
    async with Database(db_path) as db:
        async with db.begin_transaction() as tx:
            numbers = [number async for number in (await tx.open_btree("log")).keys()]
            store = await tx.open_search("s")
            last = numbers[-1]
            assert not said or last >= said[-1]
            expected = {(number, n) for number in range(max(0, last - 3), last + 1) for n in range(8)}
            assert await store.count() == len(expected)
            assert {hit.doc_id for hit in await store.search("common", limit=1000)} == expected
            assert len(await store.search(f"n{last}")) == 8
            assert last < 4 or await store.search(f"n{last - 4}") == []
        await db.settle("s")
        assert {hit.doc_id for hit in await hits(db, "common", limit=1000)} == expected
        assert (await db.check()).problems == ()
