"""Lists against the same items one by one: the same data, the same indexes, the same refusal of the same item."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

import sopasync
from sopasync import (
    BtreeOptions,
    IndexFieldSpecification,
    IndexSpecification,
    Relation,
    SecondaryIndex,
    sync,
)

MAILS = SecondaryIndex("mails", ["mail"], unique=True)
AGES = SecondaryIndex("ages", [IndexFieldSpecification("age", ascending_sort_order=False)])
PAIRS = SecondaryIndex("pairs", ["age", "note"], unique=True)
RESTRICTED = Relation(["person"], "people", ["id"], on_delete="restrict")
CASCADING = Relation(["person"], "people", ["id"], on_delete="cascade")
PARENTS = Relation(["parent"], "rows", ["id"], on_delete="cascade")

LAYOUTS = {
    "unique": BtreeOptions(indexes=[MAILS]),
    "two unique and one not": BtreeOptions(indexes=[PAIRS, AGES, MAILS]),
    "restrict": BtreeOptions(relations=[RESTRICTED], indexes=[AGES]),
    "cascade": BtreeOptions(relations=[CASCADING], indexes=[MAILS]),
    "own store": BtreeOptions(relations=[PARENTS], indexes=[MAILS]),
    "not indexed": BtreeOptions(),
}
RECORDS = BtreeOptions(
    indexes=[SecondaryIndex("notes", ["key.note"], unique=True), MAILS], relations=[RESTRICTED]
)

REFUSED = (sopasync.StoreError,)


@dataclass
class Side:
    """One of two databases with the same contents; one is given lists, the other their items."""

    db: sync.Database
    tx: Any = None

    def begin(self) -> None:
        self.tx = self.db.begin_transaction()
        self.tx.begin()

    def store(self, name: str) -> Any:
        return self.tx.open_btree(name)

    def contents(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in ("people", "rows"):
            store = self.store(name)
            found[name] = [(item.key, item.value) for item in store.items()]
            for index in store.indexes():
                found[f"{name}: {index.name}"] = list(store.index(index.name).entries())
        return found


def in_lists(side: Side, name: str, call: str, items: list[Any]) -> Any:
    return getattr(side.store(name), call)(items)


def one_by_one(side: Side, name: str, call: str, items: list[Any]) -> Any:
    store = side.store(name)
    one = getattr(store, call)
    with side.tx.savepoint():
        for place, item in enumerate(items):
            try:
                result = one(item) if call == "remove" else one(*item)
            except sopasync.StoreError as error:
                error.add_note(str(place))
                raise
            if result is False:
                raise ZeroDivisionError
    return None if call == "upsert" else True


def outcome(write: Callable[..., Any], side: Side, *call: Any) -> tuple[Any, ...]:
    """What a call gave: its result, or of its refusal all that tells which item it was and why."""
    try:
        return ("result", write(side, *call))
    except ZeroDivisionError:
        return ("result", False)
    except REFUSED as error:
        names = ("key", "held_by", "index_name", "field", "other_store", "other_key")
        facts = [getattr(error, name, None) for name in names]
        place = getattr(error, "index", None)
        if place is None and type(error) in (sopasync.DuplicateKeyError, sopasync.KeyNotFound):
            place = int(error.__notes__[0])
        return (type(error), facts, place)


class Chance:
    """Random calls; `keys` says how many keys, and fields that are there once, there are about."""

    def __init__(self, seed: int, keys: int, longest: int, *, records: bool) -> None:
        self.random = random.Random(seed)
        self.keys = keys
        self.longest = longest
        self.records = records

    def value(self) -> dict[str, Any]:
        chance = self.random
        value: dict[str, Any] = {"n": chance.randrange(1000)}
        if chance.random() < 0.9:
            value["mail"] = chance.randrange(self.keys * (3 if self.longest < 50 else 300))
        if chance.random() < 0.5:
            value["age"] = chance.choice([None, 1, 2, "old"])
            value["note"] = chance.randrange(self.keys * 3)
        if chance.random() < 0.7:
            value["person"] = chance.randrange(8 if chance.random() < 0.1 else 6)
        if chance.random() < 0.5:
            value["parent"] = chance.randrange(self.keys)
        if chance.random() < 0.004:
            value["mail"] = [1]
        return value

    def key(self) -> Any:
        number = self.random.randrange(self.keys)
        if not self.records:
            return number
        return {"a": number // 3, "b": number % 3, "note": self.random.randrange(self.keys * 3)}

    def call(self) -> tuple[str, str, list[Any]]:
        chance = self.random
        length = chance.choice([0, 1, 2, 4, self.longest])
        if chance.random() < 0.15:
            people = [chance.randrange(8) for _ in range(chance.randrange(4))]
            if chance.random() < 0.4:
                return "people", "remove", people
            return "people", chance.choice(["add", "upsert"]), [(key, {}) for key in people]
        keys = [self.key() for _ in range(length)]
        if chance.random() < 0.6 and not self.records:
            keys = list(dict.fromkeys(keys))
        if chance.random() < 0.3 and not self.records:
            keys.sort()
        call = chance.choice(["add", "update", "upsert", "remove", "add_if_not_exists"])
        return "rows", call, keys if call == "remove" else [(key, self.value()) for key in keys]

    def moved(self, rows: list[tuple[Any, Any]]) -> list[Any]:
        """Values that change places: each of some items gets that of the next one, in one order or another."""
        some = self.random.sample(rows, min(len(rows), self.random.randrange(2, 5)))
        free = dict(some[0][1], mail=self.keys * 1000 + self.random.randrange(1000))
        values = [*(value for _, value in some[1:]), free]
        if self.random.random() < 0.3:
            values.reverse()
        items = [(key, value) for (key, _), value in zip(some, values, strict=True)]
        return items if self.random.random() < 0.5 else items[::-1]


def compare(folder: Path, chance: Chance, options: BtreeOptions, calls: int) -> set[Any]:
    """Give the same calls to both sides; returns what came of them, so that a test can tell that it saw enough."""
    seen: set[Any] = set()
    with sync.Database(folder / "many") as many, sync.Database(folder / "one") as one:
        sides = (Side(many), Side(one))
        spec = [IndexFieldSpecification("a"), IndexFieldSpecification("b", ascending_sort_order=False)]
        for side in sides:
            side.begin()
            side.tx.new_btree("people").add([(key, {}) for key in range(6)])
            index_spec = IndexSpecification(spec) if chance.records else None
            side.tx.new_btree("rows", options, index_spec=index_spec)
        for number in range(calls):
            name, call, items = chance.call()
            rows = [(item.key, item.value) for item in sides[0].store("rows").items()]
            if len(rows) > 2 and chance.random.random() < 0.2:
                name, call, items = "rows", chance.random.choice(["update", "upsert"]), chance.moved(rows)
            got = outcome(in_lists, sides[0], name, call, items)
            assert got == outcome(one_by_one, sides[1], name, call, items), (number, name, call, items)
            seen.add((call, got[0], len(items) > 1))
            contents = sides[0].contents()
            assert contents == sides[1].contents(), (number, name, call, items)
            if chance.random.random() < 0.3:
                for side in sides:
                    side.tx.commit()
                    side.begin()
                assert sides[0].contents() == contents
        for side in sides:
            side.tx.commit()
            assert not side.db.check().problems
    return seen


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_list_is_what_its_items_are_one_by_one(tmp_path: Path, layout: str) -> None:
    seen: set[Any] = set()
    for seed in range(8):
        chance = Chance(seed, keys=12, longest=9, records=False)
        seen |= compare(tmp_path / str(seed), chance, LAYOUTS[layout], calls=60)
    for call in ("add", "update", "upsert"):
        assert {(call, "result", True), (call, "result", False)} <= seen, call
    if layout != "not indexed":
        refusal = sopasync.RelationError if layout == "restrict" else sopasync.UniqueIndexError
        assert {(call, refusal, True) for call in ("update", "upsert")} <= seen


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_of_lists_of_several_pieces(tmp_path: Path, layout: str) -> None:
    for seed in range(2):
        chance = Chance(seed, keys=600, longest=300, records=False)
        compare(tmp_path / str(seed), chance, LAYOUTS[layout], calls=25)


def test_the_same_of_record_keys_and_what_rides_along(tmp_path: Path) -> None:
    for seed in range(8):
        chance = Chance(seed, keys=12, longest=9, records=True)
        compare(tmp_path / str(seed), chance, RECORDS, calls=60)


SHOP = BtreeOptions(indexes=[MAILS], relations=[RESTRICTED])


async def shop(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("people")).add([(key, {}) for key in range(10)])
        rows = await tx.new_btree("rows", SHOP)
        await rows.add([(key, {"mail": key, "person": key % 3}) for key in range(20)])


def begin(db: sopasync.Database, isolation: Any) -> sopasync.Transaction:
    if isolation == "none":
        return db.begin_transaction(sopasync.TransactionMode.NO_CHECK)
    return db.begin_transaction(isolation=isolation)


LISTS: dict[str, tuple[Any, Any]] = {
    "both take one entry": (
        lambda rows: rows.add([(30, {"mail": 100}), (31, {"mail": 101})]),
        lambda rows: rows.add([(40, {"mail": 101}), (41, {"mail": 102})]),
    ),
    "one takes what the other gives up": (
        lambda rows: rows.update([(1, {"mail": 100}), (2, {"mail": 101})]),
        lambda rows: rows.update([(1, {"mail": 102})]),
    ),
    "both change one item": (
        lambda rows: rows.upsert([(1, {"mail": 1, "n": 1}), (2, {"mail": 2, "n": 1})]),
        lambda rows: rows.upsert([(2, {"mail": 2, "n": 2}), (3, {"mail": 3, "n": 2})]),
    ),
    "both add one key": (
        lambda rows: rows.add([(30, {}), (31, {})]),
        lambda rows: rows.add([(31, {}), (32, {})]),
    ),
    "one removes what the other changes": (
        lambda rows: rows.remove([4, 5, 6]),
        lambda rows: rows.update([(6, {"mail": 6, "n": 1}), (7, {"mail": 7, "n": 1})]),
    ),
}


@pytest.mark.anyio
@pytest.mark.parametrize("what", LISTS)
@pytest.mark.parametrize("isolation", ["serializable", "snapshot", "none"])
@pytest.mark.parametrize("first", [0, 1])
async def test_lists_that_meet_conflict(db: sopasync.Database, what: str, isolation: Any, first: int) -> None:
    await shop(db)
    both = [begin(db, isolation), begin(db, isolation)]
    for tx, write in zip(both, LISTS[what], strict=True):
        tx.begin()
        await write(await tx.open_btree("rows"))
    await both[first].commit()
    with pytest.raises(sopasync.ConflictError):
        await both[1 - first].commit()
    assert not (await db.check()).problems


@pytest.mark.anyio
@pytest.mark.parametrize("isolation", ["serializable", "snapshot", "none"])
@pytest.mark.parametrize("list_first", [True, False])
async def test_a_list_that_refers_to_what_is_removed_conflicts(
    db: sopasync.Database, isolation: Any, list_first: bool
) -> None:
    await shop(db)
    referring, removing = begin(db, isolation), begin(db, isolation)
    referring.begin()
    removing.begin()
    await (await referring.open_btree("rows")).add([(30, {"person": 3}), (31, {"person": 9})])
    await (await removing.open_btree("people")).remove([8, 9])
    first, second = (referring, removing) if list_first else (removing, referring)
    await first.commit()
    with pytest.raises(sopasync.ConflictError):
        await second.commit()
    assert not (await db.check()).problems


@pytest.mark.anyio
async def test_a_list_that_was_refused_makes_no_conflict(db: sopasync.Database) -> None:
    await shop(db)
    async with db.begin_transaction(isolation="snapshot") as tx:
        rows = await tx.open_btree("rows")
        with pytest.raises(sopasync.UniqueIndexError):
            await rows.add([(30, {"mail": 1}), (31, {"mail": 31}), (32, {"mail": 32})])
        await rows.add(33, {"mail": 33})
        async with db.begin_transaction() as other:
            await (await other.open_btree("rows")).add([(31, {"mail": 31}), (32, {"mail": 32})])


@pytest.mark.anyio
@pytest.mark.parametrize("call", ["add", "update", "upsert", "remove"])
async def test_a_cancelled_list_leaves_nothing(db: sopasync.Database, call: str) -> None:
    await shop(db)
    items: list[Any] = [(key, {"mail": key, "person": key % 10}) for key in range(100, 40_100)]
    changed: list[Any] = [(key, {**value, "mail": value["mail"] + 50_000}) for key, value in items]
    async with db.begin_transaction() as tx:
        rows = await tx.open_btree("rows")
        if call != "add":
            await rows.add(items)
        before = (await rows.count(), await rows.index("mails").count(), await rows.get(200))
        given = [key for key, _ in items] if call == "remove" else items if call == "add" else changed
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:

                async def cancel() -> None:
                    await anyio.sleep(0)
                    scope.cancel()

                tasks.start_soon(cancel)
                await getattr(rows, call)(given)
        assert scope.cancelled_caught
        assert (await rows.count(), await rows.index("mails").count(), await rows.get(200)) == before
    assert not (await db.check()).problems
