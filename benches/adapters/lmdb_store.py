"""LMDB through py-lmdb: synced commits, the map sized beforehand, no write map."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import lmdb

from .interface import PAGE_ITEMS, Reader, Row, SyncStore


class LmdbStore(SyncStore):
    """Its page cache is the system's, so `cache_bytes` means nothing to it."""

    def open(self) -> None:
        self._env = lmdb.open(
            str(self.settings.folder),
            map_size=self.settings.file_bytes_max,
            writemap=False,
            sync=True,
            metasync=True,
            max_dbs=0,
        )

    def close(self) -> None:
        self._env.close()

    def commit(self, rows: list[Row]) -> None:
        with self._env.begin(write=True) as transaction:
            for key, value in rows:
                transaction.put(key, value)

    def load(self, rows: list[Row]) -> None:
        with self._env.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(rows)

    def load_sorted(self, rows: list[Row]) -> None:
        with self._env.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(rows, append=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reader]:
        with self._env.begin() as transaction:

            def pages(*, keys: bool) -> Iterator[list[Any]]:
                with transaction.cursor() as cursor:
                    found: Iterator[Any] = cursor.iternext() if keys else cursor.iternext(keys=False)
                    while page := list(islice(found, PAGE_ITEMS)):
                        yield page

            yield Reader(transaction.get, lambda: pages(keys=True), lambda: pages(keys=False))
