"""A vector store behaves as a dict and numpy's brute force do, whatever is done to it in whatever order."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sopasync import Database, Filter, TransactionMode, VectorConfig, field
from sopasync._filters import tree_of

DIMENSION = 3
IDS = st.integers(0, 15)
VECTORS = st.lists(st.integers(-4, 4), min_size=DIMENSION, max_size=DIMENSION)
PAYLOADS = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {}, optional={"n": st.integers(0, 5), "tags": st.lists(st.sampled_from("abc"), max_size=2)}
    ),
)
FILTERS = st.one_of(
    st.none(),
    st.builds(lambda n: {"n": n}, st.integers(0, 5)),
    st.builds(lambda n: field("n") < n, st.integers(0, 5)),
    st.builds(lambda tag: field("tags").isin([tag]), st.sampled_from("abc")),
    st.builds(
        lambda n, tag: (field("n") >= n) | ~(field("tags") == tag), st.integers(0, 5), st.sampled_from("abc")
    ),
    st.just(field("n").exists()),
)


class VectorStoreMachine(RuleBasedStateMachine):
    """One writing transaction at a time, and readers that keep their snapshots."""

    metric = "l2"

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.committed: dict = {}
        self.model: dict = {}
        self.readers: list = []
        self.tx = None
        self.savepoints: list = []

    def do(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    @initialize(metric=st.sampled_from(["l2", "cosine", "inner_product"]))
    def open(self, metric):
        self.metric = metric
        self.db = Database(self.folder / "database")
        self.do(self.db.open())
        self.begin()
        # Every field is there, so that no filter names an unknown one.
        self.upsert("first", [1, 0, 0], {"n": 9, "tags": ["z"]})
        self.commit()

    async def opened(self, mode, config=None):
        tx = self.db.begin_transaction(mode)
        tx.begin()
        return tx, await tx.open_vector_store("v", config)

    def begin(self):
        config = VectorConfig(DIMENSION, self.metric)
        self.tx, self.store = self.do(self.opened(TransactionMode.FOR_WRITING, config))
        self.model = dict(self.committed)
        self.savepoints = []

    @rule(key=IDS, vector=VECTORS, payload=PAYLOADS)
    def upsert(self, key, vector, payload):
        self.do(self.store.upsert(key, vector, payload))
        self.model[key] = (vector, payload)

    @rule(items=st.lists(st.tuples(IDS, VECTORS, PAYLOADS), max_size=20), as_array=st.booleans())
    def upsert_many(self, items, as_array):
        rows = [vector for _, vector, _ in items]
        if as_array:
            rows = np.array(rows, dtype=np.float64).reshape(-1, DIMENSION)
        self.do(
            self.store.upsert_many([key for key, _, _ in items], rows, [payload for _, _, payload in items])
        )
        self.model.update({key: (vector, payload) for key, vector, payload in items})

    @rule(key=IDS)
    def delete(self, key):
        assert self.do(self.store.delete(key)) is (self.model.pop(key, None) is not None)

    @rule(keys=st.lists(IDS, max_size=6))
    def delete_many(self, keys):
        there = {key for key in keys if self.model.pop(key, None) is not None}
        assert self.do(self.store.delete(keys)) == len(there)

    @rule(key=IDS)
    def get(self, key):
        item = self.do(self.store.get(key))
        assert (item is None) == (key not in self.model)
        if item is not None:
            assert (item.vector.tolist(), item.payload) == self.model[key]

    @rule(vector=VECTORS, k=st.integers(1, 20), given=FILTERS, exact=st.booleans())
    def query(self, vector, k, given, exact):
        self.compare(self.store, self.model, vector, k, given, exact)

    @rule(vector=VECTORS, radius=st.integers(-2, 6), given=FILTERS)
    def query_range(self, vector, radius, given):
        found = self.do(self.store.query_range(vector, radius + 0.2501, given))
        expected = [one for one in self.nearest(self.model, vector, given) if one[0] <= radius + 0.2501]
        assert len(found) == len(expected)
        assert all(abs(hit.distance - one[0]) < 1e-5 for hit, one in zip(found, expected, strict=True))
        assert {hit.id for hit in found} == {key for _, key in expected}

    @precondition(lambda self: self.readers)
    @rule(data=st.data(), vector=VECTORS, k=st.integers(1, 20), given=FILTERS)
    def query_old(self, data, vector, k, given):
        _, store, model = data.draw(st.sampled_from(self.readers))
        self.compare(store, model, vector, k, given, False)

    @rule()
    def savepoint(self):
        self.savepoints.append((self.tx._native.savepoint(), dict(self.model)))

    @precondition(lambda self: self.savepoints)
    @rule()
    def rollback_to(self):
        place, self.model = self.savepoints.pop()
        self.tx._native.rollback_to(place)

    @rule()
    def commit(self):
        self.do(self.tx.commit())
        self.committed = self.model
        self.begin()

    @rule()
    def rollback(self):
        self.tx.rollback()
        self.begin()

    @rule()
    def read_from_here_on(self):
        tx, store = self.do(self.opened(TransactionMode.FOR_READING))
        self.readers.append((tx, store, dict(self.committed)))
        if len(self.readers) > 3:
            self.readers.pop(0)[0].rollback()

    @rule()
    def settle(self):
        self.do(self.db.settle("v"))

    @rule()
    def reopen(self):
        for tx, _, _ in self.readers:
            tx.rollback()
        self.readers.clear()
        self.tx.rollback()
        self.do(self.db.aclose())
        self.db = Database(self.folder / "database")
        self.do(self.db.open())
        self.begin()

    @invariant()
    def has_what_the_model_has(self):
        if self.tx is not None:
            assert self.do(self.store.count()) == len(self.model)

    def nearest(self, model, vector, given):
        wanted = None if given is None else Filter(tree_of(given))
        chosen = [key for key, (_, payload) in model.items() if wanted is None or wanted.matches(payload)]
        if not chosen:
            return []
        rows = np.array([model[key][0] for key in chosen], dtype=np.float64)
        return sorted(
            zip(distances(self.metric, rows, np.array(vector, float)).tolist(), chosen, strict=True),
            key=lambda one: one[0],
        )

    def compare(self, store, model, vector, k, given, exact):
        hits = self.do(store.query(vector, k, given, exact=exact))
        expected = self.nearest(model, vector, given)
        assert len(hits) == min(k, len(expected)), "always k, or all that match"
        close = {key: distance for distance, key in expected}
        assert len({hit.id for hit in hits}) == len(hits)
        for hit, (distance, _) in zip(hits, expected, strict=False):
            assert abs(hit.distance - distance) < 1e-5
            assert abs(hit.distance - close[hit.id]) < 1e-5
            assert hit.payload == model[hit.id][1]

    def teardown(self):
        if self.tx is not None:
            self.tx.rollback()
            for tx, _, _ in self.readers:
                tx.rollback()
            self.do(self.db.aclose())
        self.do(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder)


def distances(metric, rows, vector):
    dots = rows @ vector
    if metric == "l2":
        return np.linalg.norm(rows - vector, axis=1).astype(np.float32)
    if metric == "inner_product":
        return -dots
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
    return 1 - np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths != 0)


VectorStoreMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=30, deadline=None)
TestVectorStoreModel = VectorStoreMachine.TestCase
