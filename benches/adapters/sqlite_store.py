"""SQLite through apsw: WAL, synchronous=FULL, statements prepared once by apsw's cache, one connection per thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

import apsw

from .interface import PAGE_ITEMS, Commit, Reader, Row, SyncStore
from .sqlite_pragmas import CREATE, GET, ITEMS, PUT, VALUES, pragmas


class SqliteStore(SyncStore):
    """One table without rowid, so that a row is found by one descent."""

    def open(self) -> None:
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        self._main = self._connect()
        self._writing = threading.Lock()
        self._main.execute(CREATE)

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self.settings.folder / "rows.sqlite"))
        for pragma in pragmas(self.settings):
            connection.execute(pragma)
        return connection

    def close(self) -> None:
        self._main.close()

    @contextlib.contextmanager
    def session(self) -> Iterator[Commit]:
        connection = self._connect()

        def commit(rows: list[Row]) -> None:
            # SQLite's own wait for the one writer polls, and is several times slower than a lock.
            with self._writing:
                _commit(connection, rows)

        yield commit
        connection.close()

    def commit(self, rows: list[Row]) -> None:
        _commit(self._main, rows)

    def load(self, rows: list[Row]) -> None:
        _commit(self._main, rows)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reader]:
        connection = self._main
        execute = connection.execute

        def get(key: bytes) -> Any:
            return execute(GET, (key,)).get

        def items() -> Iterator[list[Any]]:
            found = execute(ITEMS)
            while page := list(islice(found, PAGE_ITEMS)):
                yield page

        def values() -> Iterator[list[Any]]:
            found = execute(VALUES)
            while page := [value for (value,) in islice(found, PAGE_ITEMS)]:
                yield page

        execute("BEGIN")
        yield Reader(get, items, values)
        execute("COMMIT")

    def checkpoint(self) -> None:
        connection = self._connect()
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        connection.close()


def _commit(connection: apsw.Connection, rows: list[Row]) -> None:
    if len(rows) == 1:
        connection.execute(PUT, rows[0])  # a transaction of its own
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(PUT, rows)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
