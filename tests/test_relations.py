"""Relations: joins against nested loops over plain dicts, related items, and what is enforced in the same commit."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import sopasync
from sopasync import BtreeOptions, InvalidArgumentError, Item, Joined, Relation, SecondaryIndex

pytestmark = pytest.mark.anyio

USER_OF_ORDER = Relation(["user"], "users", ["id"])
OF_USER = BtreeOptions(relations=[USER_OF_ORDER], indexes=[SecondaryIndex("by_user", ["user"])])
ENFORCED = {
    policy: BtreeOptions(relations=[Relation(["user"], "users", ["id"], on_delete=policy)])  # type: ignore[arg-type]
    for policy in ("restrict", "cascade")
}


async def shop(tx: sopasync.Transaction, orders: BtreeOptions = OF_USER) -> tuple[Any, Any]:
    users = await tx.new_btree("users")
    store = await tx.new_btree("orders", orders)
    await users.add([("ann", {"n": 1}), ("bob", {"n": 2}), ("cid", {"n": 3})])
    await store.add([(1, {"user": "bob"}), (2, {"user": "ann"}), (3, {"user": "bob"})])
    return users, store


def keys(rows: list[Joined[Any, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(None if item is None else item.key for item in row) for row in rows]


async def rows(join: Any) -> list[Joined[Any, Any]]:
    return [row async for row in join]


async def test_one_to_many_many_to_one_and_the_rows_without_partner(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        users, orders = await shop(tx)
        assert keys(await rows(tx.join(users, orders))) == [
            ("ann", 2, None),
            ("bob", 1, None),
            ("bob", 3, None),
        ]
        assert keys(await rows(tx.join(users, orders, how="left")))[-1] == ("cid", None, None)
        assert keys(await rows(tx.join(users, orders, start="b", stop="c"))) == [
            ("bob", 1, None),
            ("bob", 3, None),
        ]
        assert keys(await rows(tx.join(orders, users, reverse=True))) == [
            (3, "bob", None),
            (2, "ann", None),
            (1, "bob", None),
        ]
        first = (await rows(tx.join(orders, users)))[0]
        assert first == Joined(Item(1, {"user": "bob"}), Item("bob", {"n": 2}))
        pages = [keys(page) async for page in tx.join(users, orders).pages(2)]
        assert [len(page) for page in pages] == [2, 1]
        columns = [(left.keys, right.values) async for left, right in tx.join(users, orders).columns()]
        assert columns == [(["ann", "bob", "bob"], [{"user": "ann"}, {"user": "bob"}, {"user": "bob"}])]


async def test_related_items(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        users, orders = await shop(tx)
        assert [item.key async for item in tx.related(users, "bob", orders)] == [1, 3]
        assert [item.key async for item in tx.related(users, Item("cid"), orders)] == []
        assert [item async for item in tx.related(orders, 2, users)] == [Item("ann", {"n": 1})]
        assert [page async for page in tx.related(users, "bob", orders).pages(1)] != []
        await orders.add(4, {"user": "cid"})
        assert [item.key async for item in tx.related(users, "cid", orders)] == [4]


@dataclass
class Enrolment:
    student: int
    course: str


async def school(tx: sopasync.Transaction) -> tuple[Any, Any, Any]:
    students = await tx.new_btree("students")
    courses = await tx.new_btree("courses")
    links = await tx.new_btree(
        "enrolments",
        BtreeOptions(
            relations=[
                Relation(["student"], "students", ["id"]),
                Relation(["course"], "courses", ["id"]),
            ],
            indexes=[SecondaryIndex("by_course", ["course"])],
        ),
        key_type=Enrolment,
    )
    return students, courses, links


async def test_many_to_many_through_a_link_store(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        students, courses, links = await school(tx)
        await students.add([(number, f"s{number}") for number in range(5)])
        await courses.add([(name, name.upper()) for name in "abc"])
        pairs = [(0, "a"), (0, "b"), (1, "b"), (3, "a"), (3, "c")]
        await links.add([(Enrolment(*pair), 1) for pair in pairs])
        found = [(row.left.key, row.right.key) async for row in tx.join(students, courses, through=links)]
        assert found == pairs
        back = [(row.left.key, row.right.key) async for row in tx.join(courses, students, through=links)]
        assert back == sorted((course, student) for student, course in pairs)
        row = (await rows(tx.join(students, courses, through=links)))[0]
        assert row.link == Item(Enrolment(0, "a"), 1)
        outer = await rows(tx.join(students, courses, through=links, how="left"))
        assert [row.left.key for row in outer if row.right is None] == [2, 4]
        assert [item.key async for item in tx.related(students, 3, courses, through=links)] == ["a", "c"]
        assert [item.value async for item in tx.related(courses, "b", students, through=links)] == [
            "s0",
            "s1",
        ]


@pytest.mark.parametrize("seed", range(8))
async def test_joins_agree_with_nested_loops(db: sopasync.Database, seed: int) -> None:
    chance = random.Random(seed)
    fields: Callable[[], Any] = lambda: chance.choice([None, 1, 1.0, 2, "a", b"a", True, [1], (1, 2)])  # noqa: E731
    async with db.begin_transaction() as tx:
        left = await tx.new_btree("left", BtreeOptions(is_unique=bool(seed % 2)))
        right = await tx.new_btree(
            "right",
            BtreeOptions(
                is_unique=bool(seed % 3),
                relations=[Relation(["v"], "left", ["w"])],
            ),
        )
        lefts = [(number, {"w": fields()} if chance.random() < 0.9 else {}) for number in range(40)]
        rights = [
            (number, {"v": value} if value != [1] else {}) for number in range(40) for value in [fields()]
        ]
        await left.add(lefts)
        await right.add(rights)
        await tx.create_index("right", SecondaryIndex("by_v", ["v"]))
        relation = Relation(["w"], "right", ["v"])
        found = [(row.left.key, row.right.key) async for row in tx.join(left, right, relation=relation)]
        absent = object()

        def equal(one: Any, other: Any) -> bool:
            if one is absent or other is absent or isinstance(one, list):
                return False
            return isinstance(one, bool) == isinstance(other, bool) and one == other

        wanted = [
            (key, other)
            for key, value in lefts
            for other, its in rights
            if equal(value.get("w", absent), its.get("v", absent))
        ]
        assert found == wanted
        paged = [keys(page) async for page in tx.join(left, right, relation=relation).pages(7)]
        assert [row[:2] for page in paged for row in page] == wanted
        assert all(len(page) == 7 for page in paged[:-1])


async def test_a_join_in_pages_over_many_rows_of_one_item(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        users = await tx.new_btree("users")
        orders = await tx.new_btree("orders", OF_USER)
        await users.add([("ann", 1), ("bob", 2)])
        await orders.add([(number, {"user": "ann" if number % 3 else "bob"}) for number in range(5000)])
        found = [row async for row in tx.join(users, orders)]
        assert len(found) == 5000
        assert [row.right.key for row in found if row.left.key == "bob"] == list(range(0, 5000, 3))


async def test_a_join_goes_on_behind_many_items_without_a_partner(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        users = await tx.new_btree("users")
        orders = await tx.new_btree("orders", OF_USER)
        await users.add("zoe", 1)
        # More than a page holds, in items and in bytes.
        await orders.add([(number, {"user": "nobody", "note": "x" * 1000}) for number in range(6000)])
        await orders.add(6000, {"user": "zoe"})
        assert keys(await rows(tx.join(orders, users))) == [(6000, "zoe", None)]
        assert [len(page) async for page in tx.join(orders, users).pages()] == [1]
        assert [len(left.keys) async for left, _ in tx.join(orders, users).columns()] == [1]
        assert len(await rows(tx.join(orders, users, how="left"))) == 6001


async def test_a_partner_of_many_is_one_object_in_a_page_and_as_it_is_now(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        users = await tx.new_btree("users")
        orders = await tx.new_btree("orders", OF_USER)
        await users.add([("ann", {"n": 0}), ("bob", {"n": 0})])
        await orders.add([(number, {"user": ["ann", "bob", "cid"][number % 3]}) for number in range(99)])
        changes = 0
        async for page in tx.join(orders, users, how="left").pages(10):
            partners = {row.right.key: row.right for row in page if row.right is not None}
            for row in page:
                name = row.left.value["user"]
                assert row.right is partners.get(name)
                assert row.right is None or row.right.value == {"n": changes}
            changes += 1
            await users.upsert([("ann", {"n": changes}), ("bob", {"n": changes})])
        assert changes == 10


async def test_bad_joins_have_a_message(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        users, orders = await shop(tx)
        other = await tx.new_btree("other", BtreeOptions(relations=[Relation(["a"], "users", ["id"])]))
        with pytest.raises(InvalidArgumentError, match="have no relation"):
            tx.join(orders, other)
        with pytest.raises(
            InvalidArgumentError, match="neither a key nor an index that begins with a: make one"
        ):
            tx.join(users, other)
        with pytest.raises(InvalidArgumentError, match="how is 'inner' or 'left', not 'outer'"):
            tx.join(users, orders, how="outer")  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentError, match="a page of 0 rows"):
            tx.join(users, orders).pages(0)
        with pytest.raises(InvalidArgumentError, match="leads to store 'nowhere'"):
            tx.join(users, orders, relation=Relation(["a"], "nowhere", ["b"]))
        twice = await tx.new_btree(
            "twice",
            BtreeOptions(relations=[Relation(["a"], "users", ["id"]), Relation(["b"], "users", ["id"])]),
        )
        with pytest.raises(InvalidArgumentError, match="have 2 relations"):
            tx.join(twice, users)
        assert await rows(tx.join(twice, users, relation=Relation(["b"], "users", ["id"]))) == []
    async with db.begin_transaction() as tx:
        with pytest.raises(InvalidArgumentError, match="opened in another transaction"):
            tx.join(await tx.open_btree("users"), orders)
    with pytest.raises(sopasync.TransactionClosedError):
        tx.join(users, orders)
    with pytest.raises(InvalidArgumentError, match="on_delete is"):
        Relation(["a"], "b", ["c"], on_delete="ignore")  # type: ignore[arg-type]


# -- enforced -------------------------------------------------------------------------------------


async def test_an_item_must_refer_to_one_that_is_there(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        users, orders = await shop(tx, ENFORCED["restrict"])
        with pytest.raises(
            sopasync.RelationError, match="refers to an item of store 'users' that is not there"
        ) as caught:
            await orders.add(4, {"user": "zoe"})
        assert (caught.value.store, caught.value.key, caught.value.other_store) == ("orders", 4, "users")
        with pytest.raises(sopasync.RelationError):
            await orders.update(1, {"user": "zoe"})
        with pytest.raises(sopasync.RelationError):
            await orders.upsert([(5, {"user": "ann"}), (6, {"user": "zoe"})])
        assert await orders.count() == 3
        await orders.add(7, {})
        await users.add("zoe", {})
        await orders.add(4, {"user": "zoe"})
    assert not (await db.check()).problems


async def test_restrict_and_cascade(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        users, orders = await shop(tx, ENFORCED["restrict"])
        with pytest.raises(sopasync.RelationError, match="is referred to by store 'orders'") as caught:
            await users.remove("bob")
        assert (caught.value.store, caught.value.key, caught.value.other_store) == ("users", "bob", "orders")
        with pytest.raises(sopasync.RelationError):
            await users.remove(["cid", "bob"])
        assert await users.count() == 3
        await orders.remove([1, 3])
        await users.remove("bob")
        lines = await tx.new_btree(
            "lines", BtreeOptions(relations=[Relation(["order"], "orders", ["id"], on_delete="cascade")])
        )
        await lines.add([(number, {"order": 2}) for number in range(600)])
        await orders.remove(2)
        assert await lines.count() == 0
        await users.remove("ann")
    with pytest.raises(InvalidArgumentError, match="items of store 'orders' refer to it"):
        await db.remove_btree("users")
    assert not (await db.check()).problems


async def test_items_that_refer_to_their_own_store(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        staff = await tx.new_btree(
            "staff", BtreeOptions(relations=[Relation(["boss"], "staff", ["id"], on_delete="cascade")])
        )
        await staff.add([("a", {"boss": "a"}), ("b", {"boss": "a"}), ("c", {"boss": "b"}), ("d", {})])
        await staff.update("a", {"boss": "c"})
        await staff.remove("b")
        assert [key async for key in staff.keys()] == ["d"]
        assert [row.left.key async for row in tx.join(staff, staff)] == []
    await db.remove_btree("staff")


@dataclass
class Part:
    order: int
    line: int


async def test_a_relation_to_record_keys_in_any_order(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        parts = await tx.new_btree("parts", key_type=Part)
        notes = await tx.new_btree(
            "notes",
            BtreeOptions(relations=[Relation(["l", "o"], "parts", ["line", "order"], on_delete="cascade")]),
        )
        await parts.add([(Part(1, 1), "x"), (Part(1, 2), "y")])
        await notes.add("n", {"o": 1, "l": 2})
        with pytest.raises(sopasync.RelationError):
            await notes.add("m", {"o": 2, "l": 1})
        assert [row.right.key async for row in tx.join(notes, parts)] == [Part(1, 2)]
        assert [row.left.key async for row in tx.join(parts, notes)] == [Part(1, 2)]
        await parts.remove(Part(1, 2))
        assert await notes.count() == 0
        with pytest.raises(
            InvalidArgumentError, match="the whole key of store 'parts', which is order, line"
        ):
            await tx.new_btree(
                "bad", BtreeOptions(relations=[Relation(["o"], "parts", ["order"], on_delete="restrict")])
            )
        with pytest.raises(
            sopasync.StoreNotFoundError, match="refers to store 'nowhere', which is not there"
        ):
            await tx.new_btree(
                "bad", BtreeOptions(relations=[Relation(["o"], "nowhere", ["id"], on_delete="restrict")])
            )
        await tx.new_btree("many", BtreeOptions(is_unique=False))
        with pytest.raises(InvalidArgumentError, match="keys of store 'many' repeat"):
            await tx.new_btree(
                "bad", BtreeOptions(relations=[Relation(["o"], "many", ["id"], on_delete="restrict")])
            )
        assert "bad" not in [store.name for store in await tx.stores()]


@pytest.mark.parametrize("policy", ["restrict", "cascade"])
@pytest.mark.parametrize("isolation", ["serializable", "snapshot", "none"])
@pytest.mark.parametrize("insert_first", [True, False])
async def test_removing_and_referring_at_once_conflict(
    db: sopasync.Database, policy: str, isolation: Any, insert_first: bool
) -> None:
    async with db.begin_transaction() as tx:
        await shop(tx, ENFORCED[policy])

    def begin() -> sopasync.Transaction:
        if isolation == "none":
            return db.begin_transaction(sopasync.TransactionMode.NO_CHECK)
        return db.begin_transaction(isolation=isolation)

    inserting, removing = begin(), begin()
    inserting.begin()
    removing.begin()
    await (await inserting.open_btree("orders")).add(9, {"user": "cid"})
    await (await removing.open_btree("users")).remove("cid")
    first, second = (inserting, removing) if insert_first else (removing, inserting)
    await first.commit()
    with pytest.raises(sopasync.ConflictError):
        await second.commit()
    assert not (await db.check()).problems


async def test_relations_are_in_the_description(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        await shop(tx, ENFORCED["cascade"])
        await tx.new_btree("orders", ENFORCED["cascade"])
        with pytest.raises(sopasync.StoreExistsError, match="its relations are other ones"):
            await tx.new_btree("orders", ENFORCED["restrict"])
    async with db.begin_transaction() as tx:
        described = await tx.describe("orders")
        assert described.relations == (Relation(["user"], "users", ["id"], on_delete="cascade"),)
        with pytest.raises(InvalidArgumentError, match="keeps an enforced relation: drop that"):
            await tx.drop_index("orders", "user -> users")
        (index,) = (await tx.open_btree("orders")).indexes()
        assert (index.target_store, index.on_delete, index.name) == ("users", "cascade", "user -> users")


@pytest.mark.parametrize("enforced", [True, False])
async def test_an_enforced_relation_leads_to_the_key_whatever_fields_have_its_name(
    db: sopasync.Database, enforced: bool
) -> None:
    """Given values with an indexed field that has the name by which a relation calls the single key."""
    relation = Relation(["user"], "users", ["id"], on_delete="restrict" if enforced else None)
    async with db.begin_transaction() as tx:
        users = await tx.new_btree("users", BtreeOptions(indexes=[SecondaryIndex("by_id", ["id"])]))
        await users.add([("ann", {"id": "bob"}), ("bob", {"id": "ann"})])
        orders = await tx.new_btree("orders", BtreeOptions(relations=[relation]))
        await orders.add(1, {"user": "ann"})
        met = "ann" if enforced else "bob"
        assert [row.right.key async for row in tx.join(orders, users)] == [met]
        if enforced:
            assert [row.left.key async for row in tx.join(users, orders)] == [met]
