"""How much disk space a closed store takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

OUR_LOG = ("log-", "lock")
"""How the names begin that are not sopasync's page file."""


def pages(folder: str) -> int:
    """Bytes without sopasync's log, whose size does not depend on the data."""
    return _space(folder, lambda name: not name.startswith(OUR_LOG))


def everything(folder: str) -> int:
    """Bytes of all files."""
    return _space(folder, lambda _: True)


def _space(folder: str, counts: Callable[[str], bool]) -> int:
    """Blocks that are allocated: holes do not count, what is allocated ahead does."""
    files = (file for file in Path(folder).rglob("*") if file.is_file() and counts(file.name))
    return sum(file.stat().st_blocks * 512 for file in files)
