"""The stores that are measured, by short name. An adapter is imported only when its store is measured."""

from __future__ import annotations

from importlib import import_module

from .interface import AsyncStore, Settings, SyncStore

OURS = "sopasync"
OURS_DIRECT = "sopasync-direct"
OURS_BULK = "sopasync-bulk"

_PLACES = {
    OURS: ("sopasync_store", "SopasyncStore"),
    OURS_DIRECT: ("sopasync_direct", "SopasyncDirect"),
    OURS_BULK: ("sopasync_store", "SopasyncBulk"),
    "lmdb": ("lmdb_store", "LmdbStore"),
    "sqlite": ("sqlite_store", "SqliteStore"),
    "aiosqlite": ("aiosqlite_store", "AiosqliteStore"),
    "rocksdb": ("rocksdb_store", "RocksdbStore"),
    "sop4py": ("sop4py_store", "Sop4pyStore"),
}

STORES = tuple(_PLACES)

LABELS = {
    OURS: "sopasync",
    OURS_DIRECT: "sopasync, direct calls",
    OURS_BULK: "sopasync, bulk_load",
    "lmdb": "LMDB",
    "sqlite": "SQLite",
    "aiosqlite": "aiosqlite",
    "rocksdb": "RocksDB",
    "sop4py": "sop4py*",
}


def store(name: str, settings: Settings) -> SyncStore | AsyncStore:
    """Make the store of that short name, not yet open; ImportError when its package is not there."""
    module, class_name = _PLACES[name]
    made: SyncStore | AsyncStore = getattr(import_module(f".{module}", __name__), class_name)(settings)
    return made
