"""Random operations against a plain BM25 over the documents each transaction should see."""

from __future__ import annotations

import asyncio
import math
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

import sopasync
from sopasync import Database, SearchConfig, field

WORDS = ["ant", "bee", "cat", "cats", "dog", "eel", "fox"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
KEYS = st.integers(0, 25)


def bm25(documents, weigh, k1=1.2, b=0.75):
    """Score of every document; `weigh` gives the words that count together, each with its number of documents."""
    average = sum(len(text.split()) for text in documents.values()) / max(len(documents), 1)
    scores = {}
    for key, text in documents.items():
        words = text.split()
        score = 0.0
        for count, frequency in weigh(words):
            idf = math.log(1 + (len(documents) - frequency + 0.5) / (frequency + 0.5))
            score += idf * count / (count + k1 * (1 - b + b * len(words) / average))
        scores[key] = score
    return scores


def occurrences(words, sought):
    """How often `sought`, a list of words, stands in `words` in a row."""
    return sum(words[at : at + len(sought)] == sought for at in range(len(words)))


class Sought:
    """A query in the query language, and what it should find."""

    def __init__(self, text, any_of=(), all_of=(), none_of=(), phrase=()):
        self.text = text
        self.any_of, self.all_of, self.none_of, self.phrase = any_of, all_of, none_of, phrase

    def scores(self, documents):
        split = {key: text.split() for key, text in documents.items()}

        def frequency(word):
            return sum(word in words for words in split.values())

        def weigh(words):
            return [
                (words.count(word), frequency(word)) for word in (*self.any_of, *self.all_of) if word in words
            ]

        scores = bm25(documents, weigh)
        found = {}
        for key, words in split.items():
            if self.phrase:
                if not occurrences(words, list(self.phrase)):
                    continue
            elif self.all_of:
                if not all(word in words for word in self.all_of):
                    continue
            elif not any(word in words for word in self.any_of):
                continue
            if not any(word in words for word in self.none_of):
                found[key] = None if self.phrase else scores[key]
        return found


def queries():
    word = st.sampled_from(WORDS)
    several = st.lists(word, min_size=1, max_size=3, unique=True)
    return st.one_of(
        several.map(lambda words: Sought(" ".join(words), any_of=words)),
        several.map(lambda words: Sought(" AND ".join(words), all_of=words)),
        st.tuples(several, word).map(
            lambda both: Sought(f"{' '.join(both[0])} -{both[1]}", any_of=both[0], none_of=[both[1]])
        ),
        st.tuples(word, word).map(lambda pair: Sought(f'"{pair[0]} {pair[1]}"', phrase=pair)),
    )


class Model(RuleBasedStateMachine):
    """Several transactions at once; each must find exactly what its snapshot and its own changes hold."""

    @initialize(page_bytes=st.sampled_from([512, 8192]), stored=st.booleans())
    def open(self, page_bytes, stored):
        self.runner = asyncio.Runner()
        self.path = Path(tempfile.mkdtemp(prefix="sopasync-search-")) / "database"
        self.options = {"page_bytes": page_bytes, "cache_bytes": 1 << 20}
        self.config = SearchConfig(stored=stored)
        self.committed: dict[int, tuple[str, int]] = {}
        self.changed_at: dict[int, int] = {}
        self.versions = 0
        self.open_ones = []
        self.runner.run(self.reopen())

    async def reopen(self):
        self.db = await Database(self.path, **self.options).open()
        async with self.db.begin_transaction() as tx:
            await tx.open_search("s", self.config)

    def any_open(self):
        return bool(self.open_ones)

    @rule()
    @precondition(lambda self: len(self.open_ones) < 3)
    def begin(self):
        async def begin():
            tx = self.db.begin_transaction(isolation="snapshot")
            tx.begin()
            return tx, await tx.open_search("s")

        tx, store = self.runner.run(begin())
        self.open_ones.append(
            {"tx": tx, "store": store, "view": dict(self.committed), "at": self.versions, "written": set()}
        )

    @rule(
        documents=st.dictionaries(KEYS, st.tuples(TEXTS, st.integers(0, 3)), max_size=8),
        which=st.integers(0, 2),
    )
    @precondition(any_open)
    def add(self, documents, which):
        one = self.open_ones[which % len(self.open_ones)]
        rows = [(key, text, {"n": number}) for key, (text, number) in documents.items()]
        replaced = self.runner.run(one["store"].add_many(rows))
        assert replaced == sum(key in one["view"] for key in documents)
        one["view"].update(documents)
        one["written"].update(documents)

    @rule(key=KEYS, which=st.integers(0, 2))
    @precondition(any_open)
    def delete(self, key, which):
        one = self.open_ones[which % len(self.open_ones)]
        assert self.runner.run(one["store"].delete(key)) == (key in one["view"])
        if one["view"].pop(key, None) is not None:
            one["written"].add(key)

    @rule(key=KEYS, documents=st.dictionaries(KEYS, TEXTS, max_size=4), which=st.integers(0, 2))
    @precondition(any_open)
    def rolled_back_part(self, key, documents, which):
        one = self.open_ones[which % len(self.open_ones)]

        async def part():
            with pytest.raises(LookupError):
                async with one["tx"].savepoint():
                    await one["store"].add_many(documents.items())
                    await one["store"].delete(key)
                    raise LookupError

        self.runner.run(part())
        # What was looked at stays looked at: replaced documents conflict all the same.
        one["written"].update(key for key in documents if key in one["view"])
        one["written"].update({key} & one["view"].keys())

    @rule(
        sought=queries(),
        number=st.none() | st.integers(0, 3),
        which=st.integers(0, 2),
        limit=st.integers(1, 30),
    )
    @precondition(any_open)
    def search(self, sought, number, which, limit):
        one = self.open_ones[which % len(self.open_ones)]
        texts = {key: text for key, (text, _) in one["view"].items()}
        expected = sought.scores(texts)
        if number is not None:
            expected = {key: score for key, score in expected.items() if one["view"][key][1] == number}
        condition = None if number is None else field("n") == number
        hits = self.runner.run(one["store"].search(sought.text, limit=limit, filter=condition))
        assert len(hits) == min(limit, len(expected))
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert len({hit.doc_id for hit in hits}) == len(hits)
        for hit in hits:
            assert hit.doc_id in expected
            assert hit.payload == {"n": one["view"][hit.doc_id][1]}
        if sought.phrase:
            return
        best = sorted(expected.values(), reverse=True)[:limit]
        for hit, score in zip(hits, best, strict=True):
            assert hit.score == pytest.approx(score, rel=1e-4)
            assert expected[hit.doc_id] == pytest.approx(hit.score, rel=1e-4)

    @rule(which=st.integers(0, 2))
    @precondition(any_open)
    def count(self, which):
        one = self.open_ones[which % len(self.open_ones)]
        assert self.runner.run(one["store"].count()) == len(one["view"])

    @rule(which=st.integers(0, 2))
    @precondition(any_open)
    def commit(self, which):
        one = self.open_ones.pop(which % len(self.open_ones))
        conflicts = any(self.changed_at.get(key, 0) > one["at"] for key in one["written"])
        try:
            self.runner.run(one["tx"].commit())
        except sopasync.ConflictError:
            assert any(self.changed_at.get(key, 0) > one["at"] for key in range(26)), (
                "a conflict over nothing"
            )
            return
        assert not conflicts, "a conflict was missed"
        if one["written"]:
            self.versions += 1
            for key in one["written"]:
                self.changed_at[key] = self.versions
                if key in one["view"]:
                    self.committed[key] = one["view"][key]
                else:
                    self.committed.pop(key, None)

    @rule(which=st.integers(0, 2))
    @precondition(any_open)
    def roll_back(self, which):
        self.open_ones.pop(which % len(self.open_ones))["tx"].rollback()

    @rule()
    def settle(self):
        self.runner.run(self.db.settle("s"))

    @rule()
    def close_and_open_again(self):
        for one in self.open_ones:
            one["tx"].rollback()
        self.open_ones = []
        self.runner.run(self.db.aclose())
        self.runner.run(self.reopen())

    def teardown(self):
        if hasattr(self, "db"):
            self.runner.run(self.db.aclose())
            self.runner.close()
            shutil.rmtree(self.path.parent)


TestSearchModel = Model.TestCase
TestSearchModel.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


@given(
    st.lists(
        st.text(max_size=40) | st.sampled_from(['"', "(", "a*", "~2", "^", "NOT", "text:", "\\", "-", "東"]),
        max_size=8,
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_garbage_is_a_query_or_an_error_at_a_place(garbage_store, parts):
    runner, store = garbage_store
    query = " ".join(parts)
    trouble = None
    try:
        assert len(runner.run(store.search(query, highlight=True))) <= 3
    except sopasync.InvalidArgumentError as error:
        trouble = error
    if isinstance(trouble, sopasync.QueryError):
        assert trouble.position is not None
        assert 0 <= trouble.position <= len(query)
    elif trouble is not None:
        assert "surrogate" in str(trouble)


@pytest.fixture(scope="module")
def garbage_store(tmp_path_factory):
    with asyncio.Runner() as runner:
        db = runner.run(Database(tmp_path_factory.mktemp("garbage")).open())

        async def fill():
            tx = db.begin_transaction()
            tx.begin()
            store = await tx.open_search("s", SearchConfig(language="en"))
            await store.add_many([(1, "a fox"), (2, "東京 and a"), (3, 'text "quoted" (here)')])
            return store

        store = runner.run(fill())
        yield runner, store
        runner.run(db.aclose())
