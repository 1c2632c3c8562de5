"""Cursors, pages and iterators: every way to read a store in order."""

from __future__ import annotations

import msgspec
import pytest

import sopasync
from sopasync import PagingDirection, PagingInfo

pytestmark = pytest.mark.anyio


class Place(msgspec.Struct):
    name: str
    number: int


@pytest.fixture
async def tx(db):
    async with db.begin_transaction() as transaction:
        yield transaction


@pytest.fixture
async def tens(tx):
    """A store with the keys 10, 20 .. 1000, whose values are their texts."""
    store = await tx.new_btree("tens")
    await store.add([(number, str(number)) for number in range(10, 1001, 10)])
    return store


async def test_the_cursor_walks_both_ways(tens):
    assert await tens.first() is True
    assert await tens.get_current_key() == 10
    assert await tens.next() is True
    assert tuple(await tens.get_current_item()) == (20, "20")
    assert await tens.last() is True
    assert await tens.next() is False
    assert await tens.get_current_item() is None
    assert await tens.previous() is True
    assert await tens.get_current_value() == "1000"
    assert await tens.first() is True
    assert await tens.previous() is False
    assert await tens.next() is True
    assert await tens.get_current_key() == 10


async def test_a_missed_find_leaves_the_cursor_where_the_key_would_be(tens):
    assert await tens.find(20) is True
    assert await tens.find(25) is False
    assert await tens.get_current_key() is None
    assert await tens.next() is True
    assert await tens.get_current_key() == 30
    assert await tens.find(25) is False
    assert await tens.previous() is True
    assert await tens.get_current_key() == 20


async def test_the_cursor_changes_and_removes_what_it_is_on(tens):
    await tens.find(50)
    assert await tens.update_current_value("fifty") is True
    assert await tens.get_current_value() == "fifty"
    assert await tens.remove_current() is True
    assert await tens.get_current_item() is None
    assert await tens.next() is True
    assert await tens.get_current_key() == 60
    with pytest.raises(sopasync.KeyNotFound, match="is between items. Move it with find"):
        await tens.find(50)
        await tens.update_current_value("x")
    await tens.find(60)
    await tens.remove(60)
    assert await tens.get_current_item() is None
    with pytest.raises(sopasync.KeyNotFound, match="has been removed"):
        await tens.remove_current()


async def test_further_cursors_are_independent(tens):
    one, other = tens.cursor(), tens.cursor()
    await one.first()
    await other.last()
    assert (await one.get_key(), await other.get_key()) == (10, 1000)


async def test_an_empty_store_has_nothing_in_every_way(tx):
    empty = await tx.new_btree("empty")
    assert await empty.first() is False
    assert await empty.last() is False
    assert await empty.next() is False
    assert await empty.previous() is False
    assert await empty.get_items() == []
    assert await empty.get_keys(PagingInfo(page_offset=3, direction=PagingDirection.BACKWARD)) == []
    assert [item async for item in empty.items()] == []
    assert [page async for page in empty.keys().pages(10)] == []
    assert await empty.count() == 0


async def test_pages_by_offset(tens):
    def keys(items):
        return [item.key for item in items]

    assert keys(await tens.get_items()) == list(range(10, 210, 10))
    assert keys(await tens.get_items(PagingInfo(page_offset=1, page_size=3))) == [40, 50, 60]
    assert keys(await tens.get_items(PagingInfo(1, 3, fetch_count=5))) == [40, 50, 60, 70, 80]
    backward = PagingDirection.BACKWARD
    assert keys(await tens.get_items(PagingInfo(page_size=2, direction=backward))) == [1000, 990]
    assert keys(await tens.get_items(PagingInfo(1, 2, direction=backward))) == [980, 970]
    assert keys(await tens.get_items(PagingInfo(9, 11))) == [1000]
    assert await tens.get_items(PagingInfo(10, 10)) == []
    assert await tens.get_items(PagingInfo(1_000_000, 10)) == []
    assert [item.value for item in await tens.get_keys(PagingInfo(0, 2))] == [None, None]
    assert [item.value for item in await tens.get_values(PagingInfo(0, 2))] == ["10", "20"]


async def test_pages_start_at_the_cursor(tens):
    await tens.find(500)
    assert [item.key for item in await tens.get_items(PagingInfo(0, 2))] == [500, 510]
    assert [item.key for item in await tens.get_items(PagingInfo(0, 2, direction=1))] == [500, 490]
    assert [item.key for item in await tens.get_items(PagingInfo(1, 2, direction=1))] == [480, 470]


