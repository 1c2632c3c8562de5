"""Filters over payloads: plain dicts, expressions of `field`, and the packed form that the engine reads.

    {"name": "Laptop", "price": {"$lt": 100}}          (field("name") == "Laptop") & (field("price") < 100)

Both become the same lists (`rust/payload`): ``["and", [["eq", "name", "Laptop"], ["range", "price", ...]]]``.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import sys
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeGuard, cast, final

from ._core import encode_value, payload_matches
from ._exceptions import InvalidArgumentError

DEPTH_MAX: Final = 64
"""How deep filters nest at most."""

FIELD_BYTES_MAX: Final = 1024
"""How long a field's name is at most, in UTF-8."""

BOUND_BYTES_MAX: Final = 256
"""How long a str or bytes that bounds a range is at most."""

_NUMBER: Final = (int, float, decimal.Decimal)
_CLASSES: Final[tuple[tuple[Any, str], ...]] = (
    (bool, "bool"),
    (_NUMBER, "number"),
    (str, "str"),
    ((bytes, bytearray, memoryview), "bytes"),
    (datetime.datetime, "datetime"),
    (datetime.date, "date"),
    (datetime.time, "time"),
    (datetime.timedelta, "timedelta"),
    (uuid.UUID, "UUID"),
)
_OPERATORS: Final = "$eq, $ne, $lt, $lte, $gt, $gte, $in, $nin, $exists, $not"
_RANGE: Final = ("$gt", "$gte", "$lt", "$lte")


