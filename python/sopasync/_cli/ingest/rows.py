"""Rows of a file as the ingestion sees them: where each ends, and either its fields or why it is no row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol


class Position(NamedTuple):
    """A place between two rows, from which reading can go on."""

    offset: int
    """Bytes read so far; rows read so far in a columnar file."""
    line: int
    """Lines read so far; rows read so far in a columnar file."""


class Row(NamedTuple):
    """One row of the file."""

    line: int
    """The line it begins at, counted from 1."""
    end: Position
    """The place after it."""
    fields: dict[str, Any] | None
    """Its fields by name; None when it is rejected."""
    reason: str
    """Why it is rejected; empty when it is not."""
    raw: str
    """Its text, for the report of rejected rows."""


class Source(Protocol):
    """A file of rows."""

    total: int
    """Its length in `unit`."""
    unit: str
    """`B` where offsets are bytes, `rows` where they are rows."""

    def rows(self, start: Position) -> Iterator[Row]:
        """Yield the rows after `start`."""
        ...


START = Position(0, 0)
