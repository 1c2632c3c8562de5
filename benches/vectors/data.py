"""The vectors every store is given, the queries, and what they are to find: made once, outside of any measured time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .embeddings import embed
from .scale import VectorScale
from .texts import sentences

SEED = 20_260_101
NEAREST = 10
SHARES = (500, 100, 10, 1)
"""Rows that pass a filter, of a thousand."""
BUCKETS = 1000

Floats = np.ndarray[Any, np.dtype[np.float32]]
Ids = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Dataset:
    """Rows have the ids 0, 1, 2..., and a bucket each, from 0 to 999, that filters ask about."""

    name: str
    metric: str
    """``"l2"`` or ``"cosine"``."""
    base: Floats
    queries: Floats
    buckets: Ids

    def save(self, place: Path) -> None:
        """Keep it for the processes that measure."""
        place.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            place,
            name=self.name,
            metric=self.metric,
            base=self.base,
            queries=self.queries,
            buckets=self.buckets,
        )

    @classmethod
    def load(cls, place: Path) -> Dataset:
        """What `save` kept."""
        kept = np.load(place)
        return cls(str(kept["name"]), str(kept["metric"]), kept["base"], kept["queries"], kept["buckets"])

    @property
    def dimension(self) -> int:
        """Elements of a vector."""
        return int(self.base.shape[1])


def datasets(scale: VectorScale, cache: Path) -> list[tuple[str, Any]]:
    """Names, and what makes each of them; the texts' may raise ImportError."""
    found: list[tuple[str, Any]] = [
        (_short(rows), lambda rows=rows: synthetic(rows, scale.queries)) for rows in scale.synthetic
    ]
    if scale.digits:
        found.append(("digits", digits))
    if scale.churned:
        found.append(("churn", lambda: synthetic(scale.churned, scale.queries)))
    if scale.poured:
        found.append(("memory", lambda: synthetic(scale.poured, 1)))
    if scale.texts:
        found.append(("texts", lambda: texts(scale.texts, scale.queries, cache)))
    return found


def _short(rows: int) -> str:
    return f"synthetic {rows // 1_000_000}M" if rows >= 1_000_000 else f"synthetic {rows / 1000:g}k"


def synthetic(rows: int, queries: int, dimension: int = 128) -> Dataset:
    """A hundred clusters, each in 16 directions of its own: as much structure as embeddings have."""
    generator = np.random.default_rng(SEED)
    clusters, directions = 100, 16
    centres = generator.standard_normal((clusters, dimension), np.float32)
    axes = generator.standard_normal((clusters, directions, dimension), np.float32) / np.sqrt(directions)
    made = np.empty((rows + queries, dimension), np.float32)
    cluster_of = generator.integers(0, clusters, len(made))
    for cluster in range(clusters):
        places = np.flatnonzero(cluster_of == cluster)
        weights = generator.standard_normal((len(places), directions), np.float32)
        made[places] = centres[cluster] + weights @ axes[cluster].astype(np.float32)
    return _dataset(_short(rows), "l2", made, queries, generator)


def digits() -> Dataset:
    """Scikit-learn's handwritten digits: 64 grey values each."""
    from sklearn.datasets import load_digits

    generator = np.random.default_rng(SEED)
    images = np.ascontiguousarray(load_digits().data, np.float32)
    generator.shuffle(images)
    return _dataset("digits", "l2", images, 197, generator)


def texts(count: int, queries: int, cache: Path) -> Dataset:
    """Embeddings of sentences; the queries are such as well."""
    generator = np.random.default_rng(SEED)
    made = embed(sentences(count + queries), cache)
    generator.shuffle(made)
    return _dataset("texts", "cosine", made, min(queries, len(made) // 10), generator)


def _dataset(name: str, metric: str, made: Floats, queries: int, generator: np.random.Generator) -> Dataset:
    base = np.ascontiguousarray(made[queries:])
    buckets = generator.integers(0, BUCKETS, len(base))
    return Dataset(name, metric, base, np.ascontiguousarray(made[:queries]), buckets)


class Truth:
    """What the queries are to find, computed in f64, and how much of it answers contain.

    With a million rows that takes longer than most measurements: `kept` names a file for it, which the first process
    writes and the others read.
    """

    def __init__(
        self, base: Floats, queries: Floats, metric: str, ids: Ids | None = None, kept: Path | None = None
    ) -> None:
        self._ids = np.arange(len(base)) if ids is None else ids
        self._base = base
        self._queries = queries
        self._metric = metric
        if kept is not None and kept.exists():
            self._limits = np.load(kept)
        else:
            self._limits = np.array([self._limit(query) for query in queries])
            if kept is not None:
                np.save(kept, self._limits)
        self._row_of: dict[int, int] | None = None

    def _distances(self, query: Floats, rows: Floats) -> Any:
        wide, query64 = rows.astype(np.float64), query.astype(np.float64)
        if self._metric == "l2":
            return np.square(wide - query64).sum(1)
        return 1 - wide @ query64 / (np.linalg.norm(wide, axis=1) * np.linalg.norm(query64))

    def _limit(self, query: Floats) -> float:
        """The distance of the last of the nearest: what is as near is as good an answer."""
        if len(self._base) == 0:
            return 0.0
        rough = self._base @ query
        if self._metric == "l2":
            rough = np.einsum("ij,ij->i", self._base, self._base) / 2 - rough
        else:
            rough = -rough / np.linalg.norm(self._base, axis=1)
        near = np.argpartition(rough, min(NEAREST * 5, len(rough) - 1))[: NEAREST * 5]
        exact = np.sort(self._distances(query, self._base[near]))
        return float(exact[min(NEAREST, len(exact)) - 1]) * (1 + 1e-6) + 1e-9

    def recall(self, answers: list[Any]) -> float:
        """The mean share of the nearest in the answers: ids, one list for each of the first queries."""
        if self._row_of is None:
            self._row_of = {int(id_): row for row, id_ in enumerate(self._ids)}
        wanted = min(NEAREST, len(self._base))
        shares = []
        for query, limit, found in zip(self._queries, self._limits, answers, strict=False):
            rows = [self._row_of[int(id_)] for id_ in dict.fromkeys(found) if int(id_) in self._row_of]
            near = self._distances(query, self._base[rows]) <= limit if rows else np.zeros(0)
            shares.append(min(float(np.sum(near)), wanted) / wanted if wanted else 1.0)
        return float(np.mean(shares))
