"""faiss: a flat index, and a graph; filters are bitmaps for either."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import faiss
import numpy as np

from benches.vectors.data import Floats, Ids

from .interface import CANDIDATES, EFFORTS, LINKS, PROCESSORS, Unsupported, VectorIndex

FLAT = 0
"""As an effort: the flat index under the filter."""


class FaissIndex(VectorIndex):
    def build(self, vectors: Floats, buckets: Ids) -> None:
        faiss.omp_set_num_threads(1)
        metric = faiss.METRIC_L2 if self.metric == "l2" else faiss.METRIC_INNER_PRODUCT
        vectors = self._prepared(vectors)
        self._buckets = buckets
        self._graph = faiss.IndexHNSWFlat(self.dimension, LINKS, metric)
        self._graph.hnsw.efConstruction = CANDIDATES
        self._graph.add(vectors)
        self._flat = faiss.IndexFlat(self.dimension, metric)
        self._flat.add(vectors)
        self._selectors: dict[int, Any] = {}
        self._parameters: dict[tuple[int, int | None], Any] = {}

    def _prepared(self, vectors: Floats) -> Floats:
        if self.metric == "l2":
            return vectors
        prepared: Floats = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
        return prepared

    def _selector(self, share: int) -> Any:
        if share not in self._selectors:
            bits = np.packbits(self._buckets < share, bitorder="little")
            self._selectors[share] = (faiss.IDSelectorBitmap(bits), bits)
        return self._selectors[share][0]

    def search(self, query: Floats, k: int, effort: int, share: int | None) -> Sequence[int]:
        row = self._prepared(query)[None]
        # Made once for many searches, as an application would.
        key = (max(effort, k) if effort != FLAT else FLAT, share)
        chosen = self._parameters.get(key)
        if chosen is None:
            chosen = self._parameters[key] = self._chosen(*key)
        index = self._flat if effort == FLAT else self._graph
        return self._ids(index.search(row, k, params=chosen))

    def search_together(self, queries: Floats, k: int, effort: int) -> list[Any]:
        chosen = self._chosen(max(effort, k), None)
        faiss.omp_set_num_threads(PROCESSORS)
        try:
            found: list[Any] = self._graph.search(self._prepared(queries), k, params=chosen)[1].tolist()
        finally:
            faiss.omp_set_num_threads(1)
        return found

    def _chosen(self, effort: int, share: int | None) -> Any:
        if effort == FLAT:
            assert share is not None
            return faiss.SearchParameters(sel=self._selector(share))
        if share is None:
            return faiss.SearchParametersHNSW(efSearch=effort)
        return faiss.SearchParametersHNSW(efSearch=effort, sel=self._selector(share))

    @staticmethod
    def _ids(found: Any) -> list[int]:
        return [row for row in found[1][0].tolist() if row >= 0]

    def efforts(self, share: int | None) -> Sequence[int]:
        return EFFORTS if share is None else (*EFFORTS, FLAT)

    def exact(self, query: Floats, k: int) -> Sequence[int]:
        return self._ids(self._flat.search(self._prepared(query)[None], k))

    def ingest(self, ids: Ids, vectors: Floats, buckets: Ids) -> None:
        if int(ids[0]) != self._graph.ntotal:
            raise Unsupported  # ids are places
        self._graph.add(self._prepared(vectors))

    def ingest_with_searches(
        self, ids: Ids, vectors: Floats, buckets: Ids, queries: Floats
    ) -> tuple[float, int]:
        raise Unsupported  # its documentation forbids searches beside `add`

    def reopen(self, query: Floats) -> float:
        place = str(self.folder / "index.faiss")
        faiss.write_index(self._graph, place)
        del self._graph
        begun = perf_counter()
        self._graph = faiss.read_index(place)
        self.search(query, 10, 64, None)
        return perf_counter() - begun
