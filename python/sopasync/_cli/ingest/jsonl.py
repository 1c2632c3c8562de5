"""JSON lines: one object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec

from sopasync._cli.ingest.rows import Position, Row

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonLines:
    """Rows of a file with one JSON object per line; blank lines are skipped."""

    unit = "B"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.total = path.stat().st_size

    def rows(self, start: Position) -> Iterator[Row]:
        """Yield the rows after `start`."""
        offset, number = start
        with self.path.open("rb") as file:
            file.seek(offset)
            for line in file:
                content = line.removeprefix(BYTE_ORDER_MARK) if offset == 0 else line
                offset += len(line)
                number += 1
                if content.strip():
                    fields, reason = _object(content)
                    raw = "" if fields is not None else content.decode("utf-8", "backslashreplace").rstrip()
                    yield Row(number, Position(offset, number), fields, reason, raw)


def _object(line: bytes) -> tuple[dict[str, Any] | None, str]:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return None, f"not valid JSON: {error}"
    except RecursionError:
        return None, "not usable JSON: nested too deeply"
    if not isinstance(value, dict):
        return None, f"not a JSON object but {json.dumps(value)[:40]}"
    return cast("dict[str, Any]", value), ""