@final
class Filter:
    """A condition on payloads, made by comparing a `field`. Combine them with ``&``, ``|`` and ``~``."""

    __slots__ = ("_tree",)

    def __init__(self, tree: list[Any]) -> None:
        self._tree = tree

    @property
    def tree(self) -> list[Any]:
        """The condition as nested lists, as the engine reads it."""
        return self._tree

    def matches(self, payload: Mapping[str, Any] | None) -> bool:
        """Whether a payload meets the condition."""
        return payload_matches(encode_value(self._tree), encode_value(payload))

    def __and__(self, other: Filter | Mapping[str, Any]) -> Filter:
        return Filter(["and", [self._tree, tree_of(other)]])

    def __rand__(self, other: Mapping[str, Any]) -> Filter:
        return Filter(["and", [tree_of(other), self._tree]])

    def __or__(self, other: Filter | Mapping[str, Any]) -> Filter:
        return Filter(["or", [self._tree, tree_of(other)]])

    def __ror__(self, other: Mapping[str, Any]) -> Filter:
        return Filter(["or", [tree_of(other), self._tree]])

    def __invert__(self) -> Filter:
        return Filter(["not", self._tree])

    def __bool__(self) -> bool:
        raise TypeError(
            "a filter is neither true nor false: combine filters with &, | and ~ instead of and, or and not, "
            "and write a < x < b as field(...).between(a, b)"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self._tree == other._tree

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Filter({self._tree!r})"


@final
class Field:
    """A field of payloads, to compare with values: see `field`."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, value: object) -> Filter:  # type: ignore[override]
        return Filter(["eq", self._name, _scalar(value, self._name)])

    def __ne__(self, value: object) -> Filter:  # type: ignore[override]
        return Filter(["ne", self._name, _scalar(value, self._name)])

    def __lt__(self, value: object) -> Filter:
        return Filter(_range(self._name, self._name, high=(value, False)))

    def __le__(self, value: object) -> Filter:
        return Filter(_range(self._name, self._name, high=(value, True)))

    def __gt__(self, value: object) -> Filter:
        return Filter(_range(self._name, self._name, low=(value, False)))

    def __ge__(self, value: object) -> Filter:
        return Filter(_range(self._name, self._name, low=(value, True)))

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise TypeError(
            f"a field is neither true nor false: compare it, or use field({self._name!r}).exists()"
        )

    def isin(self, values: Iterable[object]) -> Filter:
        """Whether a value of the field is one of these."""
        return Filter(["in", self._name, _scalars(values, self._name)])

    def between(self, low: object, high: object) -> Filter:
        """Whether one value of the field is at least `low` and at most `high`."""
        return Filter(_range(self._name, self._name, low=(low, True), high=(high, True)))

    def exists(self) -> Filter:
        """Whether the payload has the field, whatever its value."""
        return Filter(["exists", self._name])

    def __repr__(self) -> str:
        return f"field({self._name!r})"


def field(name: str) -> Field:
    """A field of payloads, to write filters with.

    A dot leads into a map: ``field("author.name")``. A field with a list holds when one of its elements does.
    Values of different types are never equal and never in order; numbers are one type.

    Example:
        ```python
        hits = await products.query(vector, k=5, filter=(field("price") < 100) & ~field("tags").isin(["old"]))
        ```
    """
    return Field(_name(name, ""))


def tree_of(given: Filter | Mapping[str, Any]) -> list[Any]:
    """The nested lists of a filter in either form.

    Raises:
        InvalidArgumentError: It is no filter; the message names the place.
    """
    return _tree(given, "", 0)


def pack_filter(given: Filter | Mapping[str, Any] | None) -> bytes | None:
    """The packed form of a filter in either form; ``None`` for no filter."""
    return None if given is None else encode_value(tree_of(given))


def _tree(given: object, place: str, depth: int) -> list[Any]:
    if depth > DEPTH_MAX:
        raise _wrong(place, f"filters nest at most {DEPTH_MAX} deep")
    if isinstance(given, Filter):
        return given.tree
    if isinstance(given, Field):
        raise _wrong(place, f"{given!r} alone is no condition: compare it, or use .exists()")
    if not _is_mapping(given):
        raise _wrong(
            place,
            f"a filter is a dict such as {{'price': {{'$lt': 100}}}} or an expression such as field('price') < 100, "
            f"got {type(given).__name__}: {_shorten(given)}",
        )
    conditions = [_entry(key, value, place, depth) for key, value in given.items()]
    return conditions[0] if len(conditions) == 1 else ["and", conditions]


def _entry(key: object, value: object, place: str, depth: int) -> list[Any]:
    here = _join(place, key)
    if key in ("$and", "$or"):
        if not isinstance(value, list | tuple):
            raise _wrong(
                here, f"a list of filters is expected, got {type(value).__name__}: {_shorten(value)}"
            )
        inner = cast("list[object] | tuple[object, ...]", value)
        trees = [_tree(one, f"{here}[{index}]", depth + 1) for index, one in enumerate(inner)]
        return ["and" if key == "$and" else "or", trees]
    if key == "$not":
        return ["not", _tree(value, here, depth + 1)]
    if isinstance(key, str) and key.startswith("$"):
        raise _wrong(
            here,
            f"there is no operator {key} here. There are $and, $or and $not; the others stand below a field: "
            "{'price': {'$lt': 100}}",
        )
    return _of_field(_name(key, place), value, here, depth)


def _of_field(name: str, value: object, place: str, depth: int) -> list[Any]:
    if not _is_mapping(value):
        return ["eq", name, _scalar(value, place)]
    operators = [isinstance(key, str) and key.startswith("$") for key in value]
    if not all(operators) or not operators:
        raise _wrong(
            place,
            f"a dict here holds operators ({_OPERATORS}). To look into a map, join the names with a dot: "
            f"'{name}.<name>'",
        )
    conditions: list[list[Any]] = []
    bounds = {operator: value[operator] for operator in _RANGE if operator in value}
    if bounds:
        conditions.append(_bounded(name, bounds, place))
    for operator, operand in value.items():
        if operator not in bounds:
            conditions.append(_operation(name, operator, operand, _join(place, operator), depth))
    return conditions[0] if len(conditions) == 1 else ["and", conditions]


def _operation(name: str, operator: str, operand: object, place: str, depth: int) -> list[Any]:
    if operator in ("$eq", "$ne"):
        return [operator[1:], name, _scalar(operand, place)]
    if operator == "$in":
        return ["in", name, _scalars(operand, place)]
    if operator == "$nin":
        return ["not", ["in", name, _scalars(operand, place)]]
    if operator == "$exists":
        if not isinstance(operand, bool):
            raise _wrong(
                place, f"True or False is expected, got {type(operand).__name__}: {_shorten(operand)}"
            )
        return ["exists", name] if operand else ["not", ["exists", name]]
    if operator == "$not":
        if depth >= DEPTH_MAX:
            raise _wrong(place, f"filters nest at most {DEPTH_MAX} deep")
        return ["not", _of_field(name, operand, place, depth + 1)]
    raise _wrong(place, f"there is no operator {operator}. There are {_OPERATORS}")


def _bounded(name: str, bounds: Mapping[str, object], place: str) -> list[Any]:
    for one, other in (("$gt", "$gte"), ("$lt", "$lte")):
        if one in bounds and other in bounds:
            raise _wrong(place, f"{one} and {other} at once: give one of them")
    ends: dict[str, tuple[object, bool]] = {}
    for operator, bound in bounds.items():
        ends["low" if operator[1] == "g" else "high"] = (bound, operator.endswith("e"))
    return _range(name, place, **ends)


def _range(
    name: str, place: str, *, low: tuple[object, bool] | None = None, high: tuple[object, bool] | None = None
) -> list[Any]:
    tree: list[Any] = ["range", name]
    classes: list[str] = []
    for end in (low, high):
        if end is None:
            tree += [None, False]
            continue
        bound, included = end
        if bound is None:
            raise _wrong(place, "a range has no bound None: leave the bound out, or ask for equality")
        bound = _scalar(bound, place)
        if len(bound.encode() if isinstance(bound, str) else _content(bound)) > BOUND_BYTES_MAX:
            raise _wrong(place, f"a bound of a range has at most {BOUND_BYTES_MAX} bytes: {_shorten(bound)}")
        classes.append(_class_of(bound))
        tree += [bound, included]
    if len(set(classes)) > 1:
        raise _wrong(place, f"the bounds of a range are of one type, got {classes[0]} and {classes[1]}")
    return tree


def _content(bound: Any) -> bytes:
    return bytes(bound) if _class_of(bound) == "bytes" else b""


def _scalars(values: object, place: str) -> list[Any]:
    if isinstance(values, str | bytes) or _is_mapping(values) or not isinstance(values, Iterable):
        raise _wrong(place, f"a list of values is expected, got {type(values).__name__}: {_shorten(values)}")
    return [
        _scalar(value, f"{place}[{index}]") for index, value in enumerate(cast("Iterable[object]", values))
    ]


def _scalar(given: object, place: str) -> Any:
    """A value that payloads can be compared with."""
    value: Any = _plain(given)
    if value is None:
        return None
    if isinstance(value, _NUMBER):
        if value != value:
            raise _wrong(place, "NaN is equal to nothing and in no order: ask with $exists, or leave it out")
        return value
    if not _class_of(value):
        is_many = type(value) in (list, tuple, set, frozenset)
        remedy = ": use $in with a list of values" if is_many else ""
        raise _wrong(
            place, f"payloads are not compared with {type(value).__name__} {_shorten(value)}{remedy}"
        )
    return value


def _plain(value: object) -> object:
    """Members of enums as their values, scalars of numpy as Python's."""
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return cast("Any", value).item()
    return value


def _class_of(value: object) -> str:
    """What the value is compared as; empty when it cannot be."""
    for classes, name in _CLASSES:
        if isinstance(value, classes):
            if name in ("datetime", "time"):
                aware = cast("datetime.datetime", value).utcoffset() is not None
                return f"{name} with an offset" if aware else f"{name} without an offset"
            return name
    return ""


def _name(name: object, place: str) -> str:
    if not isinstance(name, str):
        raise _wrong(place, f"a field's name is a str, got {type(name).__name__}: {_shorten(name)}")
    if len(name.encode("utf-8", "replace")) > FIELD_BYTES_MAX:
        raise _wrong(place, f"a field's name has at most {FIELD_BYTES_MAX} bytes: {_shorten(name)}")
    return name


def _is_mapping(given: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(given, Mapping)


def _join(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _wrong(place: str, reason: str) -> InvalidArgumentError:
    at = f" at {_shorten_place(place)}" if place else ""
    return InvalidArgumentError(f"filter{at}: {reason}")


def _shorten_place(place: str) -> str:
    return place if len(place) <= 80 else f"{place[:60]}...{place[-17:]}"
