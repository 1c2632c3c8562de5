"""Adding rows while searches run, for stores of plain calls: a thread of each."""

from __future__ import annotations

import threading
from time import perf_counter

from benches.vectors.data import NEAREST, Floats, Ids

from .interface import VectorIndex

BATCH = 1000
EFFORT = 64


def threads(
    index: VectorIndex, ids: Ids, vectors: Floats, buckets: Ids, queries: Floats
) -> tuple[float, int]:
    """See `VectorIndex.ingest_with_searches`."""
    done = threading.Event()
    searches = 0
    problems: list[BaseException] = []

    def search() -> None:
        nonlocal searches
        try:
            while not done.is_set():
                index.search(queries[searches % len(queries)], NEAREST, EFFORT, None)
                searches += 1
        except BaseException as problem:
            problems.append(problem)

    searcher = threading.Thread(target=search)
    searcher.start()
    begun = perf_counter()
    try:
        for first in range(0, len(ids), BATCH):
            part = slice(first, first + BATCH)
            index.ingest(ids[part], vectors[part], buckets[part])
        seconds = perf_counter() - begun
    finally:
        done.set()
        searcher.join()
    if problems:
        raise problems[0]
    return seconds, searches
