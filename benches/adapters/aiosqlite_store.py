"""SQLite through aiosqlite: WAL, synchronous=FULL, one connection that the tasks take in turn.

SQLite has one writer, so several connections would only wait for its lock by polling. A transaction of
many rows is one `executemany` and one `commit`: two hops to aiosqlite's thread instead of one per row.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiosqlite

from .interface import PAGE_ITEMS, AsyncReader, AsyncStore, Row
from .sqlite_pragmas import CREATE, GET, ITEMS, PUT, VALUES, pragmas


class AiosqliteStore(AsyncStore):
    """The same table as the other SQLite adapter's."""

    async def open(self) -> None:
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        self._db = await aiosqlite.connect(self.settings.folder / "rows.sqlite")
        for pragma in pragmas(self.settings):
            await self._db.execute(pragma)
        await self._db.execute(CREATE)
        await self._db.commit()
        self._writing = asyncio.Lock()

    async def close(self) -> None:
        await self._db.close()

    async def commit(self, rows: list[Row]) -> None:
        async with self._writing:
            if len(rows) == 1:
                await self._db.execute(PUT, rows[0])
            else:
                await self._db.executemany(PUT, rows)
            await self._db.commit()

    async def load(self, rows: list[Row]) -> None:
        await self.commit(rows)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncReader]:
        db = self._db

        async def get(key: bytes) -> Any:
            rows = list(await db.execute_fetchall(GET, (key,)))  # one hop
            return rows[0][0] if rows else None

        async def items() -> AsyncIterator[list[Any]]:
            async with db.execute(ITEMS) as cursor:
                while page := list(await cursor.fetchmany(PAGE_ITEMS)):
                    yield page

        async def values() -> AsyncIterator[list[Any]]:
            async with db.execute(VALUES) as cursor:
                while page := [value for (value,) in await cursor.fetchmany(PAGE_ITEMS)]:
                    yield page

        yield AsyncReader(get, items, values)
