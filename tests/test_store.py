"""A store keeps what it is told: one item or a list, all of it or nothing."""

from __future__ import annotations

import uuid

import pytest

import sopasync
from sopasync import BtreeOptions, Database, Item

pytestmark = pytest.mark.anyio


async def test_what_was_added_is_there_after_reopening(db_path, anyio_backend):
    async with Database(db_path) as db, db.begin_transaction() as tx:
        users = await tx.new_btree("users")
        assert await users.add("user_1", {"name": "Ann"}) is True
    async with Database(db_path) as db, db.begin_transaction() as tx:
        users = await tx.open_btree("users")
        assert await users.get("user_1") == {"name": "Ann"}
        assert await users.get("user_2") is None
        assert await users.get("user_2", "nobody") == "nobody"
        assert await users.count() == 1


async def test_add_refuses_a_key_that_is_there_and_the_tolerant_form_does_not(db):
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("s")
        await store.add(1, "one")
        with pytest.raises(
            sopasync.DuplicateKeyError, match=r"key 1 is in store 's' already: use update"
        ) as error:
            await store.add(1, "other")
        assert (error.value.store, error.value.key, error.value.index) == ("s", 1, None)
        assert await store.add_if_not_exists(1, "other") is False
        assert await store.add_if_not_exists(2, "two") is True
        assert [tuple(item) async for item in store.items()] == [(1, "one"), (2, "two")]


async def test_update_and_remove_refuse_a_missing_key_and_upsert_does_not(db):
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("s")
        with pytest.raises(sopasync.KeyNotFound, match=r"key 1 is not in store 's': use add"):
            await store.update(1, "one")
        with pytest.raises(KeyError):
            await store.remove(1)
        assert await store.discard(1) is False
        await store.upsert(1, "one")
        assert await store.update(1, "uno") is True
        assert await store.get(1) == "uno"
        assert await store.remove(1) is True
        assert await store.contains(1) is False
        assert await store.count() == 0


async def test_items_are_given_as_key_and_value_or_as_item_or_as_list(db):
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("s")
        await store.add("a", 1)
        await store.add(Item("b", 2))
        await store.add([Item("c", 3), ("d", 4)])
        await store.update([Item("a", 10), ("b", 20)])
        await store.upsert([Item("d", 40), Item("e", 50)])
        assert await store.get_many(["e", "x", "a", "b", "c", "d"]) == [50, None, 10, 20, 3, 40]
        await store.remove(["a", "b"])
        assert [key async for key in store.keys()] == ["c", "d", "e"]
        with pytest.raises(sopasync.InvalidArgumentError, match="give a key and a value, an Item, or a list"):
            await store.add("a")


@pytest.mark.parametrize("size", [3, 1000])
async def test_a_list_with_one_bad_element_changes_nothing(db, size):
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("s")
        await store.add(size - 2, "there")
        with pytest.raises(sopasync.DuplicateKeyError) as duplicate:
            await store.add([(number, "new") for number in range(size)])
        assert duplicate.value.index == size - 2
        with pytest.raises(sopasync.KeyNotFound) as missing:
            await store.update([(size - 2, "changed"), *((number, "changed") for number in range(size))])
        assert missing.value.index == 1
        with pytest.raises(sopasync.KeyNotFound):
            await store.remove([size - 2, 0])
        with pytest.raises(sopasync.KeyTypeError):
            await store.upsert([*((number, "new") for number in range(size)), ({}, "no key")])
        assert await store.add_if_not_exists([(number, "new") for number in range(size)]) is False
        assert [tuple(item) async for item in store.items()] == [(size - 2, "there")]


async def test_options_are_kept_and_other_options_are_refused(db):
    options = BtreeOptions(is_unique=False, description="events", value_size=sopasync.ValueDataSize.BIG)
    async with db.begin_transaction() as tx:
        await tx.new_btree("events", options)
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("events")
        assert store.is_unique is False
        assert store.description.text == "events"
        assert store.description.value_size is sopasync.ValueDataSize.BIG
        await tx.new_btree("events", options)
        with pytest.raises(sopasync.StoreExistsError, match="not unique but unique was asked for") as error:
            await tx.new_btree("events")
        assert error.value.store == "events"


