"""The change feed: every committed change in order, from the past, from a snapshot, in other processes' eyes too."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import anyio
import pytest

import sopasync
from sopasync import Database, DatabaseOptions, TransactionMode, Watch

pytestmark = pytest.mark.anyio


@dataclasses.dataclass
class User:
    name: str
    age: int


async def put(db: Database, store: str, key: Any, value: Any) -> int:
    async with db.begin_transaction() as tx:
        await (await tx.new_btree(store)).upsert(key, value)
    assert tx.commit_seq is not None
    return tx.commit_seq


async def take(watch: Watch, count: int) -> list[Any]:
    found = []
    with anyio.fail_after(10):
        async for change in watch:
            found.append(change)
            if len(found) == count:
                break
    return found


async def test_changes_come_in_order_as_they_are_committed(db: Database) -> None:
    watch = db.watch()
    await put(db, "users", 1, "Ann")
    async with db.begin_transaction() as tx:
        users = await tx.open_btree("users")
        await users.remove(1)
        await users.add((2, "x"), None)
        await users.increment("visits", 5)
        await users.append("log", "text")
        await users.maximum("high", 9)
    changes = await take(watch, 7)
    assert [(change.kind, change.key, change.value) for change in changes[:3]] == [
        ("created", None, None),
        ("put", 1, "Ann"),
        ("delete", 1, None),
    ]
    assert {(change.kind, change.key, change.value) for change in changes[3:]} == {
        ("put", (2, "x"), None),
        ("increment", "visits", 5),
        ("append", "log", "text"),
        ("maximum", "high", 9),
    }
    assert [change.seq for change in changes] == [1, 1, 2, 2, 2, 2, 2]
    assert watch.seq == 2 == db.last_seq


async def test_a_watcher_waits_for_the_next_commit_and_others_go_on(db: Database) -> None:
    seen: list[int] = []

    async def read(watch: Watch) -> None:
        async for change in watch:
            if change.kind == "put":
                seen.append(change.key)
            if len(seen) == 50:
                return

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, db.watch(["numbers"]))
            for number in range(50):
                await put(db, "numbers", number, number)
                await put(db, "others", number, number)
    assert seen == list(range(50))


async def test_only_the_stores_asked_for_and_as_the_types_asked_for(db: Database) -> None:
    watch = db.watch({"users": User})
    await put(db, "others", 1, 1)
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("users", value_type=User)).add("a", User("Ann", 3))
        await (await tx.new_btree("others")).add(2, 2)
    changes = await take(watch, 2)
    assert [(change.store, change.kind, change.value) for change in changes] == [
        ("users", "created", None),
        ("users", "put", User("Ann", 3)),
    ]


async def test_a_value_that_cannot_be_read_is_told_in_its_turn_and_what_comes_before_it_comes(
    db: Database,
) -> None:
    watch = db.watch({"names": str})
    await put(db, "names", 1, "Ann")
    assert [change.value for change in await take(watch, 2)] == [None, "Ann"]
    await put(db, "names", 2, "Bea")
    await put(db, "names", 3, 33)
    await put(db, "names", 4, "Cid")
    assert [change.value for change in await take(watch, 1)] == ["Bea"]
    assert watch.seq == 2
    with pytest.raises(sopasync.CodecError, match="does not read as str"):
        await take(watch, 1)
    assert [change.value for change in await take(watch, 1)] == ["Cid"]


async def test_commits_come_whole(db: Database) -> None:
    watch = db.watch(["a", "b"])
    async with db.begin_transaction() as tx:
        for name in ("a", "b", "c"):
            store = await tx.new_btree(name)
            await store.add([(key, key) for key in range(3)])
    await put(db, "c", 9, 9)
    await put(db, "b", 9, 9)
    commits = []
    with anyio.fail_after(10):
        async for commit in watch.commits():
            commits.append(commit)
            if len(commits) == 2:
                break
    assert [commit.seq for commit in commits] == [1, 3]
    assert [len(commit.changes) for commit in commits] == [8, 1]
    assert watch.seq == 3


async def test_a_snapshot_comes_first_and_nothing_is_missed_or_doubled(db: Database) -> None:
    for number in range(600):
        await put(db, "numbers", number % 300, number)
    state: dict[int, int] = {}

    async def write() -> None:
        for number in range(100):
            await put(db, "numbers", number, -number)
        await put(db, "numbers", "end", 0)

    watch = db.watch(["numbers", "not there"], snapshot=True)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks, watch:
            tasks.start_soon(write)
            async for change in watch:
                if change.key == "end":
                    break
                assert change.kind in ("snapshot", "put")
                if change.kind == "snapshot":
                    assert change.key not in state
                state[change.key] = change.value
    assert state == {number: -number if number < 100 else number + 300 for number in range(300)}


async def test_a_watch_goes_on_after_opening_again_within_what_is_kept(tmp_path: Path) -> None:
    options = DatabaseOptions(stores_folders=[tmp_path / "db"], changes_kept_bytes=64 << 20)
    seen: list[int] = []
    seq = 0
    source = random.Random(1)
    count = 0
    for _ in range(4):
        async with Database(options) as db:
            for _ in range(source.randrange(10, 40)):
                await put(db, "numbers", count, count)
                count += 1
                if source.random() < 0.1:
                    await db.checkpoint()
            watch = db.watch(["numbers"], since=seq)
            goal = count if source.random() < 0.5 else count - 5
            with anyio.fail_after(20):
                async for change in watch:
                    if change.kind == "put":
                        seen.append(change.key)
                        if len(seen) == goal:
                            break
            seq = watch.seq
    assert seen == list(range(goal))


async def test_changes_that_are_not_kept_are_an_error_that_says_what_to_do(db: Database) -> None:
    for number in range(50):
        await put(db, "numbers", number, bytes(40_000))
    slow = db.watch(since=0)
    for _ in range(4):
        await put(db, "numbers", 0, bytes(40_000))
        await db.checkpoint()
        await put(db, "numbers", 0, bytes(3_000_000))
        for number in range(80):
            await put(db, "numbers", number, bytes(40_000))
    await db.checkpoint()
    with pytest.raises(sopasync.ChangesLostError, match="snapshot=True") as caught:
        await take(slow, 10_000)
    assert caught.value.seq is not None
    with pytest.raises(sopasync.InvalidArgumentError, match="newest"):
        await take(db.watch(since=10_000), 1)


async def test_closing_the_database_ends_the_watch(db: Database) -> None:
    await put(db, "numbers", 1, 1)
    ended = []

    async def read(watch: Watch) -> None:
        async for _ in watch:
            pass
        ended.append(True)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, db.watch())
            tasks.start_soon(read, db.watch(since=0))
            await anyio.sleep(0.1)
            await db.aclose()
    assert ended == [True, True]


async def test_a_cancelled_wait_loses_nothing(db: Database) -> None:
    watch = db.watch()
    changes: list[Any] = []
    for number in range(20):
        with anyio.move_on_after(0.001 * (number % 4)):
            while True:
                changes.append(await anext(watch))
        await put(db, "numbers", number, number)
    changes += await take(watch, 21 - len(changes))
    assert [change.key for change in changes] == [None, *range(20)]


async def test_a_read_only_handle_follows(db: Database, db_path: Path) -> None:
    await put(db, "numbers", 0, 0)
    async with Database(db_path, read_only=True) as follower:
        watch = follower.watch(["numbers"])
        for number in range(1, 5):
            await put(db, "numbers", number, number)
        assert [change.key for change in await take(watch, 4)] == [1, 2, 3, 4]


async def test_other_kinds_of_stores_say_that_they_changed(db: Database) -> None:
    watch = db.watch()
    async with db.begin_transaction() as tx:
        blobs = await tx.open_blob_store("files")
        await blobs.write("a", bytes(100_000))
        await (await tx.open_model_store("models")).save("c", "n", {"a": 1})
    changes = await take(watch, 4)
    assert {(change.store, change.kind) for change in changes} == {
        ("files", "created"),
        ("files", "changed"),
        ("models", "created"),
        ("models", "changed"),
    }


async def test_large_values_come_and_lost_ones_say_so(db: Database) -> None:
    watch = db.watch(["large"])
    value = random.Random(1).randbytes(200_000)
    await put(db, "large", 1, value)
    first = (await take(watch, 2))[1]
    assert first.value == value
    assert not first.value_lost


async def test_bad_input_is_refused(db: Database) -> None:
    with pytest.raises(sopasync.InvalidArgumentError, match="not a list"):
        db.watch("users")
    with pytest.raises(sopasync.InvalidArgumentError, match="give stores="):
        db.watch(snapshot=True)
    with pytest.raises(sopasync.InvalidArgumentError, match="not both"):
        db.watch(["users"], since=1, snapshot=True)
    with pytest.raises(sopasync.InvalidArgumentError, match="below zero"):
        DatabaseOptions(stores_folders=["x"], changes_kept_bytes=-1)
    await db.aclose()
    with pytest.raises(sopasync.ClosedError):
        db.watch()


async def test_watching_does_not_keep_transactions_open(db: Database) -> None:
    await put(db, "numbers", 1, 1)
    watch = db.watch(["numbers"], snapshot=True)
    assert (await take(watch, 1))[0].kind == "snapshot"
    await watch.aclose()
    assert db.statistics().transactions_open == 0
    with pytest.raises(StopAsyncIteration):
        await anext(watch)
    async with db.begin_transaction(TransactionMode.FOR_READING):
        pass
