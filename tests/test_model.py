"""Random operations against a plain dictionary of versions, with small pages and a small cache."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import sopasync
from sopasync import Database, TransactionOutcome

KEYS = st.one_of(
    st.integers(0, 60), st.integers(0, 20).map(lambda n: f"key {n:03}"), st.tuples(st.integers(0, 5))
)
VALUES = st.one_of(
    st.none(), st.integers(), st.text(max_size=20), st.integers(1, 4000).map(lambda n: "x" * n)
)


def order(key: Any) -> Any:
    """Numbers before texts before tuples."""
    return (isinstance(key, tuple) * 2 + isinstance(key, str), key)


class Model(RuleBasedStateMachine):
    """Several transactions at once; each must read exactly its snapshot and its own writes."""

    @initialize(page_bytes=st.sampled_from([512, 1024, 8192]))
    def open(self, page_bytes):
        self.runner = asyncio.Runner()
        self.path = Path(tempfile.mkdtemp(prefix="sopasync-model-")) / "database"
        self.page_bytes = page_bytes
        self.committed: dict[Any, Any] = {}
        self.changed_at: dict[Any, int] = {}
        self.versions = 0
        self.open_ones: list[Any] = []
        self.await_(self.reopen())
        self.await_(self.make())

    def await_(self, awaitable):
        return self.runner.run(awaitable)

    async def reopen(self):
        self.db = Database(self.path, page_bytes=self.page_bytes, cache_bytes=1 << 20)
        await self.db.open()

    async def make(self):
        async with self.db.begin_transaction() as tx:
            await tx.new_btree("s")

    def any_open(self):
        return bool(self.open_ones)

    @rule(isolation=st.sampled_from(["serializable", "snapshot"]))
    @precondition(lambda self: len(self.open_ones) < 3)
    def begin(self, isolation):
        async def begin():
            tx = self.db.begin_transaction(isolation=isolation)
            tx.begin()
            return tx, await tx.open_btree("s")

        tx, store = self.await_(begin())
        self.open_ones.append(
            {
                "tx": tx,
                "store": store,
                "view": dict(self.committed),
                "at": self.versions,
                "written": set(),
                "read": set(),
            }
        )

    @rule(key=KEYS, value=VALUES, which=st.integers(0, 2))
    @precondition(any_open)
    def upsert(self, key, value, which):
        one = self.open_ones[which % len(self.open_ones)]
        self.await_(one["store"].upsert(key, value))
        one["view"][key] = value
        one["written"].add(key)

    @rule(rows=st.dictionaries(KEYS, VALUES, max_size=30), which=st.integers(0, 2))
    @precondition(any_open)
    def add_list(self, rows, which):
        one = self.open_ones[which % len(self.open_ones)]
        one["read"].update(rows)
        if any(key in one["view"] for key in rows):
            with pytest.raises(sopasync.DuplicateKeyError):
                self.await_(one["store"].add(list(rows.items())))
        else:
            self.await_(one["store"].add(list(rows.items())))
            one["view"].update(rows)
            one["written"].update(rows)

    @rule(key=KEYS, which=st.integers(0, 2))
    @precondition(any_open)
    def discard(self, key, which):
        one = self.open_ones[which % len(self.open_ones)]
        one["read"].add(key)
        assert self.await_(one["store"].discard(key)) == (key in one["view"])
        if one["view"].pop(key, self) is not self:
            one["written"].add(key)

    @rule(key=KEYS, which=st.integers(0, 2))
    @precondition(any_open)
    def get(self, key, which):
        one = self.open_ones[which % len(self.open_ones)]
        one["read"].add(key)
        assert self.await_(one["store"].get(key, "absent")) == one["view"].get(key, "absent")

    @rule(start=KEYS, stop=KEYS, reverse=st.booleans(), which=st.integers(0, 2))
    @precondition(any_open)
    def scan(self, start, stop, reverse, which):
        one = self.open_ones[which % len(self.open_ones)]

        async def scan():
            scanned = one["store"].items(start=start, stop=stop, reverse=reverse)
            return [tuple(item) async for item in scanned]

        inside = [
            (key, value) for key, value in one["view"].items() if order(start) <= order(key) < order(stop)
        ]
        inside.sort(key=lambda item: order(item[0]), reverse=reverse)
        assert self.await_(scan()) == inside
        one["range_read"] = True

    @rule(which=st.integers(0, 2))
    @precondition(any_open)
    def savepoint_undone(self, which):
        one = self.open_ones[which % len(self.open_ones)]

        async def undone():
            async with one["tx"].savepoint():
                await one["store"].upsert([(number, "undone") for number in range(20)])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            self.await_(undone())

    @rule(which=st.integers(0, 2), commit=st.booleans())
    @precondition(any_open)
    def end(self, which, commit):
        one = self.open_ones.pop(which % len(self.open_ones))
        if not commit:
            one["tx"].rollback()
            return
        clash = {key for key in one["written"] if self.changed_at.get(key, 0) > one["at"]}
        stale = {key for key in one["read"] if self.changed_at.get(key, 0) > one["at"]}
        try:
            self.await_(one["tx"].commit())
        except sopasync.ConflictError:
            assert one["tx"].outcome is TransactionOutcome.ROLLED_BACK
            assert self.versions > one["at"], "a conflict without another commit"
            return
        if one["tx"].isolation == "serializable" and one["written"]:
            assert not clash, "a lost update was accepted"
            assert not stale, "a stale read was accepted"
        elif one["written"]:
            assert not clash, "a lost update was accepted"
        if one["written"]:
            self.versions += 1
        for key in one["written"]:
            self.changed_at[key] = self.versions
            if key in one["view"]:
                self.committed[key] = one["view"][key]
            else:
                self.committed.pop(key, None)

    @rule()
    def checkpoint(self):
        self.await_(self.db.checkpoint())

    @rule()
    def close_and_reopen(self):
        for one in self.open_ones:
            one["tx"].rollback()
        self.open_ones = []
        self.await_(self.db.aclose())
        self.await_(self.reopen())

    @invariant()
    def what_is_committed_is_there(self):
        if not hasattr(self, "db"):
            return

        async def read():
            async with self.db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
                store = await tx.open_btree("s")
                return [tuple(item) async for item in store.items()], await store.count()

        found, count = self.await_(read())
        assert found == sorted(self.committed.items(), key=lambda item: order(item[0]))
        assert count == len(found)

    def teardown(self):
        if hasattr(self, "db"):
            self.await_(self.db.aclose())
            self.runner.close()
            shutil.rmtree(self.path.parent)


Model.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestModel = Model.TestCase