async def test_opening_a_missing_store_is_a_clear_error(db):
    async with db.begin_transaction() as tx:
        with pytest.raises(
            sopasync.StoreNotFoundError, match="there is no store 'nope': make it with new_btree"
        ):
            await tx.open_btree("nope")
        await tx.new_btree("made here")
        await tx.open_btree("made here")
        assert [store.name for store in await tx.stores()] == ["made here"]


async def test_a_removed_store_is_gone_and_can_be_made_anew_otherwise(db):
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("temp")).add("foo", "bar")
    await db.remove_btree("temp")
    with pytest.raises(sopasync.StoreNotFoundError):
        await db.remove_btree("temp")
    async with db.begin_transaction() as tx:
        with pytest.raises(sopasync.StoreNotFoundError):
            await tx.open_btree("temp")
        again = await tx.new_btree("temp", BtreeOptions(is_unique=False))
        assert await again.count() == 0


async def test_a_store_made_in_a_transaction_rolled_back_is_not_there(db):
    tx = db.begin_transaction()
    tx.begin()
    await (await tx.new_btree("s")).add(1, 1)
    tx.rollback()
    async with db.begin_transaction() as tx:
        assert await tx.stores() == []


async def test_equal_keys_have_ids_of_their_own(db):
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("log", BtreeOptions(is_unique=False))
        for text in ("first", "second", "third"):
            await store.add("key", text)
        await store.add("key 2", "other")
        items = [item async for item in store.items(start="key", stop="key 2")]
        assert [item.value for item in items] == ["first", "second", "third"]
        assert len({item.id for item in items}) == 3
        assert await store.get("key") == "first"
        assert await store.find_with_id("key", items[1].id) is True
        assert await store.get_current_value() == "second"
        await store.update_current_value("2nd")
        await store.next()
        await store.remove_current()
        assert await store.find_with_id("key", uuid.uuid4()) is False
        assert await store.find("ke") is False
        assert [value async for value in store.values()] == ["first", "2nd", "other"]
        assert await store.add_if_not_exists("key", "again") is False
        assert await store.add_if_not_exists("key 3", "new") is True
        await store.remove("key")
        assert await store.get("key") == "2nd"


async def test_operations_that_commute_do_not_conflict(db):
    async with db.begin_transaction() as tx:
        await tx.new_btree("counters")
    first, second = db.begin_transaction(), db.begin_transaction()
    for number, tx in enumerate((first, second), start=1):
        tx.begin()
        counters = await tx.open_btree("counters")
        await counters.increment("hits")
        await counters.increment("hits", 10)
        await counters.maximum("high", number)
        await counters.minimum("low", number)
        await counters.append("log", f"{number} ")
    await first.commit()
    await second.commit()
    async with db.begin_transaction() as tx:
        counters = await tx.open_btree("counters")
        assert await counters.get_many(["hits", "high", "low", "log"]) == [22, 2, 1, "1 2 "]


async def test_a_value_of_any_size_comes_back(db):
    sizes = [0, 1, 100, 2_000, 5_000, 70_000, 3_000_000]
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("blobs")
        for size in sizes:
            await store.add(size, bytes(size % 251 for _ in range(1)) * size)
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("blobs")
        for size in sizes:
            assert await store.get(size) == bytes([size % 251]) * size
        assert [len(item.value) async for item in store.items()] == sizes


async def test_statistics_tell_what_ran(db):
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("s")
        for number in range(100):
            await store.add(number, number)
        statistics = db.statistics()
        assert statistics.transactions_open == 1
    statistics = db.statistics()
    assert statistics.transactions_open == 0
    assert statistics.engine["commits"] == 1
    (actor,) = statistics.stores
    assert actor.name == "s"
    assert actor.participants == 0
    assert actor.turns_inline + actor.turns_waited == 100
