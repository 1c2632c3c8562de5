"""What becomes of a row's fields: columns converted to their types, and the key taken out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sopasync._cli.failure import CommandError

TRUE = {"true", "t", "yes", "y", "1"}
FALSE = {"false", "f", "no", "n", "0"}


class RowError(Exception):
    """A row cannot be stored; the message says why."""


def _boolean(text: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise ValueError(f"not a truth value: {text!r}")


CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": _boolean,
    "decimal": Decimal,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "uuid": UUID,
}


class Columns:
    """Converts the fields of rows and takes their keys.

    One key field gives scalar keys; several give record keys, ordered by the fields as listed.
    """

    def __init__(self, key_fields: Sequence[str], types: Mapping[str, str]) -> None:
        self.key_fields = list(key_fields)
        self.types = dict(types)

    def key_and_value(self, fields: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the key and the value of a row; raises `RowError` when it has none."""
        value = fields | {name: self._converted(name, fields[name]) for name in self.types if name in fields}
        parts = [self._key_part(name, value) for name in self.key_fields]
        key = parts[0] if len(parts) == 1 else dict(zip(self.key_fields, parts, strict=True))
        return key, value

    def _converted(self, name: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value == "" and self.types[name] != "str":
            return None
        try:
            return CONVERSIONS[self.types[name]](value)
        except (ValueError, ArithmeticError):
            raise RowError(f"field {name!r} is no {self.types[name]}: {value[:60]!r}") from None

    @staticmethod
    def _key_part(name: str, value: Mapping[str, Any]) -> Any:
        if name not in value:
            raise RowError(f"key field {name!r} is missing")
        part = value[name]
        if part is None or part == "":
            raise RowError(f"key field {name!r} is empty")
        if isinstance(part, dict | list):
            kind = "dict" if isinstance(part, dict) else "list"
            raise RowError(f"key field {name!r} is a {kind}, which cannot be a key")
        if isinstance(part, float) and math.isnan(part):
            raise RowError(f"key field {name!r} is NaN, which has no place in an order")
        return part


def parse_types(pairs: Sequence[str]) -> dict[str, str]:
    """Read `FIELD=TYPE` pairs from the command line."""
    types: dict[str, str] = {}
    for pair in pairs:
        name, separator, kind = pair.rpartition("=")
        if not separator or kind not in CONVERSIONS:
            raise CommandError(f"--type {pair!r} is not FIELD=TYPE with one of {', '.join(CONVERSIONS)}")
        types[name] = kind
    return types
