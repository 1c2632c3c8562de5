"""A bulk load fills a store in one commit, or leaves nothing."""

from __future__ import annotations

import random
from dataclasses import dataclass

import anyio
import pytest

import sopasync
from sopasync import BtreeOptions, Item

pytestmark = pytest.mark.anyio

COUNT = 20_000


@dataclass
class Word:
    text: str
    count: int


async def everything(db, name="s", **types):
    async with db.begin_transaction() as tx:
        store = await tx.open_btree(name, **types)
        return [tuple(item) async for item in store.items()]


@pytest.mark.parametrize("order", ["sorted", "random"])
async def test_rows_in_any_order_come_out_sorted(db, order):
    keys = list(range(COUNT))
    if order == "random":
        random.Random(1).shuffle(keys)
    calls: list[int] = []
    assert await db.bulk_load("s", ((key, str(key)) for key in keys), progress=calls.append) == COUNT
    assert await everything(db) == [(key, str(key)) for key in range(COUNT)]
    assert calls[-1] == COUNT
    assert (await db.check()).problems == ()


async def test_items_types_options_and_async_rows(db):
    async def rows():
        for number in range(3000):
            yield Item((number % 10, number), Word(f"word {number}", number))

    assert (
        await db.bulk_load("s", rows(), BtreeOptions(description="words"), key_type=tuple, value_type=Word)
        == 3000
    )
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("s", value_type=Word)
        assert store.description.text == "words"
        assert await store.get((3, 13)) == Word("word 13", 13)
        assert len([key async for key in store.keys(prefix=(4,))]) == 300
        await store.add((0, -1), Word("later", 0))


async def test_of_two_rows_with_one_key_the_last_holds_or_the_load_fails(db):
    rows = [(1, "first"), (2, "other"), (1, "last")]
    await db.bulk_load("s", rows)
    assert await everything(db) == [(1, "last"), (2, "other")]
    with pytest.raises(sopasync.SopasyncError):
        await db.bulk_load("t", rows, refuse_duplicates=True)
    with pytest.raises(sopasync.StoreNotFoundError):
        await everything(db, "t")


async def test_an_empty_store_is_filled_and_a_full_one_is_refused(db):
    async with db.begin_transaction() as tx:
        await tx.new_btree("s")
    assert await db.bulk_load("s", [(1, 1)]) == 1
    with pytest.raises(sopasync.SopasyncError, match="s"):
        await db.bulk_load("s", [(2, 2)])
    with pytest.raises(sopasync.StoreExistsError, match="not unique was asked for"):
        await db.bulk_load("s", [(2, 2)], BtreeOptions(is_unique=False))
    assert await everything(db) == [(1, 1)]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (5, sopasync.InvalidArgumentError),
        (({}, 1), sopasync.KeyTypeError),
        ((float("nan"), 1), sopasync.SopasyncError),
        ((1, object()), sopasync.SopasyncError),
    ],
)
async def test_a_bad_row_leaves_nothing(db, bad, error):
    with pytest.raises(error):
        await db.bulk_load("s", [*((key, key) for key in range(5000)), bad])
    with pytest.raises(sopasync.StoreNotFoundError):
        await everything(db)
    assert await db.bulk_load("s", [(1, 1)]) == 1


async def test_a_cancelled_load_leaves_nothing(db):
    async def rows():
        for number in range(10_000):
            yield number, number
        await anyio.sleep_forever()

    with anyio.move_on_after(0.1):
        await db.bulk_load("s", rows())
    with pytest.raises(sopasync.StoreNotFoundError):
        await everything(db)
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("s")).add(1, 1)
    assert await everything(db) == [(1, 1)]
