"""A participant against a dict: random calls, commits and rollbacks on pages of 512 bytes."""

from __future__ import annotations

import tempfile
import uuid
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sopasync import _core

SCALARS = _core.KeyCodec(unique=True)
SERIALIZABLE = 2


def make(
    engine: _core.Engine, codec: _core.KeyCodec = SCALARS
) -> tuple[_core.Transaction, _core.Participant]:
    """A new store in a new transaction."""
    tx = engine.begin(SERIALIZABLE, False)
    store = tx.create_store(f"store-{uuid.uuid4()}", 1, b"")
    return tx, tx.participant(store.id, codec)


def everything(participant: _core.Participant, **options: Any) -> list[Any]:
    """All pages of a scan, one after the other."""
    items, low, page_bound = [], None, {}
    while True:
        page = participant.scan(low, None, limit=3, **page_bound, **options)
        assert page is not _core.MISS
        items += page[0]
        if page[1] is None:
            return items
        low, page_bound = page[1], {"lo_open": True}


class ParticipantModel(RuleBasedStateMachine):
    """A unique store against a dict, across transactions, savepoints and pages of 512 bytes."""

    keys = st.integers(0, 40) | st.text("ab", max_size=3)
    bodies = st.binary(max_size=300)

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.engine = _core.Engine.open(f"{self.folder.name}/db", page_bytes=512)
        self.tx, self.store = make(self.engine)
        self.committed: dict[Any, bytes] = {}
        self.model: dict[Any, bytes] = {}

    @rule(key=keys, value=bodies)
    def add(self, key: Any, value: bytes) -> None:
        assert self.store.add(key, value) is (key not in self.model)
        self.model.setdefault(key, value)

    @rule(key=keys, value=bodies)
    def upsert(self, key: Any, value: bytes) -> None:
        self.store.upsert(key, value)
        self.model[key] = value

    @rule(key=keys, value=bodies)
    def update(self, key: Any, value: bytes) -> None:
        assert self.store.update(key, value) is (key in self.model)
        if key in self.model:
            self.model[key] = value

    @rule(key=keys)
    def remove(self, key: Any) -> None:
        assert self.store.remove(key) is (key in self.model)
        self.model.pop(key, None)

    @rule(pairs=st.lists(st.tuples(keys, bodies), max_size=8))
    def add_many(self, pairs: list[tuple[Any, bytes]]) -> None:
        wanted, trial = -1, dict(self.model)
        for index, (key, value) in enumerate(pairs):
            if key in trial:
                wanted = index
                break
            trial[key] = value
        assert self.store.add_many([key for key, _ in pairs], [value for _, value in pairs]) == wanted
        if wanted == -1:
            self.model = trial

    @rule(some=st.lists(keys, max_size=8))
    def remove_many(self, some: list[Any]) -> None:
        wanted, trial = -1, dict(self.model)
        for index, key in enumerate(some):
            if key not in trial:
                wanted = index
                break
            del trial[key]
        assert self.store.remove_many(some) == wanted
        if wanted == -1:
            self.model = trial

    @rule(keep=st.booleans())
    def end(self, keep: bool) -> None:
        if keep:
            self.tx.commit()
            self.committed = dict(self.model)
        else:
            self.tx.rollback()
            self.model = dict(self.committed)
        self.tx = self.engine.begin(SERIALIZABLE, False)
        known = [info.id for info in self.tx.stores()]
        if not known:
            self.tx, self.store = make(self.engine)
        else:
            self.store = self.tx.participant(known[0], SCALARS)

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "store"):
            return
        order = sorted(self.model, key=SCALARS.encode)
        assert everything(self.store) == [(key, self.model[key]) for key in order]
        assert self.store.count() == len(order)
        for place in (0, len(order) // 2, len(order)):
            wanted = SCALARS.encode(order[place]) if place < len(order) else None
            assert self.store.skip(None, None, False, place) == wanted

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.tx.rollback()
            self.engine.close()
            self.folder.cleanup()


ParticipantModel.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestParticipantModel = ParticipantModel.TestCase