async def test_values_of_given_keys(tens):
    found = await tens.get_values([sopasync.Item(key=20), 30, 35])
    assert [tuple(item) for item in found] == [(20, "20"), (30, "30")]
    assert (await tens.get_values(sopasync.Item(key=20)))[0].value == "20"


async def test_iteration_over_ranges_in_both_directions(tens):
    assert [key async for key in tens.keys(start=30, stop=60)] == [30, 40, 50]
    assert [key async for key in tens.keys(start=25, stop=61)] == [30, 40, 50, 60]
    assert [key async for key in tens.keys(start=30, stop=60, reverse=True)] == [50, 40, 30]
    assert [key async for key in tens.keys(start=990)] == [990, 1000]
    assert [key async for key in tens.keys(stop=10)] == []
    assert [value async for value in tens.values(stop=21)] == ["10", "20"]
    assert [item.key async for item in tens.items(reverse=True)] == list(range(1000, 0, -10))


async def test_iteration_over_prefixes(tx):
    store = await tx.new_btree("words")
    words = ["", "a", "ab", "abc", "b", "user", "user_", "user_1", "user_ä", "user_\U0010ffff", "userb", "z"]
    await store.add([(word, len(word)) for word in words])
    assert [key async for key in store.keys()] == sorted(words)
    assert [key async for key in store.keys(prefix="user_")] == [
        w for w in sorted(words) if w.startswith("user_")
    ]
    assert [key async for key in store.keys(prefix="ab", reverse=True)] == ["abc", "ab"]
    assert [key async for key in store.keys(prefix="")] == sorted(words)
    assert [key async for key in store.keys(prefix="user", start="user_1", stop="userb")] == [
        "user_1",
        "user_ä",
        "user_\U0010ffff",
    ]


async def test_tuples_are_scanned_by_leading_elements(tx):
    store = await tx.new_btree("tuples")
    keys = [(region, number) for region in ("eu", "eus", "us") for number in range(3)]
    await store.add([(key, None) for key in keys])
    assert [key async for key in store.keys(prefix=("eu",))] == [("eu", 0), ("eu", 1), ("eu", 2)]
    assert [key async for key in store.keys(start=("eus",), stop=("us", 1))] == keys[3:7]


@pytest.mark.parametrize("size", [1, 7, 100, 1000, 5000])
async def test_pages_of_any_size_hold_everything_in_order(tx, size):
    store = await tx.new_btree("many")
    await store.add([(number, number) for number in range(2500)])
    pages = [page async for page in store.items().pages(size)]
    assert {len(page) for page in pages[:-1]} <= {size}
    assert [item.key for page in pages for item in page] == list(range(2500))
    with pytest.raises(sopasync.InvalidArgumentError, match="a page of 0 items"):
        store.items().pages(0)


async def test_an_iterator_can_be_left_and_closed(tens):
    scan = tens.items()
    async for item in scan:
        if item.key == 30:
            break
    assert (await anext(scan)).key == 40
    assert [page[0].key async for page in scan.pages(50)] == [50, 550]
    async with tens.keys() as keys:
        assert await anext(keys) == 10
    with pytest.raises(StopAsyncIteration):
        await anext(keys)


async def test_a_loop_may_change_what_it_walks_over(tens):
    async for key in tens.keys():
        await tens.remove(key)
    assert await tens.count() == 0


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
@pytest.mark.parametrize("unique", [True, False])
async def test_columns_hold_keys_and_values_in_order(tx, size, unique):
    store = await tx.new_btree("s", sopasync.BtreeOptions(is_unique=unique))
    await store.add([(key, key * 2) for key in range(3000)])
    pages = [page async for page in store.columns(start=10, stop=2990, size=size)]
    assert [key for keys, _ in pages for key in keys] == list(range(10, 2990))
    assert [value for _, values in pages for value in values] == list(range(20, 5980, 2))
    assert {len(keys) for keys, _ in pages[:-1]} <= {size}
    backwards = [keys async for keys, _ in store.columns(prefix=None, stop=50, reverse=True, size=size)]
    assert [key for keys in backwards for key in keys] == list(range(49, -1, -1))
    with pytest.raises(sopasync.InvalidArgumentError, match="at least 1"):
        store.columns(size=0)


async def test_columns_make_keys_and_values_of_their_types(tx):
    store = await tx.new_btree("s", key_type=Place, value_type=Place)
    await store.add(Place("b", 2), Place("c", 3))
    async for keys, values in store.columns():
        assert (keys, values) == ([Place("b", 2)], [Place("c", 3)])
    assert [page async for page in store.columns(prefix=("z",))] == []
