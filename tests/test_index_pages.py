"""Pages of an index by their numbers, against slices of a sorted list."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import sopasync
from sopasync import BtreeOptions, IndexFieldSpecification, PagingDirection, PagingInfo, SecondaryIndex
from sopasync.sync import Database

pytestmark = pytest.mark.anyio

BY_GROUP = SecondaryIndex("by_group", ["group", IndexFieldSpecification("rank", ascending_sort_order=False)])
BY_NAME = SecondaryIndex("by_name", ["name"], unique=True)
ITEMS = {
    number: {"group": number * 7 % 11, "rank": number % 5, "name": f"name{number * 13 % 900:04}"}
    for number in range(900)
}


async def compare(store: Any, items: dict[int, Any], chance: random.Random) -> None:
    for _ in range(40):
        start, stop = sorted(chance.sample(range(11), 2))
        ranges: list[tuple[dict[str, Any], Any]] = [
            ({}, lambda _: True),
            ({"equals": start}, lambda v, start=start: v["group"] == start),
            ({"start": start, "stop": stop}, lambda v, start=start, stop=stop: start <= v["group"] < stop),
        ]
        given, holds = chance.choice(ranges)
        expected = [key for key, value in items.items() if holds(value)]
        expected.sort(key=lambda key: (items[key]["group"], -items[key]["rank"], key))
        index = store.index("by_group")
        if not given and chance.random() < 0.5:
            index = store.index("by_name")
            expected.sort(key=lambda key: items[key]["name"])
        paging = PagingInfo(
            chance.randrange(12),
            chance.choice([1, 7, 100, 500]),
            chance.choice([0, 3]),
            chance.choice([PagingDirection.FORWARD, PagingDirection.BACKWARD]),
        )
        if paging.direction == PagingDirection.BACKWARD:
            expected.reverse()
        wanted = expected[paging.skipped :][: paging.fetched]
        page = await index.get_items(paging, **given)
        assert [item.key for item in page] == wanted
        assert all(item.value == items[item.key] for item in page)
        keys = await index.get_keys(paging, **given)
        assert [(item.key, item.value) for item in keys] == [(key, None) for key in wanted]


async def test_pages_of_an_index_are_slices_of_its_order(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("s", BtreeOptions(indexes=[BY_GROUP, BY_NAME]))
        await store.add(list(ITEMS.items()))
    items = dict(ITEMS)
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("s")
        await compare(store, items, random.Random(1))
        del items[17]
        items[1000] = {"group": 3, "rank": 9, "name": "new"}
        await store.remove(17)
        await store.add(1000, items[1000])
        await compare(store, items, random.Random(2))
        assert [item.key for item in await store.index("by_name").get_items(PagingInfo(0, 2))] == [0, 277]
        assert await store.index("by_name").get_items(PagingInfo(45, 20)) == []


async def test_a_page_that_was_read_conflicts_with_what_changes_it(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("s", BtreeOptions(indexes=[BY_GROUP]))
        await store.add(list(ITEMS.items()))
    with pytest.raises(sopasync.ConflictError):
        async with db.begin_transaction() as tx:
            store = await tx.open_btree("s")
            await store.index("by_group").get_items(PagingInfo(3, 10))
            await store.add(2000, {})
            async with db.begin_transaction() as beside:
                # It comes before the page, which shifts by one.
                await (await beside.open_btree("s")).add(3000, {"group": 0, "rank": 4})


def test_pages_far_away_are_found_by_counts(tmp_path: Path) -> None:
    """Given a large index, then its last page takes hardly more pages of the file than its first one."""
    with Database(tmp_path / "db") as db, db.begin_transaction() as tx:
        store = tx.new_btree("s", BtreeOptions(indexes=[SecondaryIndex("by_value", ["v"])]))
        store.add([(number, {"v": number}) for number in range(20_000)])

    def pages_read(number: int) -> int:
        with Database(tmp_path / "db") as db:
            with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
                page = tx.open_btree("s").index("by_value").get_keys(PagingInfo(number, 10))
            assert [item.key for item in page] == list(range(number * 10, number * 10 + 10))
            return int(db.statistics().engine["page_reads"])

    first, last = pages_read(0), pages_read(1_999)
    assert 0 < first <= last <= first + 6
