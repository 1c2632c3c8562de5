"""Changing how a search store makes terms: the old index answers until the new one is complete, whatever happens meanwhile."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sopasync import Database, SearchConfig, StoreExistsError, TextAnalyzer, TransactionMode

pytestmark = pytest.mark.anyio

PLAIN = SearchConfig()
ENGLISH = SearchConfig(language="english")


async def fill(db, config, count=50):
    async with db.begin_transaction() as tx:
        store = await tx.open_search("s", config)
        await store.add_many((number, f"foxes running in field {number}") for number in range(count))


async def change(db, config):
    async with db.begin_transaction() as tx:
        await tx.open_search("s", config)


async def found(db, query):
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        return {hit.doc_id for hit in await (await tx.open_search("s")).search(query, limit=100_000)}


async def reindexing(db):
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        return (await (await tx.open_search("s")).statistics()).reindexing


async def test_another_language_finds_other_words_when_the_index_is_complete(db):
    await fill(db, PLAIN)
    assert await found(db, "fox") == set()
    await change(db, ENGLISH)
    # Whenever it is asked: everything by the old rules, or everything by the new ones.
    while await reindexing(db):
        assert len(await found(db, "fox OR running")) == 50
    await db.settle("s")
    assert len(await found(db, "fox")) == 50
    assert len(await found(db, "runs")) == 50
    async with db.begin_transaction() as tx:
        store = await tx.open_search("s", ENGLISH)
        assert store.terms("the foxes") == ["fox"]
        assert (await store.search("field AND 7", highlight=True))[0].highlights
    await change(db, PLAIN)
    await db.settle("s")
    assert await found(db, "fox") == set()
    assert len(await found(db, "foxes")) == 50


async def test_documents_that_come_and_go_meanwhile_are_in_the_new_index_as_they_are(db):
    await fill(db, PLAIN, 9000)
    await change(db, ENGLISH)

    async def replace(tx, number):
        store = await tx.open_search("s")
        await store.add(number, f"birds flying {number}")
        await store.delete(number + 1)
        await store.add(f"new {number}", "birds again")

    replaced = range(0, 600, 2)
    for number in replaced:
        await db.run(replace, number)
    await db.settle("s")
    assert not await reindexing(db)
    gone = {n for number in replaced for n in (number, number + 1)}
    assert await found(db, "fox") == set(range(9000)) - gone
    assert await found(db, "bird") == await found(db, "birds")
    assert await found(db, "birds") == set(replaced) | {f"new {number}" for number in replaced}
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        assert await (await tx.open_search("s")).count() == 9000


async def test_a_transaction_that_began_before_goes_on_by_its_own_rules(db):
    await fill(db, PLAIN)
    async with db.begin_transaction(TransactionMode.FOR_READING) as old:
        store = await old.open_search("s")
        await change(db, ENGLISH)
        await db.settle("s")
        assert len(await store.search("foxes", limit=100)) == 50
        assert await store.search("fox") == []
        assert store.terms("foxes") == ["foxes"]
    assert len(await found(db, "fox")) == 50


async def test_weights_change_at_once_and_fields_never(db):
    config = SearchConfig(fields={"title": 1.0, "body": 1.0})
    async with db.begin_transaction() as tx:
        store = await tx.open_search("s", config)
        await store.add("a", {"title": "fox", "body": "hen"})
        await store.add("b", {"title": "hen", "body": "fox"})
    for title, best in ((9.0, "a"), (0.1, "b")):
        await change(db, SearchConfig(fields={"title": title, "body": 1.0}))
        async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
            hits = await (await tx.open_search("s")).search("fox")
            assert hits[0].doc_id == best
    assert not await reindexing(db)
    for other in (SearchConfig(fields=["title"]), SearchConfig(fields=["title", "body"], stored=False)):
        with pytest.raises(StoreExistsError):
            await change(db, other)


async def test_without_texts_the_rules_stay(db):
    await fill(db, SearchConfig(stored=False))
    with pytest.raises(StoreExistsError, match="language"):
        await change(db, SearchConfig(language="english", stored=False))
    await change(db, SearchConfig(stored=False, k1=2.0))


CHILD = """
import asyncio, sys
import sopasync

async def main(folder, kind):
    async with sopasync.Database(folder) as db:
        async def change(tx):
            analyzer = sopasync.TextAnalyzer(language=kind) if kind != "none" else None
            await tx.open_search("s", sopasync.SearchConfig(analyzer=analyzer))
        await db.run(change)
        print("changed", flush=True)
        number = 0
        while True:
            async def write(tx):
                await (await tx.open_search("s")).add(number % 3000, f"foxes running zebra {number}")
            await db.run(write)
            print(number, flush=True)
            number += 1

asyncio.run(main(*sys.argv[1:]))
"""


async def test_killed_at_any_moment_it_goes_on_and_nothing_is_lost(tmp_path: Path):
    folder = tmp_path / "database"
    async with Database(folder) as db:
        await fill(db, PLAIN, 20_000)
        await db.settle("s")
    chance = random.Random(7)
    written = -1
    for turn in range(8):
        kind = ["english", "none"][turn % 2]
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder), kind], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "changed\n"
        time.sleep(chance.uniform(0.0, 0.3))
        os.kill(child.pid, signal.SIGKILL)
        rest, _ = child.communicate()
        written = max([written, *(int(line) for line in rest.split())])
        async with Database(folder) as db:
            assert len(await found(db, "fox OR foxes")) == 20_000
            assert set(range(min(written, 2999) + 1)) <= await found(db, "zebra")
    async with Database(folder) as db:
        await change(db, SearchConfig(analyzer=TextAnalyzer(language="english")))
        await db.settle("s")
        assert len(await found(db, "fox")) == 20_000
        assert (await db.check()).problems == ()
