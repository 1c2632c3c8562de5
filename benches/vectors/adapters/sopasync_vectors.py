"""sopasync, through its public, awaited calls on an event loop; every answer is that of a read transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

import sopasync
from benches.vectors.data import NEAREST, Floats, Ids

from .beside import BATCH, EFFORT
from .interface import CANDIDATES, EFFORTS, LINKS, VectorIndex

LOADED_AT_ONCE = 50_000
STORE = "vectors"

T = TypeVar("T")


class SopasyncVectors(VectorIndex):
    durable = True

    def __init__(self, folder: Path, metric: str, dimension: int, **config: Any) -> None:
        super().__init__(folder, metric, dimension)
        self._config = config
        self._measuring: SopasyncVectors | None = None
        self._loop = asyncio.Runner()
        self._database: Any = None
        self._reading: Any = None
        self._store: Any = None

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)

    def build(self, vectors: Floats, buckets: Ids) -> None:
        self._run(self._open())
        self._run(self._add(np.arange(len(vectors)), vectors, buckets, LOADED_AT_ONCE))
        self._run(self._settle())

    async def _open(self, **options: Any) -> None:
        self._database = await sopasync.Database(self.folder, **options).__aenter__()

    async def _add(self, ids: Ids, vectors: Floats, buckets: Ids, together: int) -> None:
        config = sopasync.VectorConfig(
            dimension=self.dimension,
            metric="l2" if self.metric == "l2" else "cosine",
            links=LINKS,
            ef_construction=CANDIDATES,
            **self._config,
        )
        for first in range(0, len(ids), together):
            part = slice(first, first + together)
            async with self._database.begin_transaction() as tx:
                store = await tx.open_vector_store(STORE, config)
                await store.upsert_many(ids[part], vectors[part], {"bucket": buckets[part]})

    async def _settle(self) -> None:
        """Wait for the background, then take a new snapshot to search at."""
        await self._stop_reading()
        await self._database.settle(STORE)
        await self._read()

    async def _read(self) -> None:
        # As long as can be: the stores built after this one take their time.
        self._reading = self._database.begin_transaction(
            mode=sopasync.TransactionMode.FOR_READING, max_time=timedelta(hours=1)
        )
        self._store = await (await self._reading.__aenter__()).open_vector_store(STORE)

    async def _stop_reading(self) -> None:
        if self._reading is not None:
            await self._reading.__aexit__(None, None, None)
            self._reading = None

    def efforts(self, share: int | None) -> Sequence[int]:
        return EFFORTS

    def search_all(self, queries: Floats, k: int, effort: int, share: int | None) -> list[Any]:
        return self._run(self._search_all(queries, k, effort, share))

    async def _search_all(self, queries: Floats, k: int, effort: int, share: int | None) -> list[Any]:
        chosen = None if share is None else {"bucket": {"$lt": share}}
        query = self._store.query
        return [(await query(row, k, chosen, ef=effort, payloads=False)).ids for row in queries]

    def search_together(self, queries: Floats, k: int, effort: int) -> list[Any]:
        return self._run(self._search_together(queries, k, effort))

    async def _search_together(self, queries: Floats, k: int, effort: int) -> list[Any]:
        lists = await self._store.query_many(queries, k, ef=effort, payloads=False)
        return [hits.ids for hits in lists]

    def exact_all(self, queries: Floats, k: int) -> list[Any]:
        return self._run(self._exact_all(queries, k))

    async def _exact_all(self, queries: Floats, k: int) -> list[Any]:
        query = self._store.query
        return [(await query(row, k, exact=True, payloads=False)).ids for row in queries]

    def measuring(self, vectors: Floats, buckets: Ids) -> VectorIndex:
        if self._measuring is None:
            place = self.folder.with_name(f"{self.folder.name}-measuring")
            self._measuring = SopasyncVectors(place, self.metric, self.dimension, index="exact", codes="none")
            self._measuring.build(vectors, buckets)
        return self._measuring

    def replace(self, gone: Ids, ids: Ids, vectors: Floats, buckets: Ids) -> None:
        self._run(self._replace(gone, ids, vectors, buckets))

    async def _replace(self, gone: Ids, ids: Ids, vectors: Floats, buckets: Ids) -> None:
        async with self._database.begin_transaction() as tx:
            store = await tx.open_vector_store(STORE)
            await store.delete(gone.tolist())
            await store.upsert_many(ids, vectors, {"bucket": buckets})
        await self._settle()

    def ingest_with_searches(
        self, ids: Ids, vectors: Floats, buckets: Ids, queries: Floats
    ) -> tuple[float, int]:
        return self._run(self._beside(ids, vectors, buckets, queries))

    async def _beside(self, ids: Ids, vectors: Floats, buckets: Ids, queries: Floats) -> tuple[float, int]:
        searches, done = 0, False

        async def search() -> None:
            nonlocal searches
            while not done:
                # A snapshot of its own for every search: what is committed is found.
                async with self._database.begin_transaction(mode=sopasync.TransactionMode.FOR_READING) as tx:
                    store = await tx.open_vector_store(STORE)
                    await store.query(queries[searches % len(queries)], NEAREST, ef=EFFORT, payloads=False)
                searches += 1
                await asyncio.sleep(0)

        searcher = asyncio.ensure_future(search())
        begun = perf_counter()
        await self._add(ids, vectors, buckets, BATCH)
        seconds = perf_counter() - begun
        done = True
        await searcher
        await self._stop_reading()
        await self._read()  # what was added is to be found from now on
        return seconds, searches

    def pour(self, vectors: Floats, buckets: Ids, cache_bytes: int) -> None:
        self._run(self._open(cache_bytes=cache_bytes))
        self._run(self._add(np.arange(len(vectors)), vectors, buckets, BATCH))

    def settle(self) -> None:
        self._run(self._settle())

    def reopen(self, query: Floats) -> float:
        return self._run(self._reopen(query))

    async def _reopen(self, query: Floats) -> float:
        await self._stop_reading()
        await self._database.__aexit__(None, None, None)
        begun = perf_counter()
        await self._open()
        await self._read()
        await self._store.query(query, NEAREST, payloads=False)
        return perf_counter() - begun

    def close(self) -> None:
        if self._measuring is not None:
            self._measuring.close()

        async def close() -> None:
            await self._stop_reading()
            if self._database is not None:
                await self._database.__aexit__(None, None, None)

        self._run(close())
        self._loop.close()
