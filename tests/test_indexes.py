"""Secondary indexes: kept with every change, in their order, at the transaction's snapshot; added and dropped; refused input."""

from __future__ import annotations

import datetime
import math
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import sopasync
import sopasync.sync
from sopasync import (
    BtreeOptions,
    IndexFieldSpecification,
    IndexSpecification,
    InvalidArgumentError,
    SecondaryIndex,
)

pytestmark = pytest.mark.anyio

BY_CITY = SecondaryIndex("by_city", ["address.city"])
BY_EMAIL = SecondaryIndex("by_email", ["email"], unique=True)
PEOPLE = BtreeOptions(indexes=[BY_CITY, BY_EMAIL])


def person(email: str, city: str | None = None) -> dict[str, Any]:
    return {"email": email, "address": {} if city is None else {"city": city}}


async def people(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("people", PEOPLE)
        await store.add(
            [
                ("ann", person("a@x", "Oslo")),
                ("bob", person("b@x", "Bergen")),
                ("cid", person("c@x", "Oslo")),
                ("dan", person("d@x")),
            ]
        )


async def changed_beside(db: sopasync.Database, change: Callable[[Any], Awaitable[Any]]) -> None:
    async with db.begin_transaction() as tx:
        await change(await tx.open_btree("people"))


async def entries(store: Any, name: str = "by_city") -> list[tuple[Any, Any]]:
    return [(tuple(fields.values()), key) async for fields, key in store.index(name).entries()]


async def test_items_come_in_the_order_of_the_index(db: sopasync.Database) -> None:
    await people(db)
    async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
        store = await tx.open_btree("people")
        by_city = store.index("by_city")
        assert [key async for key in by_city.keys()] == ["bob", "ann", "cid"]
        assert [item.key async for item in by_city.items(reverse=True)] == ["cid", "ann", "bob"]
        assert [value["email"] async for value in by_city.values(equals="Oslo")] == ["a@x", "c@x"]
        assert [key async for key in by_city.keys(prefix="Be")] == ["bob"]
        assert [key async for key in by_city.keys(start="C")] == ["ann", "cid"]
        assert [key async for key in by_city.keys(stop="Oslo")] == ["bob"]
        assert [key async for key in by_city.keys(start="Oslo", stop="Bergen")] == []
        assert (await by_city.count(), await by_city.count(equals="Oslo")) == (3, 2)
        assert [page async for page in by_city.keys().pages(2)] == [["bob", "ann"], ["cid"]]
        by_email = store.index("by_email")
        assert await by_email.get("c@x") == person("c@x", "Oslo")
        assert await by_email.get_key("d@x") == "dan"
        assert await by_email.get("nobody", 7) == 7
        assert await by_email.get_item({"email": "b@x"}) == sopasync.Item("bob", person("b@x", "Bergen"))
        assert await by_email.contains("a@x")
        assert not await by_email.contains("a@")
    assert not (await db.check()).problems


async def test_every_way_to_write_keeps_the_index(db: sopasync.Database) -> None:
    await people(db)
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("people")
        await store.update("ann", person("a@x", "Alta"))
        await store.upsert("dan", person("d@x", "Bodø"))
        await store.remove("bob")
        await store.upsert([("eve", person("e@x", "Oslo")), ("cid", person("c@y"))])
        assert await store.find("eve")
        await store.update_current_value(person("e@x", "Narvik"))
        await store.add_if_not_exists("fay", person("f@x", "Alta"))
        await store.discard("nobody")
        wanted = [(("Alta",), "ann"), (("Alta",), "fay"), (("Bodø",), "dan"), (("Narvik",), "eve")]
        assert await entries(store) == wanted
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("people")
        assert await entries(store) == wanted
        await store.remove(["ann", "dan"])
        assert await store.first()
        await store.remove_current()
        assert await entries(store) == [(("Alta",), "fay"), (("Narvik",), "eve")]
    assert not (await db.check()).problems


async def test_what_is_undone_is_undone_in_the_index(db: sopasync.Database) -> None:
    await people(db)
    before = [(("Bergen",), "bob"), (("Oslo",), "ann"), (("Oslo",), "cid")]
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("people")
        with pytest.raises(ZeroDivisionError):
            async with tx.savepoint():
                await store.update("ann", person("z@x", "Alta"))
                raise ZeroDivisionError
        with pytest.raises(sopasync.KeyNotFound):
            await store.update([("ann", person("z@x", "Alta")), ("nobody", person("n@x"))])
        with pytest.raises(sopasync.UniqueIndexError):
            await store.upsert([("eve", person("e@x", "Alta")), ("fay", person("a@x", "Alta"))])
        assert await entries(store) == before
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("people")
        await store.remove("ann")
        tx.rollback()
    async with db.begin_transaction() as tx:
        assert await entries(await tx.open_btree("people")) == before
    assert not (await db.check()).problems


async def test_a_unique_index_admits_fields_once(db: sopasync.Database) -> None:
    await people(db)
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("people")
        with pytest.raises(sopasync.UniqueIndexError, match="index 'by_email' admits them once") as caught:
            await store.add("eve", person("a@x"))
        error = caught.value
        assert (error.store, error.index_name, error.key, error.held_by) == (
            "people",
            "by_email",
            "eve",
            "ann",
        )
        assert isinstance(error, sopasync.DuplicateKeyError)
        assert not await store.contains("eve")
        await store.update("ann", person("a@y"))
        await store.add("eve", person("a@x"))
        await store.upsert("eve", person("a@x", "Oslo"))


async def test_two_that_take_one_unique_entry_conflict(db: sopasync.Database) -> None:
    await people(db)
    with pytest.raises(sopasync.ConflictError, match="unique index") as caught:
        async with db.begin_transaction() as tx:
            store = await tx.open_btree("people")
            await store.add("eve", person("e@x"))
            await changed_beside(db, lambda other: other.add("fay", person("e@x")))
    assert caught.value.store == "people"
    tries = 0

    async def add_eve(tx: sopasync.Transaction) -> None:
        nonlocal tries
        tries += 1
        await (await tx.open_btree("people")).add("eve", person("e@x"))

    with pytest.raises(sopasync.UniqueIndexError):
        await db.run(add_eve)
    assert tries == 1


async def test_a_range_read_through_an_index_has_no_phantoms(db: sopasync.Database) -> None:
    await people(db)
    with pytest.raises(sopasync.ConflictError):
        async with db.begin_transaction() as tx:
            store = await tx.open_btree("people")
            if await store.index("by_city").count(equals="Oslo") < 3:
                await store.update("bob", person("b@x", "Stavanger"))
            await changed_beside(db, lambda other: other.upsert("new", person("n@x", "Oslo")))
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("people")
        assert [key async for key in store.index("by_city").keys(equals="Bergen")] == ["bob"]
        await store.add("other", person("o@x"))
        await changed_beside(db, lambda other: other.upsert("fay", person("f@x", "Oslo")))


async def test_two_changes_of_one_item_conflict_in_an_indexed_store(db: sopasync.Database) -> None:
    await people(db)
    with pytest.raises(sopasync.ConflictError):
        async with db.begin_transaction() as tx:
            await (await tx.open_btree("people")).upsert("ann", person("a@x", "Alta"))
            await changed_beside(db, lambda other: other.upsert("ann", person("a@x", "Narvik")))
    async with db.begin_transaction() as tx:
        assert (("Narvik",), "ann") in await entries(await tx.open_btree("people"))
    assert not (await db.check()).problems


MOMENT = datetime.datetime(2024, 2, 3, 4, 5, tzinfo=datetime.UTC)


async def test_every_type_that_can_be_a_key_can_be_a_field(db: sopasync.Database) -> None:
    ascending: list[Any] = [
        None,
        False,
        True,
        -(2**70),
        -1.5,
        0,
        0.5,
        2**63,
        2**64 - 1,
        2**200,
        "",
        "a",
        "a\0b",
        "b",
        b"",
        b"x",
        uuid.UUID(int=7),
        MOMENT,
        datetime.datetime(2024, 2, 3),
        datetime.date(2024, 2, 3),
        (),
        (1, "x"),
        (1, ("y", None)),
    ]
    async with db.begin_transaction() as tx:
        store = await tx.new_btree(
            "any",
            BtreeOptions(
                indexes=[
                    SecondaryIndex("up", ["v"], unique=True),
                    SecondaryIndex("down", [IndexFieldSpecification("v", False)]),
                ]
            ),
        )
        await store.add([(place, {"v": value}) for place, value in enumerate(ascending)])
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("any")
        assert [fields["v"] async for fields, _ in store.index("up").entries()] == ascending
        assert [key async for key in store.index("down").keys()] == list(range(len(ascending)))[::-1]
        for place, value in enumerate(ascending):
            fields: Any = (value,) if value is None or isinstance(value, tuple) else value
            assert await store.index("up").get_key(fields) == place, value
    assert not (await db.check()).problems


@pytest.mark.parametrize(
    "value", [{"a": 1}, [1], {1}, math.nan, Decimal(1), datetime.time(1), datetime.timedelta(1), "x" * 9000]
)
async def test_what_has_no_order_is_refused_and_changes_nothing(db: sopasync.Database, value: Any) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("any", BtreeOptions(indexes=[SecondaryIndex("by_v", ["v"])]))
        await store.add(1, {"v": 1})
        for call in (
            store.add(2, {"v": value}),
            store.update(1, {"v": value}),
            store.upsert([(1, {"v": value})]),
        ):
            with pytest.raises(sopasync.NotIndexableError, match="cannot be part of index 'by_v'") as caught:
                await call
            assert (caught.value.store, caught.value.field) == ("any", "v")
        assert await entries(store, "by_v") == [((1,), 1)]
        assert await store.count() == 1


async def test_values_without_the_field_have_no_entry(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("any", BtreeOptions(indexes=[SecondaryIndex("by_ab", ["a.b"])]))
        await store.add(
            [(1, {}), (2, {"a": 5}), (3, "text"), (4, None), (5, {"a": {"b": None}}), (6, {"a": {"b": 1}})]
        )
        assert await entries(store, "by_ab") == [((None,), 5), ((1,), 6)]


@dataclass
class Place:
    country: str
    name: str
    size: int = 0


async def test_fields_of_record_keys_and_what_rides_along(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.new_btree(
            "places",
            BtreeOptions(
                indexes=[
                    SecondaryIndex("by_name", ["name", IndexFieldSpecification("height", False)]),
                    SecondaryIndex("by_size", ["key.size"]),
                ]
            ),
            key_type=Place,
            index_spec=IndexSpecification(
                [
                    IndexFieldSpecification("country"),
                    IndexFieldSpecification("name", ascending_sort_order=False),
                ]
            ),
        )
        await store.add(Place("NO", "Å", 3), {"height": 5})
        await store.add(Place("NO", "Bø", 2), {"height": 7})
        await store.add(Place("SE", "Å", 1), {"height": 9})
        assert [key async for key in store.index("by_name").keys()] == [
            Place("NO", "Bø", 2),
            Place("SE", "Å", 1),
            Place("NO", "Å", 3),
        ]
        assert [key.size async for key in store.index("by_size").keys()] == [1, 2, 3]
        await store.update_key(Place("NO", "Å", 0))
        assert [key.size async for key in store.index("by_size").keys()] == [0, 1, 2]
        assert [item.value async for item in store.index("by_name").items(equals=("Å", 9))] == [{"height": 9}]
    assert not (await db.check()).problems


async def test_a_store_where_keys_repeat(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.new_btree(
            "log", BtreeOptions(is_unique=False, indexes=[SecondaryIndex("by_level", ["level"])])
        )
        await store.add([("mon", {"level": 2}), ("mon", {"level": 1}), ("tue", {"level": 1})])
        assert [(fields["level"], key) async for fields, key in store.index("by_level").entries()] == [
            (1, "mon"),
            (1, "tue"),
            (2, "mon"),
        ]
        items = [item async for item in store.index("by_level").items(equals=1)]
        assert items[0].id is not None
        await store.remove("mon")
        assert await store.index("by_level").count() == 2
    assert not (await db.check()).problems


@dataclass
class Book:
    title: str
    year: int


async def test_typed_values_come_back_as_their_type(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        store = await tx.new_btree(
            "books", BtreeOptions(indexes=[SecondaryIndex("by_year", ["year"])]), value_type=Book
        )
        await store.add([(1, Book("B", 1999)), (2, Book("A", 1950))])
        assert [value async for value in store.index("by_year").values()] == [
            Book("A", 1950),
            Book("B", 1999),
        ]
        assert await store.index("by_year").get(1999) == Book("B", 1999)


async def test_bad_input_has_a_message_and_makes_nothing(db: sopasync.Database) -> None:
    with pytest.raises(InvalidArgumentError, match="at least one field"):
        SecondaryIndex("x", [])
    with pytest.raises(InvalidArgumentError, match=r"are a list: give \['city'\]"):
        SecondaryIndex("x", "city")
    async with db.begin_transaction() as tx:
        with pytest.raises(InvalidArgumentError, match="names a field twice"):
            await tx.new_btree("s", BtreeOptions(indexes=[SecondaryIndex("x", ["a", "a"])]))
        assert await tx.stores() == []
        store = await tx.new_btree("s", PEOPLE)
        with pytest.raises(InvalidArgumentError, match="1 to 200 bytes"):
            await tx.create_index("s", SecondaryIndex("x" * 201, ["a"]))
        with pytest.raises(sopasync.StoreNotFoundError):
            await tx.create_index("nothing", BY_CITY)
        with pytest.raises(InvalidArgumentError, match="single keys; the key itself is called 'key'"):
            await tx.create_index("s", SecondaryIndex("x", ["key.a"]))
        with pytest.raises(InvalidArgumentError, match="index 'by_city'"):
            store.index("by_city").items(equals=("a", "b"))
        with pytest.raises(sopasync.KeyTypeError, match="index 'by_city'"):
            store.index("by_city").items(equals={"address.city": {}})
        for call in (store.increment("a"), store.maximum("a", 1), store.append("a", "b")):
            with pytest.raises(InvalidArgumentError, match="the indexes of the store must know"):
                await call
    async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
        with pytest.raises(sopasync.ReadOnlyError):
            await tx.create_index("s", BY_CITY)
    for options in (PEOPLE, None):
        with pytest.raises(
            InvalidArgumentError, match=r"load it without them, and then add them with tx\.create_index"
        ):
            await db.bulk_load("t" if options else "s", [(1, {})], options)


async def test_the_change_feed_tells_items_only(db: sopasync.Database) -> None:
    await people(db)
    watch = db.watch(since=0)
    await changed_beside(db, lambda store: store.update("bob", person("b@x", "Oslo")))
    seen: list[str] = []
    async for change in watch:
        seen.append(change.store)
        if len(seen) == 6:
            break
    assert set(seen) == {"people"}


async def test_a_follower_reads_through_the_index(db_path: Path, db: sopasync.Database) -> None:
    await people(db)
    async with sopasync.Database(db_path, read_only=True) as follower:
        await follower.refresh()
        async with follower.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            store = await tx.open_btree("people")
            assert [key async for key in store.index("by_city").keys(equals="Oslo")] == ["ann", "cid"]


def test_the_same_without_an_event_loop(db_path: Path) -> None:
    with sopasync.sync.Database(db_path) as db:
        with db.begin_transaction() as tx:
            store = tx.new_btree("people", PEOPLE)
            store.add([("ann", person("a@x", "Oslo")), ("bob", person("b@x", "Alta"))])
            orders = tx.new_btree(
                "orders",
                BtreeOptions(relations=[sopasync.Relation(["who"], "people", ["id"], on_delete="cascade")]),
            )
            orders.add([(1, {"who": "bob"}), (2, {"who": "ann"}), (3, {"who": "bob"})])
            by_city = store.index("by_city")
            assert list(by_city.keys()) == ["bob", "ann"]
            assert [item.key for item in by_city.items(prefix="O")] == ["ann"]
            assert list(by_city.values(equals="Alta")) == [person("b@x", "Alta")]
            assert list(by_city.entries(start="B")) == [({"address.city": "Oslo"}, "ann")]
            assert (by_city.count(), by_city.contains("Oslo"), by_city.get_key("Oslo")) == (2, True, "ann")
            assert by_city.get("nowhere", 3) == 3
            assert by_city.get_item("Oslo") == sopasync.Item("ann", person("a@x", "Oslo"))
            assert [row.right.key for row in tx.join(store, orders)] == [2, 1, 3]
            assert [len(page) for page in tx.join(store, orders).pages(2)] == [2, 1]
            assert [right.keys for _, right in tx.join(store, orders).columns()] == [[2, 1, 3]]
            assert [item.key for item in tx.related(store, "bob", orders)] == [1, 3]
        with db.begin_transaction() as tx:
            tx.create_index("orders", SecondaryIndex("by_who", ["who"]))
            tx.drop_index("people", "by_email")
        db.settle("orders")
        with db.begin_transaction() as tx:
            orders = tx.open_btree("orders")
            assert orders.index("by_who").state().stage == "ready"
            assert [index.name for index in tx.open_btree("people").indexes()] == ["by_city"]
            with pytest.raises(InvalidArgumentError, match="load it without them"):
                db.bulk_load("orders", [])
