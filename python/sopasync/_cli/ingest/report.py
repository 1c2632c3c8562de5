"""The report of what was rejected, one JSON line each: line, reason and text of a row; path and reason of a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from sopasync._cli.ingest.rows import Row

RAW_CHARS_MAX = 2_000
REJECTED_SHOWN: Final = 5
"""Of those that were rejected, how many are shown at the end of a run."""


class Report:
    """Rejected rows of one file, or files of one folder. The report is made when the first one is rejected."""

    def __init__(self, path: Path, kept_bytes: int) -> None:
        self.path = path
        self.size = kept_bytes
        self._file: BinaryIO | None = None
        if kept_bytes and path.exists():
            self._open(kept_bytes)
        elif not kept_bytes:
            path.unlink(missing_ok=True)

    def reject(self, row: Row, reason: str) -> None:
        """Add a row."""
        self.add({"line": row.line, "reason": reason, "row": row.raw[:RAW_CHARS_MAX] or row.fields})

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add an entry."""
        if self._file is None:
            self._open(0)
            self.size = 0
        line = msgspec.json.encode(entry) + b"\n"
        assert self._file is not None
        self._file.write(line)
        self.size += len(line)

    def flush(self) -> None:
        """Hand what was added to the operating system, before the commit that counts it."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _open(self, kept_bytes: int) -> None:
        # Rows behind the last commit are read again, so their entries would be there twice.
        self._file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        self._file.truncate(kept_bytes)
        self._file.seek(kept_bytes)
