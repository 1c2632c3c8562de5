"""How keys of a typed store are checked on the way in and made into their type on the way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, get_origin

import msgspec

from ._exceptions import KeyTypeError
from ._schema import record_fields, type_name

KeyCheck = Callable[[Any], None]
KeyMaker = Callable[[Any], Any]


def key_check(store: str, key_type: Any) -> KeyCheck | None:
    """A function that refuses keys of other types; ``None`` when every key is welcome."""
    if key_type is None or key_type is Any or key_type is object:
        return None
    name = type_name(key_type)
    origin = get_origin(key_type)
    accepted: Any = origin if isinstance(origin, type) and origin is not UnionType else key_type
    if record_fields(key_type) is not None:
        accepted = Mapping if issubclass(key_type, dict) else (key_type, Mapping)
    elif key_type is float:
        accepted = (float, int)
    number = key_type is int or key_type is float

    def check(key: Any) -> None:
        if not isinstance(key, accepted) or (number and isinstance(key, bool)):
            raise KeyTypeError(
                f"keys of store '{store}' are of type {name}, got {type(key).__name__}: {key!r}", store=store
            )

    return check


def key_maker(key_type: Any) -> KeyMaker | None:
    """A function that makes what the engine decoded into the key type; ``None`` when it is that already."""
    if record_fields(key_type) is None or issubclass(key_type, dict):
        return None

    def make(key: Any) -> Any:
        return msgspec.convert(key, key_type)

    return make
