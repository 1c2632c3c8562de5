"""Indexes added to stores that are there: built in the background beside writers and after kills, failed, dropped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

import sopasync
from sopasync import BtreeOptions, InvalidArgumentError, SecondaryIndex

pytestmark = pytest.mark.anyio

BY_CITY = SecondaryIndex("by_city", ["address.city"])
BY_EMAIL = SecondaryIndex("by_email", ["email"], unique=True)
PEOPLE = BtreeOptions(indexes=[BY_CITY, BY_EMAIL])


def person(email: str, city: str | None = None) -> dict[str, Any]:
    return {"email": email, "address": {} if city is None else {"city": city}}


async def people(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("people", PEOPLE)
        await store.add([("ann", person("a@x", "Oslo")), ("bob", person("b@x", "Bergen"))])


async def plain(db: sopasync.Database, count: int = 3000) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("plain")
        await store.add([(key, {"v": key % 7, "w": key}) for key in range(count)])


async def test_an_added_index_is_built_and_then_used(db: sopasync.Database) -> None:
    await plain(db)
    async with db.begin_transaction() as tx:
        await tx.create_index("plain", SecondaryIndex("by_v", ["v"]))
        store = await tx.open_btree("plain")
        assert (await store.index("by_v").state()).stage == "building"
        with pytest.raises(sopasync.IndexNotReadyError, match="is being built"):
            await store.index("by_v").count()
        await store.add(9001, {"v": 3})
    await db.settle("plain")
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("plain")
        assert (await store.index("by_v").state()).stage == "ready"
        assert await store.index("by_v").count() == 3001
        wanted = [key for key in range(3000) if key % 7 == 3]
        assert [key async for key in store.index("by_v").keys(equals=3)] == [*wanted, 9001]
        await tx.create_index("plain", SecondaryIndex("by_v", ["v"]))  # there already: nothing happens
        with pytest.raises(InvalidArgumentError, match="has an index 'by_v' already, with other fields"):
            await tx.create_index("plain", SecondaryIndex("by_v", ["w"]))
    assert not (await db.check()).problems


async def test_an_index_is_built_while_others_write(db: sopasync.Database) -> None:
    await plain(db)
    async with db.begin_transaction() as tx:
        await tx.create_index("plain", SecondaryIndex("by_v", ["v"]))

    async def write(first: int) -> None:
        for step in range(60):
            async for attempt in db.attempts():
                async with attempt as tx:
                    store = await tx.open_btree("plain")
                    key = (first + step * 37) % 3000
                    await store.upsert(key, {"v": 100 + step, "w": key})
                    await store.discard((key + 1) % 3000)

    async with anyio.create_task_group() as tasks:
        for first in range(0, 3000, 1000):
            tasks.start_soon(write, first)
    await db.settle("plain")
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("plain")
        wanted = sorted([(item.value["v"], item.key) async for item in store.items()])
        assert [(fields["v"], key) async for fields, key in store.index("by_v").entries()] == wanted
    assert not (await db.check()).problems


async def test_who_wrote_without_knowing_a_new_index_conflicts(db: sopasync.Database) -> None:
    await plain(db, 3)
    for mode in (sopasync.TransactionMode.FOR_WRITING, sopasync.TransactionMode.NO_CHECK):
        with pytest.raises(sopasync.ConflictError, match="an index of the store was made or dropped"):
            async with db.begin_transaction(mode) as tx:
                await (await tx.open_btree("plain")).upsert(1, {"v": 50})
                async with db.begin_transaction() as other:
                    await other.create_index("plain", SecondaryIndex(f"by_v_{mode.name}", ["v"]))
    await db.settle("plain")
    assert not (await db.check()).problems


async def test_a_violation_found_while_building_is_told_with_its_keys(db: sopasync.Database) -> None:
    await plain(db, 20)
    async with db.begin_transaction() as tx:
        await tx.create_index("plain", SecondaryIndex("by_v", ["v"], unique=True))
    await db.settle("plain")
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("plain")
        state = await store.index("by_v").state()
        assert (state.stage, state.key) == ("failed", 7)
        with pytest.raises(sopasync.IndexNotReadyError, match="cannot be built: key 7"):
            await store.index("by_v").count()
        await store.update(7, {"v": 1000})
        await tx.drop_index("plain", "by_v")
        assert store.indexes() == []
    assert not (await db.check()).problems


async def test_dropping(db: sopasync.Database) -> None:
    await people(db)
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("people")
        await tx.drop_index("people", "by_email")
        await store.add("eve", person("a@x"))
        with pytest.raises(sopasync.IndexNotFoundError, match="has no index 'by_email': it has by_city"):
            store.index("by_email")
        with pytest.raises(sopasync.IndexNotFoundError):
            await tx.drop_index("people", "by_email")
    await db.remove_btree("people")
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("people")
        assert store.indexes() == []
        assert [found.name for found in await tx.stores()] == ["people"]


async def test_opening_with_other_indexes_is_refused(db: sopasync.Database) -> None:
    await people(db)
    async with db.begin_transaction() as tx:
        await tx.new_btree("people", PEOPLE)
        await tx.new_btree("people")
        with pytest.raises(
            sopasync.StoreExistsError, match="index 'by_age' was asked for, and it has no such"
        ):
            await tx.new_btree("people", BtreeOptions(indexes=[SecondaryIndex("by_age", ["age"])]))
        with pytest.raises(sopasync.StoreExistsError, match="that is unique, by email"):
            await tx.new_btree("people", BtreeOptions(indexes=[SecondaryIndex("by_email", ["email"])]))


async def test_tasks_that_make_one_indexed_store_share_it(db: sopasync.Database) -> None:
    async def add(number: int) -> None:
        async for attempt in db.attempts():
            async with attempt as tx:
                store = await tx.new_btree("people", PEOPLE)
                await store.add(f"p{number}", person(f"{number}@x", "Oslo"))

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(add, number)
    async with db.begin_transaction() as tx:
        assert await (await tx.open_btree("people")).index("by_city").count() == 20
    assert not (await db.check()).problems


BUILDER = """
import asyncio, sys, sopasync
async def main(path):
    async with sopasync.Database(path) as db:
        async with db.begin_transaction() as tx:
            store = await tx.open_btree("plain")
            if not store.indexes():
                await tx.create_index("plain", sopasync.SecondaryIndex("by_v", ["v"]))
        print("go", flush=True)
        await asyncio.sleep(60)
asyncio.run(main(sys.argv[1]))
"""


async def test_building_goes_on_after_being_killed(db_path: Path) -> None:
    async with sopasync.Database(db_path) as db:
        await plain(db, 60_000)
    seen: list[int] = []
    for tries in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", BUILDER, str(db_path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "go\n"
            await anyio.sleep(0.02 * tries)
            child.kill()
        async with (
            sopasync.Database(db_path, read_only=True) as db,
            db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx,
        ):
            state = await (await tx.open_btree("plain")).index("by_v").state()
            seen.append(60_000 if state.stage == "ready" else state.done)
    assert seen == sorted(seen), "what was done once was lost"
    async with sopasync.Database(db_path) as db:
        await db.settle("plain")
        async with db.begin_transaction() as tx:
            assert await (await tx.open_btree("plain")).index("by_v").count() == 60_000
        assert not (await db.check()).problems
