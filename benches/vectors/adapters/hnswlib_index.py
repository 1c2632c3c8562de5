"""hnswlib: the graph that others are measured by."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import hnswlib

from benches.vectors.data import Floats, Ids

from . import beside
from .interface import CANDIDATES, LINKS, PROCESSORS, VectorIndex

ATTEMPTS = 100
"""Of a search beside rows that are being added."""


class HnswlibIndex(VectorIndex):
    def build(self, vectors: Floats, buckets: Ids) -> None:
        self._buckets = buckets.tolist()
        self._graph = self._made(len(vectors) * 2)
        self._graph.add_items(vectors, num_threads=1)
        self._flat = hnswlib.BFIndex(space=self._space(), dim=self.dimension)
        self._flat.init_index(max_elements=len(vectors))
        self._flat.add_items(vectors)

    def _space(self) -> str:
        return "l2" if self.metric == "l2" else "cosine"

    def _made(self, room: int) -> Any:
        graph = hnswlib.Index(space=self._space(), dim=self.dimension)
        graph.init_index(max_elements=room, M=LINKS, ef_construction=CANDIDATES, allow_replace_deleted=True)
        graph.set_num_threads(1)
        return graph

    def search(self, query: Floats, k: int, effort: int, share: int | None) -> Sequence[int]:
        self._graph.set_ef(max(effort, k))
        if share is None:
            return self._nearest(query, k)
        buckets = self._buckets
        return self._found(query, k, filter=lambda at: buckets[at] < share) or []

    def _nearest(self, query: Floats, k: int) -> Sequence[int]:
        """Asked again when it finds too few: while rows are added a walk may begin at one without links as yet."""
        for _ in range(ATTEMPTS):
            found = self._found(query, k)
            if found is not None:
                return found
        return []

    def _found(self, query: Floats, k: int, **chosen: Any) -> Sequence[int] | None:
        try:
            labels, _ = self._graph.knn_query(query, k, num_threads=1, **chosen)
        except RuntimeError as error:  # fewer than k were found
            if "contiguous 2D array" not in str(error):
                raise
            return None
        found: list[int] = labels[0].tolist()
        return found

    def exact(self, query: Floats, k: int) -> Sequence[int]:
        labels, _ = self._flat.knn_query(query, k, num_threads=1)
        found: list[int] = labels[0].tolist()
        return found

    def search_together(self, queries: Floats, k: int, effort: int) -> list[Any]:
        self._graph.set_ef(max(effort, k))
        labels, _ = self._graph.knn_query(queries, k, num_threads=PROCESSORS)
        found: list[Any] = labels.tolist()
        return found

    def replace(self, gone: Ids, ids: Ids, vectors: Floats, buckets: Ids) -> None:
        for row in gone.tolist():
            self._graph.mark_deleted(row)
        self._graph.add_items(vectors, ids, num_threads=1, replace_deleted=True)
        self._buckets += [0] * (int(ids.max()) + 1 - len(self._buckets))
        for row, bucket in zip(ids.tolist(), buckets.tolist(), strict=True):
            self._buckets[row] = bucket

    def ingest(self, ids: Ids, vectors: Floats, buckets: Ids) -> None:
        if self._graph.get_current_count() + len(ids) > self._graph.get_max_elements():
            self._graph.resize_index(self._graph.get_max_elements() + len(ids) * 2)
        self._graph.add_items(vectors, ids, num_threads=1)

    def ingest_with_searches(
        self, ids: Ids, vectors: Floats, buckets: Ids, queries: Floats
    ) -> tuple[float, int]:
        return beside.threads(self, ids, vectors, buckets, queries)

    def reopen(self, query: Floats) -> float:
        place = str(self.folder / "index.bin")
        self._graph.save_index(place)
        room = self._graph.get_max_elements()
        del self._graph
        begun = perf_counter()
        self._graph = hnswlib.Index(space=self._space(), dim=self.dimension)
        self._graph.load_index(place, max_elements=room, allow_replace_deleted=True)
        self._graph.set_num_threads(1)
        self.search(query, 10, 64, None)
        return perf_counter() - begun
