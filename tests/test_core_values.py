"""Untyped values: what is packed comes back exactly, and what cannot be packed is named with its path."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import enum
import math
import zoneinfo
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopasync._core import decode_value, encode_value
from sopasync._exceptions import CodecError

offsets = st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)).map(dt.timezone)
hashable = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**300), 2**300),
    st.floats(),
    st.text(max_size=40),
    st.binary(max_size=40),
    st.uuids(),
    st.decimals(allow_nan=False),
    st.dates(),
    st.times(),
    st.times(timezones=offsets),
    st.timedeltas(),
    st.datetimes(allow_imaginary=True),
    # With an offset nothing is ambiguous, so the fold is not kept.
    st.datetimes(timezones=offsets).map(lambda moment: moment.replace(fold=0)),
)
values = st.recursive(
    hashable,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(hashable, inner, max_size=4),
        st.sets(hashable, max_size=4),
        st.frozensets(hashable, max_size=4),
    ),
    max_leaves=20,
)


def same(left: object, right: object) -> bool:
    """Equal, of equal types, with NaN equal to itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float) and math.isnan(left):
        return math.isnan(right)
    if isinstance(left, decimal.Decimal):
        return left.as_tuple() == right.as_tuple()
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left), list(right)) and same(list(left.values()), list(right.values()))
    if isinstance(left, set | frozenset):
        return same(sorted(map(repr, left)), sorted(map(repr, right)))
    if isinstance(left, dt.datetime | dt.time):
        return left == right and left.utcoffset() == right.utcoffset() and left.fold == right.fold
    return left == right


@given(values)
def test_a_value_comes_back_exactly(value: object) -> None:
    assert same(decode_value(encode_value(value)), value)


@pytest.mark.parametrize("text", ["NaN", "-NaN12", "sNaN", "Infinity", "-0", "1E+999", "0.1000"])
def test_a_decimal_comes_back_digit_by_digit(text: str) -> None:
    assert str(decode_value(encode_value(decimal.Decimal(text)))) == text


@given(
    st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary() | st.booleans()
)
def test_plain_scalars_are_plain_msgpack(value: object) -> None:
    assert msgspec.msgpack.decode(encode_value(value)) == value
    assert decode_value(msgspec.msgpack.encode(value)) == value


@pytest.mark.parametrize("length", [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536])
def test_every_width_of_a_length_is_msgpack(length: int) -> None:
    for value in ("x" * length, b"x" * length, [None] * length, {str(i): i for i in range(length)}):
        packed = encode_value(value)
        assert packed == msgspec.msgpack.encode(value)
        assert decode_value(packed) == value
    for value in ((None,) * length, set(range(length))):
        assert decode_value(encode_value(value)) == value


ARRAYS = [
    np.arange(12, dtype=np.float32).reshape(3, 4),
    np.arange(24, dtype=">i2").reshape(2, 3, 4)[:, ::2, ::-1],
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array(5.5),
    np.empty((0, 3), dtype=np.uint8),
    np.array(["a", "longer"]),
    np.array([b"ab", b"c"]),
    np.array(["2026-01-01", "NaT"], dtype="datetime64[ns]"),
    np.array([True, False]),
    np.array([1 + 2j], dtype=np.complex64),
    np.array([(1, 2.5, b"x")], dtype=[("a", "<i4"), ("b", "<f8"), ("c", "S3")]),
    np.zeros(5, dtype=[("v", "<f4", (3,)), ("w", [("x", "u1")])]),
    np.random.default_rng(1).random((500, 30)),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}".replace(" ", ""))
def test_an_array_keeps_dtype_and_shape(array: np.ndarray) -> None:
    for wrap, unwrap in ((lambda x: x, lambda x: x), (lambda x: {"k": [1, (x,)]}, lambda x: x["k"][1][0])):
        back = unwrap(decode_value(encode_value(wrap(array))))
        assert isinstance(back, np.ndarray)
        assert back.dtype == array.dtype
        assert back.shape == array.shape
        assert back.tobytes() == array.tobytes()
        assert not back.flags.writeable


def test_an_array_is_a_view_into_the_value() -> None:
    packed = encode_value(np.arange(1000, dtype=np.float64))
    back = decode_value(packed)
    assert np.shares_memory(back, np.frombuffer(packed, dtype=np.uint8))
    assert back.flags.aligned
    assert back.ctypes.data % 16 == 0


def test_an_array_outlives_the_name_of_its_value() -> None:
    back = decode_value(encode_value(np.full(10_000, 7)))
    assert back.sum() == 70_000


