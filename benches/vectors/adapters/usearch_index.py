"""usearch, in f32 as the others; its Python package has no filter, so more than k are asked for until k pass."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
from usearch.index import Index, search

from benches.vectors.data import Floats, Ids

from . import beside
from .interface import CANDIDATES, LINKS, PROCESSORS, VectorIndex

OVER = 1.5
"""How many more are asked for than the share of the filter would need."""


class UsearchIndex(VectorIndex):
    def build(self, vectors: Floats, buckets: Ids) -> None:
        self._buckets = buckets
        self._rows = vectors
        self._graph: Any = self._made()
        self._graph.add(np.arange(len(vectors)), vectors, threads=1)

    def _made(self) -> Any:
        return Index(
            ndim=self.dimension,
            metric="l2sq" if self.metric == "l2" else "cos",
            dtype="f32",
            connectivity=LINKS,
            expansion_add=CANDIDATES,
        )

    def search(self, query: Floats, k: int, effort: int, share: int | None) -> Sequence[int]:
        self._graph.expansion_search = max(effort, k)
        if share is None:
            found: list[int] = self._graph.search(query, k, threads=1).keys.tolist()
            return found
        total = len(self._graph)
        wanted = int(k * 1000 / share * OVER) + k
        while True:
            wanted = min(wanted, total)
            self._graph.expansion_search = max(effort, wanted)
            keys = self._graph.search(query, wanted, threads=1).keys.astype(np.int64)
            passing = keys[self._buckets[keys] < share]
            if len(passing) >= k or wanted == total:
                nearest: list[int] = passing[:k].tolist()
                return nearest
            wanted *= 4

    def search_together(self, queries: Floats, k: int, effort: int) -> list[Any]:
        self._graph.expansion_search = max(effort, k)
        found: list[Any] = self._graph.search(queries, k, threads=PROCESSORS).keys.tolist()
        return found

    def exact(self, query: Floats, k: int) -> Sequence[int]:
        metric: Any = "l2sq" if self.metric == "l2" else "cos"
        found: list[int] = search(self._rows, query, k, metric, exact=True, threads=1).keys.tolist()
        return found

    def replace(self, gone: Ids, ids: Ids, vectors: Floats, buckets: Ids) -> None:
        self._graph.remove(gone, threads=1)
        self._graph.add(ids, vectors, threads=1)

    def ingest(self, ids: Ids, vectors: Floats, buckets: Ids) -> None:
        self._graph.add(ids, vectors, threads=1)

    def ingest_with_searches(
        self, ids: Ids, vectors: Floats, buckets: Ids, queries: Floats
    ) -> tuple[float, int]:
        return beside.threads(self, ids, vectors, buckets, queries)

    def reopen(self, query: Floats) -> float:
        place = str(self.folder / "index.usearch")
        self._graph.save(place)
        del self._graph
        begun = perf_counter()
        self._graph = self._made()
        self._graph.view(place)
        self.search(query, 10, 64, None)
        seconds = perf_counter() - begun
        self._graph = self._made()
        self._graph.load(place)
        return seconds
