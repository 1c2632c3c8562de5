"""sop4py 2.3.3. It calls no fsync anywhere, so its commits are not durable; it is listed for orientation only.

Keys and values are text, as it has no bytes. A commit of it may hang, so it is always run with a time limit.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import sop  # type: ignore[import-untyped]
from sop import btree

from .interface import PAGE_ITEMS, Reader, Row, SyncStore

STORE = "rows"
WRITING = sop.TransactionMode.ForWriting.value
READING = sop.TransactionMode.ForReading.value


class Sop4pyStore(SyncStore):
    """Its documented defaults: unique keys, small values in the node, 500 slots."""

    durable = False

    def open(self) -> None:
        sop.Logger.configure(sop.LogLevel.Error)
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        self._context = sop.Context()
        self._local = threading.local()
        self._db = sop.Database(
            sop.DatabaseOptions(
                type=sop.transaction.DatabaseType.Standalone, stores_folders=[str(self.settings.folder)]
            )
        )
        if not (self.settings.folder / STORE).exists():
            transaction = self._db.begin_transaction(self._context)
            options = btree.BtreeOptions(STORE, True)
            tree = self._db.new_btree(self._context, STORE, transaction, options=options)
            tree.add(
                self._context, [btree.Item("", "")]
            )  # it asks for a first item before there are several writers
            transaction.commit(self._context)

    def close(self) -> None: ...

    def _thread_context(self) -> Any:
        context = getattr(self._local, "context", None)
        if context is None:
            context = self._local.context = sop.Context()
        return context

    def commit(self, rows: list[Row]) -> None:
        context = self._thread_context()
        transaction = self._db.begin_transaction(context, mode=WRITING)
        tree = self._db.open_btree(context, STORE, transaction)
        tree.upsert(context, [btree.Item(key.decode(), value.decode()) for key, value in rows])
        transaction.commit(context)

    def load(self, rows: list[Row]) -> None:
        self.commit(rows)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reader]:
        context = self._context
        transaction = self._db.begin_transaction(context, mode=READING)
        tree = self._db.open_btree(context, STORE, transaction)

        def get(key: bytes) -> Any:
            return tree.get_current_value(context).value if tree.find(context, key.decode()) else None

        def pages() -> Iterator[list[Any]]:
            # Page after page from where the cursor stands; past the end it would begin again.
            left = tree.count()
            tree.first(context)
            while left > 0:
                page = tree.get_items(context, btree.PagingInfo(0, PAGE_ITEMS))
                left -= len(page)
                yield page

        yield Reader(get, pages, pages)
        transaction.commit(context)
