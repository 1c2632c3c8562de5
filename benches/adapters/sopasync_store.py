"""sopasync as an application uses it: its public, awaited calls."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import sopasync
from benches.dataset import Record, decode_record

from .interface import PAGE_ITEMS, AsyncReader, AsyncStore, Row

STORE = "rows"
RECORDS = "records"
NEVER_BYTES = 1 << 40
NEVER_SECONDS = 1e9


class SopasyncStore(AsyncStore):
    """Full durability, serializable transactions: the defaults."""

    async def open(self) -> None:
        self._db = await sopasync.Database(self.options()).open()
        async with self._db.begin_transaction() as tx:
            await tx.new_btree(STORE, value_type=bytes)
            await tx.new_btree(RECORDS, value_type=Record)

    def options(self) -> sopasync.DatabaseOptions:
        settings = self.settings
        if settings.checkpoints:
            return sopasync.DatabaseOptions(
                stores_folders=[settings.folder], cache_bytes=settings.cache_bytes
            )
        return sopasync.DatabaseOptions(
            stores_folders=[settings.folder],
            cache_bytes=settings.cache_bytes,
            checkpoint_log_bytes=NEVER_BYTES,
            checkpoint_interval_s=NEVER_SECONDS,
        )

    async def close(self) -> None:
        await self._db.aclose()

    async def commit(self, rows: list[Row]) -> None:
        async with self._db.begin_transaction() as tx:
            store = await tx.open_btree(STORE, value_type=bytes)
            for key, value in rows:
                await store.upsert(key, value)

    async def load(self, rows: list[Row]) -> None:
        async with self._db.begin_transaction() as tx:
            store = await tx.open_btree(STORE, value_type=bytes)
            await store.upsert(rows)

    async def load_records(self, rows: list[Row]) -> None:
        async with self._db.begin_transaction() as tx:
            store = await tx.open_btree(RECORDS, value_type=Record)
            await store.upsert([(key, decode_record(value)) for key, value in rows])

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncReader]:
        async with self._db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            store = await tx.open_btree(STORE, value_type=bytes)
            records = await tx.open_btree(RECORDS, value_type=Record)
            yield AsyncReader(
                get=store.get,
                pages_of_items=lambda: store.items().pages(PAGE_ITEMS),
                pages_of_values=lambda: store.values().pages(PAGE_ITEMS),
                pages_of_records=lambda: records.values().pages(PAGE_ITEMS),
            )

    async def checkpoint(self) -> None:
        await self._db.checkpoint()


class SopasyncBulk(SopasyncStore):
    """The same, loaded by `Database.bulk_load` instead of a transaction."""

    async def load(self, rows: list[Row]) -> None:
        await self._db.bulk_load(STORE, rows, value_type=bytes)
