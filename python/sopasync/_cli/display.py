"""How keys and values are shown: as JSON, one item per line, so that other programs can read them."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, cast

import msgspec
import numpy as np

ARRAY_ELEMENTS_SHOWN = 32


def as_json(value: Any) -> str:
    """Write a key or a value as one line of JSON; bytes and arrays say what they are."""
    return msgspec.json.encode(_plain(value)).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, np.ndarray):
        array = cast("np.ndarray[Any, np.dtype[Any]]", value)
        shown: list[Any] = array.ravel()[:ARRAY_ELEMENTS_SHOWN].tolist()
        return {"array": str(array.dtype), "shape": list(array.shape), "first": shown}
    if isinstance(value, dict):
        return {_name(name): _plain(part) for name, part in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in cast("Iterable[Any]", value)]
    return value


def _name(name: Any) -> str:
    return name if isinstance(name, str) else as_json(name)
