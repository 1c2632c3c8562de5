"""Record keys: an index specification orders them, other fields ride along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import msgspec
import pytest

import sopasync
from sopasync import BtreeOptions, IndexFieldSpecification, IndexSpecification, Item

pytestmark = pytest.mark.anyio


@dataclass
class UserKey:
    region: str
    department: str
    employee_id: int


class StructKey(msgspec.Struct, frozen=True):
    region: str
    department: str
    employee_id: int


class DictKey(TypedDict):
    region: str
    department: str
    employee_id: int


@dataclass
class DocKey:
    doc_id: int
    is_deleted: bool = False
    timestamp: int = 0


BY_HIERARCHY = IndexSpecification(
    (
        IndexFieldSpecification("region"),
        IndexFieldSpecification("department", ascending_sort_order=False),
        IndexFieldSpecification("employee_id"),
    )
)
BY_DOCUMENT = IndexSpecification((IndexFieldSpecification("doc_id"),))


@pytest.fixture
async def tx(db):
    async with db.begin_transaction() as transaction:
        yield transaction


async def employees(tx, make=UserKey, **types):
    store = await tx.new_btree("employees", index_spec=BY_HIERARCHY, **types)
    for region in ("US", "EU"):
        for department in ("Eng", "Sales"):
            for number in (2, 1):
                key = make(region=region, department=department, employee_id=number)
                await store.add(key, f"{region} {department} {number}")
    return store


@pytest.mark.parametrize("make", [UserKey, StructKey, DictKey, dict])
async def test_fields_decide_the_order_each_up_or_down(tx, make):
    store = await employees(tx, make)
    assert [value async for value in store.values()] == [
        f"{region} {department} {number}"
        for region in ("EU", "US")
        for department in ("Sales", "Eng")
        for number in (1, 2)
    ]


async def test_leading_fields_bound_a_scan(tx):
    store = await employees(tx)
    expected = ["US Sales 1", "US Sales 2", "US Eng 1", "US Eng 2"]
    assert [value async for value in store.values(prefix={"region": "US"})] == expected
    assert [value async for value in store.values(prefix=("US",))] == expected
    assert [value async for value in store.values(prefix={"region": "US", "department": "Eng"})] == expected[
        2:
    ]
    assert [value async for value in store.values(start={"region": "US"}, reverse=True)] == expected[::-1]
    assert [value async for value in store.values(start=("US", "Eng"))] == expected[2:]
    with pytest.raises(sopasync.InvalidArgumentError, match="without a gap"):
        store.values(prefix={"region": "US", "employee_id": 1})


@pytest.mark.parametrize("make", [UserKey, StructKey])
async def test_keys_come_back_as_their_type_or_as_dicts(db, make):
    async with db.begin_transaction() as tx:
        store = await employees(tx, make, key_type=make)
        assert await anext(store.keys()) == make("EU", "Sales", 1)
        await store.first()
        assert await store.get_current_key() == make("EU", "Sales", 1)
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("employees")
        assert await anext(store.keys()) == {"region": "EU", "department": "Sales", "employee_id": 1}
        assert await store.get({"region": "US", "department": "Sales", "employee_id": 2}) == "US Sales 2"
        found = await store.get_values(Item(key={"region": "US", "department": "Sales", "employee_id": 2}))
        assert found[0].value == "US Sales 2"


async def test_a_key_type_alone_orders_by_all_its_fields(tx):
    store = await tx.new_btree("s", key_type=UserKey)
    await store.add(UserKey("US", "Eng", 2), 1)
    await store.add(UserKey("US", "Eng", 1), 2)
    assert [key.employee_id async for key in store.keys()] == [1, 2]
    assert store.description.index_fields == (("region", True), ("department", True), ("employee_id", True))


async def test_ride_on_fields_come_with_keys_and_change_in_place(db):
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("documents", index_spec=BY_DOCUMENT, key_type=DocKey)
        await store.add(DocKey(100, timestamp=5), "Large Content A")
        await store.add(DocKey(101, is_deleted=True), "Large Content B")
        with pytest.raises(sopasync.DuplicateKeyError):
            await store.add(DocKey(100, timestamp=6), "same document")
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("documents")
        keys = await store.get_keys()
        assert [item.key for item in keys] == [
            {"doc_id": 100, "is_deleted": False, "timestamp": 5},
            {"doc_id": 101, "is_deleted": True, "timestamp": 0},
        ]
        await store.update_key({"doc_id": 100, "is_deleted": True, "timestamp": 7})
        assert await store.get({"doc_id": 100}) == "Large Content A"
        await store.find({"doc_id": 101})
        await store.update_current_key(DocKey(101, is_deleted=False, timestamp=9))
        with pytest.raises(
            sopasync.InvalidArgumentError, match="only ride-on fields can be changed in place"
        ):
            await store.update_current_key(DocKey(102))
        await store.update({"doc_id": 100}, "new content")
        await store.find({"doc_id": 101})
        await store.update_current_value("other content")
        assert [tuple(item) async for item in store.items()] == [
            ({"doc_id": 100, "is_deleted": True, "timestamp": 7}, "new content"),
            ({"doc_id": 101, "is_deleted": False, "timestamp": 9}, "other content"),
        ]


async def test_keys_that_repeat_keep_their_own_ride_on_fields(tx):
    store = await tx.new_btree("d", BtreeOptions(is_unique=False), index_spec=BY_DOCUMENT, key_type=DocKey)
    await store.add(DocKey(1, timestamp=1), "a")
    await store.add(DocKey(1, timestamp=2), "b")
    assert [(item.key.timestamp, item.value) async for item in store.items()] == [(1, "a"), (2, "b")]


async def test_specifications_are_compared_and_checked(tx):
    await employees(tx)
    with pytest.raises(
        sopasync.StoreExistsError, match=r"records by \(region, department descending, employee_id\)"
    ):
        await tx.new_btree("employees", key_type=UserKey)
    with pytest.raises(
        sopasync.InvalidArgumentError, match="DocKey has no field region, department, employee_id"
    ):
        await tx.open_btree("employees", key_type=DocKey)
    with pytest.raises(sopasync.InvalidArgumentError, match="give key_type= or an IndexSpecification"):
        await tx.new_btree("other", BtreeOptions(is_primitive_key=False))
    with pytest.raises(sopasync.InvalidArgumentError, match="needs at least one field"):
        IndexSpecification(())
    with pytest.raises(sopasync.InvalidArgumentError, match="names each field once"):
        IndexSpecification((IndexFieldSpecification("a"), IndexFieldSpecification("a")))
    await tx.new_btree("single")
    with pytest.raises(sopasync.InvalidArgumentError, match="has single keys, and UserKey is a record"):
        await tx.open_btree("single", key_type=UserKey)
