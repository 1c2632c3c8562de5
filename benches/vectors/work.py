"""What is measured, one function each: from a store and a dataset to metrics by name."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from .adapters import VectorIndex
from .data import BUCKETS, NEAREST, SEED, SHARES, Dataset, Floats, Truth
from .memory import CACHE_BYTES, Highest
from .scale import VectorScale

Metrics = dict[str, float]

RECALL = 0.97
RECALL_FILTERED = 0.99
EXACT_QUERIES = 20
CHURN_ROUNDS, CHURN_SHARE = 10, 0.1
CHURN_EFFORT = 64
TOGETHER = 4_000
"""Queries handed over at once where a store takes many."""
SECONDS_TRIED_MAX = 0.2
"""Of a search: a store that takes longer is given no dearer setting."""
TRIAL_SECONDS, TRIAL_QUERIES_MIN = 2.0, 50
"""A setting is tried with all queries, or as many as fit into this time, but at least so many."""
PART_FIRST, PART_SECONDS_MIN = 10, 0.02
"""Queries handed over at once at first, and the time they are to take at least."""
PART_MAX = 100_000
"""Queries handed over at once at most: their answers are held until the last has come."""
INGEST_QUERIES, INGEST_EFFORT = 100, 64
"""What is looked for when all rows are in, and with how much effort."""


@dataclass
class Bench:
    """One store with one dataset, in the process that measures it."""

    make: Callable[[str], VectorIndex]
    """Makes an empty store in a folder of that name."""
    index: VectorIndex
    data: Dataset
    kept: Path
    """A folder for what processes with the same dataset share."""
    scale: VectorScale
    truths: dict[int | None, Truth] = field(default_factory=dict)
    efforts: dict[int | None, int | None] = field(default_factory=dict)
    """The cheapest setting that finds enough, by filter; what a first round finds out."""
    recalls: dict[int | None, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def another(self, name: str) -> Iterator[VectorIndex]:
        """One more store, empty, that is removed afterwards."""
        index = self.make(name)
        try:
            yield index
        finally:
            index.close()
            shutil.rmtree(index.folder, ignore_errors=True)

    def truth(self, share: int | None) -> Truth:
        """What the queries are to find."""
        if share not in self.truths:
            data, ids = self.data, None if share is None else np.flatnonzero(self.data.buckets < share)
            base = data.base if ids is None else data.base[ids]
            kept = self.kept / f"nearest-{share}.npy"
            self.truths[share] = Truth(base, data.queries, data.metric, ids, kept)
        return self.truths[share]

    def per_second(self, search: Callable[[Floats], Any], queries: Floats) -> float:
        """Run searches for the seconds of the scale, and at least a few; how many per second.

        Queries are handed over in parts: small ones first, larger ones as long as a part takes next to no time, so
        that what a store does once for a part, such as entering its event loop, is no part of a search. When there
        are not enough queries for such a part, they come again.
        """
        done, part, seconds = 0, PART_FIRST, 0.0
        while seconds < self.scale.seconds:
            places = np.arange(done, done + part) % len(queries)
            chosen = np.ascontiguousarray(queries[places])
            begun = perf_counter()
            search(chosen)
            took = perf_counter() - begun
            done, seconds = done + part, seconds + took
            if took < PART_SECONDS_MIN and part < PART_MAX:
                part *= 4
                done, seconds = 0, 0.0  # from the beginning, in parts that are large enough
        return done / seconds


def build(bench: Bench) -> Metrics:
    """Rows per second, until searches are fast.

    What a library does once for a process, such as importing parts of itself, is no part of it.
    """
    with bench.another("first") as first:
        first.build(bench.data.base[:10], bench.data.buckets[:10])
    begun = perf_counter()
    bench.index.build(bench.data.base, bench.data.buckets)
    return {"build_per_s": len(bench.data.base) / (perf_counter() - begun)}


def exact(bench: Bench) -> Metrics:
    """Exact search: bytes of the vectors answered for per second, and with every vector measured."""
    queries = bench.data.queries[:EXACT_QUERIES]
    truth = bench.truth(None)

    def scan(index: VectorIndex) -> tuple[float, float]:
        recall = truth.recall(index.exact_all(queries, NEAREST))
        per_second = bench.per_second(lambda part: index.exact_all(part, NEAREST), queries)
        return recall, per_second * bench.data.base.nbytes / 1e9

    recall, exact = scan(bench.index)
    measuring = bench.index.measuring(bench.data.base, bench.data.buckets)
    all_recall, measured = (recall, exact) if measuring is bench.index else scan(measuring)
    return {
        "exact_gb_per_s": exact,
        "exact_recall": min(recall, all_recall),
        "measured_gb_per_s": measured,
    }


def approximate(bench: Bench) -> Metrics:
    """Searches per second with at least 0.97 of the nearest found."""
    return _fastest(bench, None, RECALL, "search")


def together(bench: Bench) -> Metrics:
    """Searches per second when many are handed over at once, with the setting that `approximate` has found."""
    effort = bench.efforts.get(None)
    if effort is None:
        return {}
    places = np.arange(TOGETHER) % len(bench.data.queries)
    queries = np.ascontiguousarray(bench.data.queries[places])
    recall = bench.truth(None).recall(bench.index.search_together(queries, NEAREST, effort))
    done, begun = 0, perf_counter()
    while not done or perf_counter() - begun < bench.scale.seconds:
        bench.index.search_together(queries, NEAREST, effort)
        done += len(queries)
    return {"together_per_s": done / (perf_counter() - begun), "together_recall": recall}


def filtered(bench: Bench) -> Metrics:
    """Searches per second under filters, with at least 0.99 of the nearest that pass found."""
    found: Metrics = {}
    for share in SHARES:
        found |= _fastest(bench, share, RECALL_FILTERED, f"filtered_{share}")
    return found


def _fastest(bench: Bench, share: int | None, recall_min: float, name: str) -> Metrics:
    queries = bench.data.queries
    if share not in bench.efforts:
        bench.efforts[share] = _cheapest(bench, share, recall_min)
    effort = bench.efforts[share]
    metrics = {f"{name}_recall": bench.recalls[share]}
    if effort is not None:
        metrics[f"{name}_per_s"] = bench.per_second(
            lambda part: bench.index.search_all(part, NEAREST, effort, share), queries
        )
        metrics[f"{name}_effort"] = effort
    return metrics


def _cheapest(bench: Bench, share: int | None, recall_min: float) -> int | None:
    """The setting that finds enough in the least time; most often the first that does."""
    queries = bench.data.queries
    best: tuple[float, int | None] = (math.inf, None)
    for effort in bench.index.efforts(share):
        if effort and best[1] is not None:
            continue  # more of the same is only slower
        answers, seconds = _tried(bench, queries, effort, share)
        recall = bench.truth(share).recall(answers)
        if best[1] is None:
            bench.recalls[share] = recall
        if recall >= recall_min and seconds < best[0]:
            best, bench.recalls[share] = (seconds, effort), recall
        if seconds > SECONDS_TRIED_MAX:
            break
    return best[1]


def _tried(bench: Bench, queries: Floats, effort: int, share: int | None) -> tuple[list[Any], float]:
    """Answers to the first queries, to all of them where that does not take long; and the seconds each took."""
    answers: list[Any] = []
    begun = perf_counter()
    while len(answers) < len(queries):
        if len(answers) >= TRIAL_QUERIES_MIN and perf_counter() - begun > TRIAL_SECONDS:
            break
        part = queries[len(answers) : len(answers) + TRIAL_QUERIES_MIN]
        answers += bench.index.search_all(part, NEAREST, effort, share)
    return answers, (perf_counter() - begun) / len(answers)


def overhead(bench: Bench) -> Metrics:
    """The time of a search among ten vectors: what a call costs."""
    with bench.another("small") as small:
        small.build(bench.data.base[:10], bench.data.buckets[:10])
        per_second = bench.per_second(lambda part: small.search_all(part, 1, 10, None), bench.data.queries)
    return {"call_us": 1e6 / per_second}


def ingest(bench: Bench) -> Metrics:
    """Rows per second that are added in parts of 1000 while searches run."""
    generator = np.random.default_rng(SEED + 1)
    base, count = bench.data.base, min(bench.scale.ingested, len(bench.data.base))
    rows = base[:count] + generator.standard_normal((count, bench.data.dimension), np.float32) * 0.01
    first = len(base)
    ids = np.arange(first, first + count)
    buckets = generator.integers(0, BUCKETS, count)
    seconds, searches = bench.index.ingest_with_searches(ids, rows, buckets, bench.data.queries)
    queries = bench.data.queries[:INGEST_QUERIES]
    truth = Truth(np.concatenate([base, rows]), queries, bench.data.metric)
    found = truth.recall(bench.index.search_all(queries, NEAREST, INGEST_EFFORT, None))
    return {
        "ingest_per_s": count / seconds,
        "ingest_searches_per_s": searches / seconds,
        "ingested_recall": found,
    }


def churn(bench: Bench) -> Metrics:
    """Recall after a tenth of the rows was replaced, ten times over; and what a new index finds more."""
    base, queries = bench.data.base, bench.data.queries
    generator = np.random.default_rng(SEED + 2)
    ids, vectors = np.arange(len(base)), base.copy()
    following = len(base)
    with bench.another("churn") as index:
        index.build(base, bench.data.buckets)
        for _ in range(CHURN_ROUNDS):
            places = generator.choice(len(base), int(len(base) * CHURN_SHARE), replace=False)
            fresh = base[generator.permutation(len(base))[: len(places)]]
            fresh = fresh + generator.standard_normal(fresh.shape, np.float32) * np.float32(0.05)
            new = np.arange(following, following + len(places))
            following += len(places)
            index.replace(ids[places], new, fresh, generator.integers(0, BUCKETS, len(places)))
            ids[places], vectors[places] = new, fresh
        truth = Truth(vectors, queries, bench.data.metric, ids)
        after = truth.recall(index.search_all(queries, NEAREST, CHURN_EFFORT, None))
    with bench.another("anew") as index:
        index.build(vectors, bench.data.buckets)
        truth = Truth(vectors, queries, bench.data.metric)
        anew = truth.recall(index.search_all(queries, NEAREST, CHURN_EFFORT, None))
    return {"churn_recall": after, "churn_loss": anew - after}


def reopen(bench: Bench) -> Metrics:
    """Time from open to a first answer."""
    return {"open_ms": bench.index.reopen(bench.data.queries[0]) * 1e3}


def memory(bench: Bench) -> Metrics:
    """MiB of anonymous memory beyond the cache while rows are added in parts of 1000, and while a graph is built."""
    with bench.another("poured") as index, Highest() as highest:
        index.pour(bench.data.base, bench.data.buckets, CACHE_BYTES)
        added = highest.take()
        index.settle()
        return {"added_over_cache_mib": added, "built_over_cache_mib": highest.take()}


WORK: dict[str, Callable[[Bench], Metrics]] = {
    "build": build,
    "exact": exact,
    "approximate": approximate,
    "together": together,
    "filtered": filtered,
    "reopen": reopen,
    "overhead": overhead,
    "ingest": ingest,
    "churn": churn,
    "memory": memory,
}
