"""An indexed store against plain dicts: random operations, savepoints, indexes added and dropped, old readers, reopening."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import sopasync
from sopasync import BtreeOptions, IndexFieldSpecification, SecondaryIndex, sync

KEYS = st.integers(0, 9)
CITIES = st.sampled_from([None, "", "a", "ab", "b\0", 1, 1.5])
VALUES = st.fixed_dictionaries(
    {"mail": st.integers(0, 14)},
    optional={"at": st.fixed_dictionaries({}, optional={"city": CITIES}), "age": st.integers(-2, 2)},
)
PLACES = SecondaryIndex("places", ["at.city", IndexFieldSpecification("age", ascending_sort_order=False)])
MAILS = SecondaryIndex("mails", ["mail"], unique=True)

Rows = dict[int, dict[str, Any]]


def rank(city: Any) -> tuple[Any, ...]:
    """The place of a value in the order of keys: None, numbers, texts by their bytes."""
    if city is None:
        return (0,)
    return (2, city.encode()) if isinstance(city, str) else (1, city)


def places(rows: Rows) -> list[int]:
    """Keys in the order of the index, found by sorting."""
    found = [
        (rank(row["at"]["city"]), -row["age"], key)
        for key, row in rows.items()
        if "city" in row.get("at", {}) and "age" in row
    ]
    return [key for *_, key in sorted(found)]


class Machine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="sopasync-index-model-")
        self.committed: Rows = {}
        self.there: set[str] = {"places", "mails"}
        self.open()
        with self.db.begin_transaction() as tx:
            tx.new_btree("rows", BtreeOptions(indexes=[PLACES, MAILS]))
        self.start()

    def open(self) -> None:
        self.db = sync.Database(Path(self.folder) / "database", page_bytes=512)
        self.db.__enter__()

    def start(self) -> None:
        self.tx = self.db.begin_transaction()
        self.tx.begin()
        self.store = self.tx.open_btree("rows")
        self.rows = dict(self.committed)

    @rule(key=KEYS, value=VALUES)
    def upsert(self, key: int, value: dict[str, Any]) -> None:
        holder = [other for other, row in self.rows.items() if row["mail"] == value["mail"]]
        if "mails" in self.there and holder not in ([], [key]):
            with pytest.raises(sopasync.UniqueIndexError) as caught:
                self.store.upsert(key, value)
            assert caught.value.held_by == holder[0]
            return
        self.store.upsert(key, value)
        self.rows[key] = value

    @rule(values=st.dictionaries(KEYS, VALUES, max_size=4))
    def upsert_many(self, values: Rows) -> None:
        changed = dict(self.rows)
        refused = False
        for key, value in values.items():
            mails = {row["mail"] for other, row in changed.items() if other != key}
            refused |= "mails" in self.there and value["mail"] in mails
            if not refused:
                changed[key] = value
        try:
            self.store.upsert(list(values.items()))
        except sopasync.UniqueIndexError:
            assert refused
            return
        assert not refused
        self.rows = changed

    @rule(key=KEYS)
    def discard(self, key: int) -> None:
        assert self.store.discard(key) == (key in self.rows)
        self.rows.pop(key, None)

    @rule(key=KEYS, value=VALUES)
    def undo(self, key: int, value: dict[str, Any]) -> None:
        try:
            with self.tx.savepoint():
                self.store.discard(key)
                self.store.upsert(key, value)
                raise ZeroDivisionError
        except (ZeroDivisionError, sopasync.UniqueIndexError):
            return

    @rule()
    def commit(self) -> None:
        self.tx.commit()
        self.committed = self.rows
        self.start()

    @rule()
    def rollback(self) -> None:
        self.tx.rollback()
        self.start()

    @rule(index=st.sampled_from([PLACES, MAILS]))
    def change_index(self, index: SecondaryIndex) -> None:
        self.tx.rollback()
        if index.name in self.there:
            with self.db.begin_transaction() as tx:
                tx.drop_index("rows", index.name)
            self.there.remove(index.name)
        else:
            with self.db.begin_transaction() as tx:
                tx.create_index("rows", index)
            self.db.settle("rows")
            mails = [row["mail"] for row in self.committed.values()]
            with self.db.begin_transaction() as tx:
                state = tx.open_btree("rows").index(index.name).state()
            if index is MAILS and len(set(mails)) < len(mails):
                assert state.stage == "failed"
                with self.db.begin_transaction() as tx:
                    tx.drop_index("rows", index.name)
            else:
                assert state.stage == "ready"
                self.there.add(index.name)
        self.start()

    @precondition(lambda self: self.rows == self.committed)
    @rule()
    def reopen(self) -> None:
        self.tx.rollback()
        self.db.__exit__(None, None, None)
        self.open()
        self.start()

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "store"):
            return
        assert {index.name for index in self.store.indexes()} == self.there
        if "places" in self.there:
            index = self.store.index("places")
            wanted = places(self.rows)
            assert list(index.keys()) == wanted
            assert list(index.keys(reverse=True)) == wanted[::-1]
            assert [(item.key, item.value) for item in index.items()] == [
                (key, self.rows[key]) for key in wanted
            ]
            texts = [key for key in wanted if str(self.rows[key]["at"]["city"]).startswith("a")]
            assert list(index.keys(prefix="a")) == texts
            assert index.count(start=1) == len(
                [k for k in wanted if rank(self.rows[k]["at"]["city"]) >= (1, 1)]
            )
        if "mails" in self.there:
            mails = {row["mail"]: key for key, row in self.rows.items()}
            assert list(self.store.index("mails").keys()) == [mails[mail] for mail in sorted(mails)]
            assert len(mails) == len(self.rows)

    def teardown(self) -> None:
        if not hasattr(self, "db"):
            return
        self.tx.rollback()
        assert not self.db.check().problems
        self.db.__exit__(None, None, None)
        shutil.rmtree(self.folder)


TestIndexModel = Machine.TestCase
TestIndexModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
