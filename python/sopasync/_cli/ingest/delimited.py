"""CSV and TSV files whose first line names the columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sopasync._cli.ingest.rows import START, Position, Row

FIELD_CHARS_MAX = 64 * 1024 * 1024


class Delimited:
    """Rows of a CSV file; a quoted field may span lines. Every field is text until it is converted."""

    unit = "B"

    def __init__(self, path: Path, delimiter: str) -> None:
        self.path = path
        self.delimiter = delimiter
        self.total = path.stat().st_size

    def rows(self, start: Position) -> Iterator[Row]:
        """Yield the rows after `start`."""
        csv.field_size_limit(FIELD_CHARS_MAX)
        with self.path.open("rb") as file:
            lines = _CountedLines(file, START)
            header = next(csv.reader(lines, delimiter=self.delimiter, strict=True), None)
            if header is None:
                return
            if start.offset > lines.position.offset:
                file.seek(start.offset)
                lines.position = start
            yield from self._records(lines, header)

    def _records(self, lines: _CountedLines, header: list[str]) -> Iterator[Row]:
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        while True:
            number = lines.position.line + 1
            lines.taken.clear()
            try:
                cells = next(reader, None)
                reason = "" if cells is None else _fault(cells, header)
            except csv.Error as error:
                cells, reason = [], f"not valid CSV: {error}"
            if cells is None:
                return
            if cells or reason:
                fields = None if reason else dict(zip(header, cells, strict=True))
                raw = "".join(lines.taken).rstrip() if reason else ""
                raw = raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                yield Row(number, lines.position, fields, reason, raw)


def _fault(cells: list[str], header: list[str]) -> str:
    if cells and len(cells) != len(header):
        return f"{len(cells)} fields where the header names {len(header)}"
    if any("\udc80" <= character <= "\udcff" for cell in cells if not cell.isascii() for character in cell):
        return "not valid UTF-8"
    return ""


class _CountedLines:
    """Lines of a binary file as text, counting bytes, so that the place after each record is known."""

    def __init__(self, file: BinaryIO, position: Position) -> None:
        self.file = file
        self.position = position
        self.taken: list[str] = []

    def __iter__(self) -> _CountedLines:
        return self

    def __next__(self) -> str:
        line = self.file.readline()
        if not line:
            raise StopIteration
        encoding = "utf-8-sig" if self.position.offset == 0 else "utf-8"
        self.position = Position(self.position.offset + len(line), self.position.line + 1)
        text = line.decode(encoding, "surrogateescape")
        self.taken.append(text)
        return text
