"""How both SQLite adapters set a connection up, and the statements they share."""

from __future__ import annotations

from .interface import Settings

CREATE = "CREATE TABLE IF NOT EXISTS rows(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
PUT = "INSERT INTO rows(key, value) VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value"
GET = "SELECT value FROM rows WHERE key = ?"
ITEMS = "SELECT key, value FROM rows ORDER BY key"
VALUES = "SELECT value FROM rows ORDER BY key"

BUSY_TIMEOUT_MS = 60_000


def pragmas(settings: Settings) -> list[str]:
    """Write-ahead log, one sync per commit, the agreed page cache."""
    found = [
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        f"PRAGMA cache_size = -{settings.cache_bytes // 1024}",
        "PRAGMA temp_store = MEMORY",
        f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    ]
    if not settings.checkpoints:
        found.append("PRAGMA wal_autocheckpoint = 0")
    return found
