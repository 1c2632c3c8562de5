"""Enforced relations added to stores that are in use, and dropped: all or nothing, and nobody slips in between."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import anyio
import msgspec
import pytest

import sopasync
from sopasync import BtreeOptions, InvalidArgumentError, Relation, SecondaryIndex
from sopasync._cli.program import main
from sopasync._schema import StoreSchema
from sopasync.sync import Database as SyncDatabase

pytestmark = pytest.mark.anyio

RESTRICT = Relation(["user"], "users", ["id"], on_delete="restrict")
CASCADE = Relation(["user"], "users", ["id"], on_delete="cascade")


async def shop(db: sopasync.Database, orders: int = 3) -> None:
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("users")).add([("ann", 1), ("bob", 2), ("cid", 3)])
        rows = [(number, {"user": ("ann", "bob")[number % 2]}) for number in range(orders)]
        await (await tx.new_btree("orders")).add([*rows, (99_999, {"note": "of nobody"})])


async def test_from_its_commit_on_a_relation_holds_for_what_was_there_and_what_comes(
    db: sopasync.Database,
) -> None:
    await shop(db, orders=5_000)
    async with db.begin_transaction() as tx:
        await tx.create_relation("orders", CASCADE)
        await tx.create_relation("orders", CASCADE)
        orders, users = await tx.open_btree("orders"), await tx.open_btree("users")
        with pytest.raises(sopasync.RelationError):
            await orders.add(6_000, {"user": "zoe"})
        assert await orders.index("user -> users").count() == 5_000
        await users.remove("ann")
        assert await orders.count() == 2_501
        assert orders.description.relations == (Relation(["user"], "users", ["key"], on_delete="cascade"),)
        assert [row.right.key async for row in tx.join(orders, users, stop=4)] == ["bob", "bob"]
    async with db.begin_transaction() as tx:
        users = await tx.open_btree("users")
        await users.remove("bob")
        assert await (await tx.open_btree("orders")).count() == 1
    assert not (await db.check()).problems


async def test_a_store_whose_items_refer_to_nothing_gets_no_relation_and_is_told_the_first(
    db: sopasync.Database,
) -> None:
    await shop(db)
    async with db.begin_transaction() as tx:
        orders = await tx.open_btree("orders")
        await orders.add([(number, {"user": f"gone{number}"}) for number in range(10, 20)])
        with pytest.raises(
            sopasync.RelationError,
            match=r"'user -> users' is not added to store 'orders': .* 'users': key 10 to 'gone10', "
            r"key 11 to 'gone11', key 12 to 'gone12', and more",
        ) as caught:
            await tx.create_relation("orders", RESTRICT)
        assert (caught.value.store, caught.value.key, caught.value.other_key) == ("orders", 10, "gone10")
        assert orders.indexes() == []
        await orders.remove(list(range(10, 20)))
        await orders.add(20, {"user": ["a", "list"]})
        with pytest.raises(sopasync.NotIndexableError, match="is not added to store 'orders': key 20: field"):
            await tx.create_relation("orders", RESTRICT)
        await orders.remove(20)
        await tx.create_relation("orders", RESTRICT)
    async with db.begin_transaction() as tx:
        with pytest.raises(sopasync.RelationError, match="is referred to by store 'orders'"):
            await (await tx.open_btree("users")).remove("ann")


@pytest.mark.parametrize("isolation", ["serializable", "snapshot", "none"])
@pytest.mark.parametrize("change", ["add", "update", "remove target"])
@pytest.mark.parametrize("relation_first", [True, False])
async def test_nobody_slips_in_between(
    db: sopasync.Database, isolation: Any, change: str, relation_first: bool
) -> None:
    """Given a writer and a relation being added at one snapshot, then one of the two is told to run again."""
    await shop(db)

    def begin() -> sopasync.Transaction:
        if isolation == "none":
            return db.begin_transaction(sopasync.TransactionMode.NO_CHECK)
        return db.begin_transaction(isolation=isolation)

    writing, relating = begin(), begin()
    writing.begin()
    relating.begin()
    orders, users = await writing.open_btree("orders"), await writing.open_btree("users")
    if change == "add":
        await orders.add(7, {"user": "zoe"})
    elif change == "update":
        await orders.upsert(1, {"user": "zoe"})
    else:
        await users.remove("bob")
    await relating.create_relation("orders", RESTRICT)
    first, second = (relating, writing) if relation_first else (writing, relating)
    await first.commit()
    with pytest.raises(sopasync.ConflictError):
        await second.commit()
    assert not (await db.check()).problems


async def test_a_relation_is_added_in_the_background_while_others_write_all_the_time(
    db: sopasync.Database,
) -> None:
    """Given writers that never stop, then one short commit adds it, and it holds once it is complete."""
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("users")).add([(number, None) for number in range(100)])
        await (await tx.new_btree("orders")).add(
            [(number, {"user": number % 100}) for number in range(8_000)]
        )
    done = False
    writes = [0, 0, 0]

    async def write(seed: int) -> None:
        random = Random(seed)

        async def change(tx: sopasync.Transaction) -> None:
            orders, users = await tx.open_btree("orders"), await tx.open_btree("users")
            if random.random() < 0.1:
                user = random.randrange(100)
                await orders.remove([key async for key, value in orders.items() if value["user"] == user])
                await users.discard(user)
                await users.add(user, None)
                return
            item = random.randrange(9_000), {"user": random.randrange(100)}
            await orders.upsert(*item)

        while not done:
            await db.run(change)
            writes[seed] += 1

    async with anyio.create_task_group() as tasks:
        for seed in range(3):
            tasks.start_soon(write, seed)
        while not all(writes):
            await anyio.sleep(0.01)
        await db.run(lambda tx: tx.create_relation("orders", RESTRICT, in_background=True))
        await db.settle("orders")
        wanted = [count + 5 for count in writes]
        while any(now < later for now, later in zip(writes, wanted, strict=True)):
            await anyio.sleep(0.01)
        done = True
    async with db.begin_transaction() as tx:
        orders, users = await tx.open_btree("orders"), await tx.open_btree("users")
        assert (await orders.index("user -> users").state()).stage == "ready"
        assert await orders.index("user -> users").count() == await orders.count()
        with pytest.raises(sopasync.RelationError):
            await users.remove((await orders.values().fetch(1))[0]["user"])
    assert not (await db.check()).problems


async def test_what_refers_to_nothing_is_told_by_a_relation_that_was_added_in_the_background(
    db: sopasync.Database,
) -> None:
    await shop(db)
    async with db.begin_transaction() as tx:
        await (await tx.open_btree("orders")).add(7, {"user": "zoe"})
    async with db.begin_transaction() as tx:
        await tx.create_relation("orders", RESTRICT, in_background=True)
        await tx.create_relation("orders", RESTRICT, in_background=True)
    await db.settle("orders")
    async with db.begin_transaction() as tx:
        orders, users = await tx.open_btree("orders"), await tx.open_btree("users")
        state = await orders.index("user -> users").state()
        assert (state.stage, state.key) == ("failed", 7)
        assert "refers to an item of store 'users' that is not there" in (state.reason or "")
        with pytest.raises(sopasync.RelationError):
            await orders.add(8, {"user": "yan"})
        await users.remove("cid")
        await tx.drop_relation("orders", RESTRICT)
        await users.add("zoe", 4)
    async with db.begin_transaction() as tx:
        await tx.create_relation("orders", RESTRICT, in_background=True)
    await db.settle("orders")
    async with db.begin_transaction() as tx:
        assert (await (await tx.open_btree("orders")).index("user -> users").state()).stage == "ready"
        with pytest.raises(sopasync.RelationError):
            await (await tx.open_btree("users")).remove("zoe")
    assert not (await db.check()).problems


async def test_a_refused_index_of_a_store_that_is_being_made_leaves_nothing(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("users")).add("ann", 1)
        orders = await tx.new_btree("orders")
        await orders.add([(1, {"user": "zoe", "no": 1}), (2, {"user": "zoe", "no": 1})])
        with pytest.raises(sopasync.RelationError):
            await tx.create_relation("orders", RESTRICT, in_background=True)
        with pytest.raises(sopasync.UniqueIndexError):
            await tx.create_index("orders", SecondaryIndex("by_no", ["no"], unique=True))
        assert orders.indexes() == []
    async with db.begin_transaction() as tx:
        assert (await tx.open_btree("orders")).indexes() == []
    assert not (await db.check()).problems


async def test_a_dropped_relation_is_no_longer_enforced_and_can_be_added_otherwise(
    db: sopasync.Database,
) -> None:
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("users")).add("ann", 1)
        orders = await tx.new_btree("orders", BtreeOptions(relations=[RESTRICT]))
        await orders.add(1, {"user": "ann"})
        with pytest.raises(InvalidArgumentError, match="has the relation 'user -> users' already"):
            await tx.create_relation("orders", CASCADE)
    async with db.begin_transaction() as tx:
        await tx.drop_relation("orders", CASCADE)  # whatever it does on delete
        assert (await tx.describe("orders")).relations == ()
        with pytest.raises(sopasync.IndexNotFoundError, match="enforces no relation 'user -> users'"):
            await tx.drop_relation("orders", "user -> users")
        await (await tx.open_btree("users")).remove("ann")
        with pytest.raises(sopasync.StoreExistsError, match="its relations are other ones"):
            await tx.new_btree("orders", BtreeOptions(relations=[RESTRICT]))
        with pytest.raises(sopasync.RelationError):
            await tx.create_relation("orders", CASCADE)
        await (await tx.open_btree("users")).add("ann", 1)
        await tx.create_relation("orders", CASCADE)
        await tx.new_btree("orders", BtreeOptions(relations=[CASCADE]))
    async with db.begin_transaction() as tx:
        await (await tx.open_btree("users")).remove("ann")
        assert await (await tx.open_btree("orders")).count() == 0


async def test_a_relation_to_record_keys_is_added_in_any_order_of_fields(db: sopasync.Database) -> None:
    relation = Relation(["l", "o"], "parts", ["line", "order"], on_delete="restrict")
    async with db.begin_transaction() as tx:
        spec = sopasync.IndexSpecification(
            [sopasync.IndexFieldSpecification("order"), sopasync.IndexFieldSpecification("line")]
        )
        await (await tx.new_btree("parts", index_spec=spec)).add({"order": 1, "line": 2}, "x")
        await (await tx.new_btree("notes")).add("n", {"o": 1, "l": 2})
    async with db.begin_transaction() as tx:
        await tx.create_relation("notes", relation)
        found = (await tx.describe("notes")).relations
        assert found == (Relation(["o", "l"], "parts", ["order", "line"], on_delete="restrict"),)
        await tx.new_btree("notes", BtreeOptions(relations=[relation]))
        await tx.drop_relation("notes", relation)
        assert (await tx.open_btree("notes")).relations() == ()


async def test_what_is_no_enforced_relation_is_refused(db: sopasync.Database) -> None:
    await shop(db)
    async with db.begin_transaction() as tx:
        with pytest.raises(InvalidArgumentError, match="a relation that is added is enforced"):
            await tx.create_relation("orders", Relation(["user"], "users", ["id"]))
        with pytest.raises(sopasync.StoreNotFoundError, match="refers to store 'nowhere'"):
            await tx.create_relation("orders", Relation(["user"], "nowhere", ["id"], on_delete="restrict"))
        with pytest.raises(sopasync.StoreNotFoundError):
            await tx.create_relation("nowhere", RESTRICT)
    async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
        with pytest.raises(sopasync.ReadOnlyError, match="add a relation to store 'orders'"):
            await tx.create_relation("orders", RESTRICT)
        with pytest.raises(sopasync.ReadOnlyError, match="drop a relation"):
            await tx.drop_relation("orders", RESTRICT)


def test_added_relations_survive_reopening_and_inspect_shows_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with SyncDatabase(tmp_path / "db") as db, db.begin_transaction() as tx:
        tx.new_btree("users").add("ann", 1)
        tx.new_btree("orders").add(1, {"user": "ann"})
    with SyncDatabase(tmp_path / "db") as db, db.begin_transaction() as tx:
        tx.create_relation("orders", RESTRICT)
    assert main(["inspect", "orders", "--db", str(tmp_path / "db")]) == 0
    assert "user -> users (key), enforced: on delete restrict" in capsys.readouterr().out
    with SyncDatabase(tmp_path / "db") as db:
        with db.begin_transaction() as tx, pytest.raises(sopasync.RelationError):
            tx.open_btree("users").remove("ann")
        with db.begin_transaction() as tx:
            tx.drop_relation("orders", RESTRICT)
            tx.open_btree("users").remove("ann")


def test_a_store_made_with_enforced_relations_is_refused_by_what_cannot_enforce_them() -> None:
    def form(schema: StoreSchema) -> int:
        assert StoreSchema.from_bytes("s", schema.to_bytes()) == schema
        return int(msgspec.msgpack.decode(schema.to_bytes())["format"])

    assert form(StoreSchema(relations=(Relation(["user"], "users", ["id"]),))) == 1
    assert form(StoreSchema(relations=(RESTRICT,))) == 2
    newer = msgspec.msgpack.encode(msgspec.msgpack.decode(StoreSchema().to_bytes()) | {"format": 3})
    with pytest.raises(sopasync.UnsupportedFormatError, match="schema format 3; this version reads up to 2"):
        StoreSchema.from_bytes("s", newer)
