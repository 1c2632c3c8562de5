"""What a store must offer to be measured. One adapter per store, set up as its experts would.

Rules for all adapters:
- R1 one thread searches, through the store's fastest documented call for one query at a time; sopasync's is awaited.
- R2 graphs have 16 links and are built with 128 candidates, everywhere.
- R3 only sopasync is durable; LanceDB writes files that it never syncs, the others are libraries for memory: all of
  these say so by ``durable = False``.
- R4 queries that are handed over at once are searched by as many threads as there are processors, everywhere.
- R5 a filter is what the store documents for it, and where it has several ways, the one that finds 0.99 fastest counts.
"""

from __future__ import annotations

import abc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from benches.vectors.data import Floats, Ids

LINKS = 16
CANDIDATES = 128
PROCESSORS = os.cpu_count() or 1
EFFORTS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


class Unsupported(Exception):  # noqa: N818 - it says what is so, not what went wrong
    """The store has no way to do it."""


class VectorIndex(abc.ABC):
    """One store with vectors in it."""

    durable: ClassVar[bool] = False

    def __init__(self, folder: Path, metric: str, dimension: int) -> None:
        self.folder = folder
        self.metric = metric
        self.dimension = dimension
        folder.mkdir(parents=True, exist_ok=True)

    @abc.abstractmethod
    def build(self, vectors: Floats, buckets: Ids) -> None:
        """Take the rows, with the ids 0, 1, 2..., and build what approximate searches need."""

    def search(self, query: Floats, k: int, effort: int, share: int | None) -> Sequence[int]:
        """Return the ids of nearly the nearest; of those whose bucket is below `share`, if given."""
        raise Unsupported

    def exact(self, query: Floats, k: int) -> Sequence[int]:
        """Return the ids of the nearest, missing none."""
        raise Unsupported

    def measuring(self, vectors: Floats, buckets: Ids) -> VectorIndex:
        """An index of the same rows whose exact searches measure every one of them."""
        return self

    def search_all(self, queries: Floats, k: int, effort: int, share: int | None) -> list[Any]:
        """`search` for one query after the other."""
        return [self.search(query, k, effort, share) for query in queries]

    def exact_all(self, queries: Floats, k: int) -> list[Any]:
        """`exact` for one query after the other."""
        return [self.exact(query, k) for query in queries]

    def search_together(self, queries: Floats, k: int, effort: int) -> list[Any]:
        """`search` for all queries in one call, without a filter."""
        raise Unsupported

    def efforts(self, share: int | None) -> Sequence[int]:
        """Settings of `search` to try, cheap ones first."""
        return EFFORTS

    def replace(self, gone: Ids, ids: Ids, vectors: Floats, buckets: Ids) -> None:
        """Delete some rows and add as many, as an application would, and wait until searches are fast again."""
        raise Unsupported

    def ingest(self, ids: Ids, vectors: Floats, buckets: Ids) -> None:
        """Add rows, all at once; durable where the store is."""
        raise Unsupported

    def ingest_with_searches(
        self, ids: Ids, vectors: Floats, buckets: Ids, queries: Floats
    ) -> tuple[float, int]:
        """Add rows while searches run beside it; returns the seconds until all are in, and the searches done."""
        raise Unsupported

    def pour(self, vectors: Floats, buckets: Ids, cache_bytes: int) -> None:
        """Add rows to an empty store with a cache of that size, a thousand at a time, as fast as it takes them."""
        raise Unsupported

    def settle(self) -> None:
        """Wait until searches are fast."""
        raise Unsupported

    def reopen(self, query: Floats) -> float:
        """Close; then open what was kept, and return the seconds until a first search is answered."""
        raise Unsupported

    def close(self) -> None:  # noqa: B027 - a library for memory has nothing to close
        """Let go of everything."""
