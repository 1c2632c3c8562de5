"""RocksDB through rocksdict: the log is on, and a durable write is one with ``WriteOptions.sync``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    SstFileWriter,
    WriteBatch,
    WriteOptions,
)

from .interface import PAGE_ITEMS, Reader, Row, SyncStore

LOAD_ITEMS = 10_000
BLOOM_BITS = 10
WRITE_BUFFER_BYTES = 64 << 20
KEPT_BUFFERS_BYTES = 4 << 30
"""Large enough that nothing leaves the log in a run where checkpoints are off."""


class RocksdbStore(SyncStore):
    """Raw bytes, an LRU block cache, Bloom filters, two background threads."""

    def open(self) -> None:
        self.settings.folder.parent.mkdir(parents=True, exist_ok=True)
        self._options = options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_compression_type(DBCompressionType.none())
        options.increase_parallelism(2)
        options.set_write_buffer_size(WRITE_BUFFER_BYTES if self.settings.checkpoints else KEPT_BUFFERS_BYTES)
        table = BlockBasedOptions()
        table.set_block_cache(Cache(self.settings.cache_bytes))
        table.set_bloom_filter(BLOOM_BITS, False)
        options.set_block_based_table_factory(table)
        self._db = Rdict(str(self.settings.folder), options)
        self._synced = WriteOptions()
        self._synced.sync = True
        self._unsynced = WriteOptions()

    def close(self) -> None:
        self._db.close()

    def commit(self, rows: list[Row]) -> None:
        if len(rows) == 1:
            self._db.put(*rows[0], self._synced)
            return
        self._db.write(_batch(rows), self._synced)

    def load(self, rows: list[Row]) -> None:
        # In batches, the last one synced: the log is one file, so that sync covers them all.
        last = len(rows) - LOAD_ITEMS
        for start in range(0, len(rows), LOAD_ITEMS):
            self._db.write(
                _batch(rows[start : start + LOAD_ITEMS]), self._synced if start >= last else self._unsynced
            )

    def load_sorted(self, rows: list[Row]) -> None:
        file = self.settings.folder.with_suffix(".sst")
        writer = SstFileWriter(self._options)
        writer.open(str(file))
        for key, value in rows:
            writer[key] = value
        writer.finish()
        self._db.ingest_external_file([str(file)])
        file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reader]:
        snapshot = self._db.snapshot()

        def pages(found: Iterator[Any]) -> Iterator[list[Any]]:
            while page := list(islice(found, PAGE_ITEMS)):
                yield page

        yield Reader(self._db.get, lambda: pages(snapshot.items()), lambda: pages(snapshot.values()))

    def checkpoint(self) -> None:
        self._db.flush()


def _batch(rows: list[Row]) -> WriteBatch:
    batch = WriteBatch(raw_mode=True)
    for key, value in rows:
        batch.put(key, value)
    return batch
