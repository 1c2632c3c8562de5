"""sopasync without an event loop: the blocking calls of its extension, which give the GIL away while they wait.

This is what a synchronous facade would cost, and what the peers' own calls are compared with. Values
are the stored bytes, as in the peers.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterator
from typing import Any

from sopasync._core import MISS, Completions, Engine, KeyCodec, Participant

from .interface import PAGE_ITEMS, Reader, Row, SyncStore

STORE = "rows"
BTREE_KIND = 1
SERIALIZABLE = 2
VALUES = 2
ITEMS = 1
LOAD_ITEMS = 1000


class SopasyncDirect(SyncStore):
    """Full durability, serializable transactions."""

    def open(self) -> None:
        settings = self.settings
        self._engine = Engine.open(
            str(settings.folder),
            cache_bytes=settings.cache_bytes,
            page_bytes=8192,
            durability="full",
            read_only=False,
            create=True,
            checkpoint_log_bytes=(64 << 20) if settings.checkpoints else 1 << 40,
            checkpoint_interval_s=60.0 if settings.checkpoints else 1e9,
        )
        transaction = self._engine.begin(SERIALIZABLE, False)
        found = transaction.find_store(STORE)
        self._store_id = (found or transaction.create_store(STORE, BTREE_KIND, b"")).id
        transaction.commit()
        self._codec = KeyCodec(unique=True, fields=None)

    def close(self) -> None:
        self._engine.close()

    def commit(self, rows: list[Row]) -> None:
        transaction = self._engine.begin(SERIALIZABLE, False)
        participant = transaction.participant(self._store_id, self._codec)
        for key, value in rows:
            participant.upsert(key, value)
        transaction.commit()

    def load(self, rows: list[Row]) -> None:
        loader = self._engine.bulk_load(self._codec, store_id=self._store_id)
        for start in range(0, len(rows), LOAD_ITEMS):
            keys, values = zip(*rows[start : start + LOAD_ITEMS], strict=True)
            loader.add(keys, values)
        loader.finish()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reader]:
        transaction = self._engine.begin(SERIALIZABLE, True)
        participant = transaction.participant(self._store_id, self._codec)

        def pages(what: int) -> Iterator[list[Any]]:
            low: bytes | None = None
            while True:
                found: Any = participant.scan(low, None, lo_open=low is not None, limit=PAGE_ITEMS, what=what)
                if found is MISS:
                    found = self._awaited(participant)
                yield found[0]
                low = found[1]
                if low is None:
                    return

        get: Any = participant.get
        yield Reader(get, lambda: pages(ITEMS), lambda: pages(VALUES))
        transaction.rollback()

    def _awaited(self, participant: Participant) -> Any:
        """Wait for the pages that the last call of the participant found missing."""
        completions = Completions()
        participant.retry(completions, 1)
        select.select([completions.fileno()], [], [])
        (done,) = completions.drain()
        _, status, payload = done
        completions.close()
        assert not status, f"the engine could not read a page: {payload}"
        return payload

    def checkpoint(self) -> None:
        self._engine.checkpoint()