@pytest.mark.parametrize(
    "scalar",
    [np.float32(0.1), np.float64(0.1), np.int8(-3), np.uint64(2**64 - 1), np.bool_(1), np.str_("né"),
     np.datetime64("2026-01-01T00:00", "m"), np.timedelta64(5, "s"), np.complex128(1j)],
    ids=lambda scalar: type(scalar).__name__,
)  # fmt: skip
def test_a_scalar_of_numpy_keeps_its_type(scalar: np.generic) -> None:
    back = decode_value(encode_value(scalar))
    assert type(back) is type(scalar)
    assert back == scalar
    assert back.dtype == scalar.dtype


@dataclass
class Point:
    x: int
    y: list[int]


class Line(msgspec.Struct):
    start: Point
    label: str = "a"


class Pair(NamedTuple):
    a: int
    b: int


def test_records_are_packed_as_dicts() -> None:
    assert decode_value(encode_value(Point(1, [2]))) == {"x": 1, "y": [2]}
    assert decode_value(encode_value(Line(Point(1, [])))) == {"start": {"x": 1, "y": []}, "label": "a"}


def test_subclasses_are_packed_as_their_base() -> None:
    class Color(enum.Enum):
        RED = "red"

    class Level(enum.IntEnum):
        HIGH = 3

    for value, plain in [
        (Color.RED, "red"), (Level.HIGH, 3), (Pair(1, 2), (1, 2)), (OrderedDict(a=1), {"a": 1}),
        (bytearray(b"x"), b"x"), (memoryview(b"xy"), b"xy"),
    ]:  # fmt: skip
        back = decode_value(encode_value(value))
        assert back == plain
        assert type(back) is type(plain)


def test_an_aware_datetime_keeps_its_offset_and_moment() -> None:
    there = dt.datetime(2026, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    back = decode_value(encode_value(there))
    assert back == there
    assert back.utcoffset() == dt.timedelta(hours=2)
    assert decode_value(encode_value(dt.datetime(2026, 7, 1, tzinfo=dt.UTC))).tzinfo is dt.UTC
    for edge in (dt.datetime.max.replace(tzinfo=dt.UTC), dt.datetime.min.replace(tzinfo=dt.UTC)):
        assert decode_value(encode_value(edge)) == edge


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), r"^value is of type object"),
        ({"a": [1, 2, 3, object()]}, r"^value\['a'\]\[3\] is of type object"),
        ((1, {"k": lambda: 0}), r"^value\[1\]\['k'\] is of type function"),
        ({(1, object): 2}, r"^value key .*\[1\] is of type type"),
        (Point(1, [1j]), r"^value.y\[0\] is of type complex"),
        ({"x": "\ud800"}, r"^value\['x'\] is a str with lone surrogates"),
        (np.array([object()]), r"array of Python objects"),
        ([np.ma.masked_array([1, 2], mask=[True, False])], r"^value\[0\] is a masked array"),
        (dt.time(1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")), "Berlin"),
        (Point, "is of type type"),
    ],
)
def test_what_cannot_be_packed_is_named_with_its_path(value: object, message: str) -> None:
    with pytest.raises(CodecError, match=message):
        encode_value(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append({"again": loop})
    with pytest.raises(CodecError, match=r"value\[0\]\['again'\].*nests deeper than 256 levels"):
        encode_value(loop)


def test_the_deepest_value_that_packs_also_unpacks() -> None:
    value: object = 1
    for depth in range(256):
        value = (value,) if depth % 2 else [value]
    assert decode_value(encode_value(value)) == value
    with pytest.raises(CodecError, match="deeper"):
        encode_value([value])


def test_bytes_that_nest_without_end_are_refused() -> None:
    with pytest.raises(CodecError, match="deeper than 256"):
        decode_value(b"\x91" * 100_000 + b"\xc0")
    nested = b"\xc0"
    for _ in range(2000):
        nested = b"\xc9" + (len(nested) + 1).to_bytes(4, "big") + b"\x0c\x00" + nested
    with pytest.raises(CodecError):
        decode_value(nested)


@given(st.binary(max_size=40))
def test_foreign_bytes_never_crash(data: bytes) -> None:
    with contextlib.suppress(CodecError, ValueError, TypeError, OverflowError, ArithmeticError):
        decode_value(data)


@given(values, st.data())
def test_a_cut_value_is_refused(value: object, data: st.DataObject) -> None:
    packed = encode_value(value)
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(CodecError, match="at byte"):
        decode_value(packed[:cut])


def test_bytes_after_a_value_are_refused() -> None:
    with pytest.raises(CodecError, match="at byte 1 bytes follow"):
        decode_value(b"\xc0\xc0")


def test_a_list_that_changes_while_it_is_packed_is_refused() -> None:
    victim: list[object] = []

    class Mischief(str):
        __slots__ = ()

    class Thief(enum.Enum):
        @property
        def value(self) -> object:
            victim.clear()
            return 1

        A = 1

    victim.extend([Thief.A, 2, 3])
    with pytest.raises(CodecError, match="shorter"):
        encode_value(victim)
