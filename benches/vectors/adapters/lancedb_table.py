"""LanceDB: a table with an IVF_HNSW_SQ index over the vectors and a scalar one over the buckets.

It writes files and never syncs them (counted with ``strace``), so what it was given is not durable yet.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa

from benches.vectors.data import Floats, Ids

from . import beside
from .interface import CANDIDATES, EFFORTS, LINKS, VectorIndex

ROWS_TO_INDEX = 1000
"""Below this its index cannot be trained; a scan is what its documentation advises."""


class LancedbTable(VectorIndex):
    def build(self, vectors: Floats, buckets: Ids) -> None:
        logging.getLogger("lance").setLevel(logging.ERROR)
        self._database: Any = lancedb.connect(str(self.folder))
        rows = self._rows(np.arange(len(vectors)), vectors, buckets)
        self._table: Any = self._database.create_table("vectors", rows)
        if len(vectors) >= ROWS_TO_INDEX:
            distance = "l2" if self.metric == "l2" else "cosine"
            self._table.create_index(
                vector_column_name="vector",
                metric=distance,
                index_type="IVF_HNSW_SQ",
                num_partitions=1,
                m=LINKS,
                ef_construction=CANDIDATES,
            )
            self._table.create_scalar_index("bucket", index_type="BTREE")

    def _rows(self, ids: Ids, vectors: Floats, buckets: Ids) -> Any:
        flat = pa.array(np.ascontiguousarray(vectors).reshape(-1), pa.float32())
        columns = [
            pa.array(ids, pa.int64()),
            pa.array(buckets, pa.int64()),
            pa.FixedSizeListArray.from_arrays(flat, self.dimension),
        ]
        return pa.table(columns, names=["id", "bucket", "vector"])

    def _query(self, query: Floats, k: int) -> Any:
        distance = "l2" if self.metric == "l2" else "cosine"
        return self._table.search(query).distance_type(distance).limit(k).select(["id", "_distance"])

    def search(self, query: Floats, k: int, effort: int, share: int | None) -> Sequence[int]:
        found = self._query(query, k).ef(max(effort, k)).refine_factor(2)
        if share is not None:
            found = found.where(f"bucket < {share}", prefilter=True)
        ids: list[int] = found.to_arrow()["id"].to_pylist()
        return ids

    def efforts(self, share: int | None) -> Sequence[int]:
        return EFFORTS[2::3]

    def exact(self, query: Floats, k: int) -> Sequence[int]:
        ids: list[int] = self._query(query, k).bypass_vector_index().to_arrow()["id"].to_pylist()
        return ids

    def replace(self, gone: Ids, ids: Ids, vectors: Floats, buckets: Ids) -> None:
        self._table.delete(f"id IN ({', '.join(map(str, gone.tolist()))})")
        self._table.add(self._rows(ids, vectors, buckets))
        self._table.optimize()

    def ingest(self, ids: Ids, vectors: Floats, buckets: Ids) -> None:
        self._table.add(self._rows(ids, vectors, buckets))

    def ingest_with_searches(
        self, ids: Ids, vectors: Floats, buckets: Ids, queries: Floats
    ) -> tuple[float, int]:
        return beside.threads(self, ids, vectors, buckets, queries)

    def reopen(self, query: Floats) -> float:
        del self._table, self._database
        begun = perf_counter()
        self._database = lancedb.connect(str(self.folder))
        self._table = self._database.open_table("vectors")
        self.search(query, 10, 64, None)
        return perf_counter() - begun
