"""A folder of text files: which files it has, and what each of them holds."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, NamedTuple

from sopasync._cli.ingest.columns import RowError
from sopasync._cli.ingest.passages import passages

PATTERNS: Final = ("*.txt", "*.md", "*.rst")
FILE_BYTES_MAX: Final = 8 * 1024 * 1024
"""What is larger is no text that somebody reads, but a log or a dump."""


class Look(NamedTuple):
    """What tells whether a file has changed."""

    size: int
    modified_ns: int


@dataclass
class Found:
    """Files of a folder."""

    paths: list[str] = field(default_factory=list[str])
    """In order; relative to the folder, their parts joined by `/`."""
    unreadable: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Folders in it that could not be read, and why."""


class Folder:
    """Text files in a folder and the folders in it.

    What begins with a dot is left out, and links to folders are not followed.
    """

    def __init__(self, root: Path, patterns: Sequence[str]) -> None:
        self.root = root
        self.patterns = [pattern.lower() for pattern in patterns or PATTERNS]

    def find(self) -> Found:
        """List the files whose names, or paths where the pattern has a `/`, match a pattern; case does not matter."""
        found = Found()

        def unreadable(error: OSError) -> None:
            found.unreadable.append((self._relative(str(error.filename)), _reason(error)))

        for place, folders, names in os.walk(self.root, onerror=unreadable):
            folders[:] = [name for name in folders if not name.startswith(".")]
            shown = [name for name in names if not name.startswith(".")]
            found.paths += filter(self._matches, (self._relative(f"{place}/{name}") for name in shown))
        found.paths.sort()
        return found

    def _relative(self, path: str) -> str:
        return Path(path).relative_to(self.root).as_posix()

    def _matches(self, path: str) -> bool:
        path = path.lower()
        name = path.rpartition("/")[2]
        return any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in self.patterns)

    def look(self, path: str) -> Look | None:
        """Return size and time of modification of a file; None when it is not there, or cannot be reached."""
        try:
            status = (self.root / path).stat()
        except OSError:
            return None
        return Look(status.st_size, status.st_mtime_ns)

    def is_gone(self, path: str) -> bool:
        """Whether a file is no longer there. One that cannot be reached is not gone."""
        try:
            os.lstat(self.root / path)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return False

    def read(self, path: str) -> tuple[Look, str]:
        """Read a file; raises `RowError` when it is no text to be stored."""
        try:
            path.encode()
        except UnicodeEncodeError:
            raise RowError("its name is not valid UTF-8") from None
        try:
            # What is no file, such as a pipe, must not be waited for.
            descriptor = os.open(self.root / path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise RowError("it is no file")
                data = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            raise RowError(_reason(error)) from None
        if len(data) > FILE_BYTES_MAX:
            raise RowError(f"it has {status.st_size:,} bytes; texts have {FILE_BYTES_MAX:,} at most")
        try:
            return Look(status.st_size, status.st_mtime_ns), data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise RowError(f"it is not valid UTF-8: {error.reason} at byte {error.start:,}") from None


def rows_of(path: str, look: Look, text: str, *, by_passage: bool) -> list[dict[str, Any]]:
    """Return the rows of a file: one, or one for each passage."""
    modified = datetime.fromtimestamp(look.modified_ns / 1e9, UTC)
    common: dict[str, Any] = {"path": path, "size": look.size, "modified": modified}
    if not by_passage:
        return [common | {"text": text}]
    return [
        common | {"passage": number, "line": passage.line, "text": passage.text}
        for number, passage in enumerate(passages(text), 1)
    ]


def key_of(path: str, passage: int, *, by_passage: bool) -> Any:
    """Return the key of a row."""
    return {"path": path, "passage": passage} if by_passage else path


def _reason(error: OSError) -> str:
    return f"it cannot be read: {error.strerror or error}"
