"""Key codecs: byte order is key order, keys read back, and what cannot be a key is named."""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopasync import _core
from sopasync._exceptions import CodecError, InvalidArgumentError, KeyTypeError, ValueTooLargeError

SCALARS = _core.KeyCodec(unique=True)
REPEATED = _core.KeyCodec(unique=False)
REGIONS = _core.KeyCodec(unique=True, fields=[("region", True), ("id", False)])
UTC = dt.UTC
EAST = dt.timezone(dt.timedelta(hours=1))


@dataclass
class User:
    region: str
    id: int
    name: str = ""
    scores: list[int] = field(default_factory=list)


class UserStruct(msgspec.Struct):
    id: int
    region: str
    name: str = ""


TYPE_ORDER = [type(None), bool, (int, float), str, bytes, uuid.UUID, "aware", "naive", dt.date, tuple]


def rank(key: object) -> int:
    """Place of a key's type in the documented order."""
    if isinstance(key, dt.datetime):
        return TYPE_ORDER.index("aware" if key.tzinfo else "naive")
    return next(i for i, kind in enumerate(TYPE_ORDER) if not isinstance(kind, str) and isinstance(key, kind))


def sort_key(key: object) -> tuple:
    """A Python key with the documented order; numbers compare exactly in Python already."""
    if isinstance(key, tuple):
        return rank(key), tuple(sort_key(element) for element in key)
    if isinstance(key, uuid.UUID):
        return rank(key), key.int
    if isinstance(key, dt.datetime):
        return rank(key), as_moment(key)
    return rank(key), key if key is not None else 0


def as_moment(key: object) -> object:
    """The key with its aware datetimes in UTC: in a gap or overlap of its zone a datetime equals no other one."""
    if isinstance(key, tuple):
        return tuple(as_moment(element) for element in key)
    return key.astimezone(UTC) if isinstance(key, dt.datetime) and key.tzinfo else key


numbers = st.integers() | st.floats(allow_nan=False) | st.integers(-(10**400), 10**400)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    st.text(max_size=8),
    st.binary(max_size=8),
    st.uuids(),
    st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=st.just(UTC) | st.timezones()),
    st.datetimes(),
    st.dates(),
)
keys = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=8)


@given(keys, keys)
def test_order_of_bytes_is_order_of_keys(left: object, right: object) -> None:
    for codec in (SCALARS, REPEATED):
        order = (sort_key(left) > sort_key(right)) - (sort_key(left) < sort_key(right))
        a, b = codec.encode(left), codec.encode(right)
        assert (a > b) - (a < b) == order


@given(keys)
def test_a_key_reads_back_equal_and_of_its_type(key: object) -> None:
    key = as_moment(key)
    back = SCALARS.decode(SCALARS.encode(key))
    assert back == key
    if not isinstance(key, float | tuple):
        assert type(back) is type(key)
    with_id = REPEATED.encode(key, uuid.uuid4())
    assert REPEATED.decode(with_id) == key


@given(st.text(max_size=6), st.text(max_size=3))
def test_a_text_prefix_is_a_byte_prefix(text: str, start: str) -> None:
    for codec in (SCALARS, REPEATED):
        assert codec.encode(text).startswith(codec.prefix(start)) == text.startswith(start)
        opened = codec.prefix(("a", start), open_end=True)
        assert codec.encode(("a", text, 1)).startswith(opened) == text.startswith(start)


@given(st.tuples(scalars, scalars), st.tuples(scalars, scalars))
def test_a_descending_field_reverses_its_order(left: tuple, right: tuple) -> None:
    def record(key: Any) -> dict[str, object]:
        return {"region": key[0], "id": key[1]}

    a, b = REGIONS.encode(record(left)), REGIONS.encode(record(right))
    if sort_key(left[0]) != sort_key(right[0]):
        assert (a < b) == (sort_key(left[0]) < sort_key(right[0]))
    else:
        assert (a < b) == (sort_key(left[1]) > sort_key(right[1]))
    assert REGIONS.decode(a) == record(as_moment(left))


def test_an_integral_float_is_the_integer_it_equals() -> None:
    assert SCALARS.encode(2.0) == SCALARS.encode(2)
    assert SCALARS.encode(1e300) == SCALARS.encode(int(1e300))
    assert SCALARS.encode(-0.0) == SCALARS.encode(0)
    assert SCALARS.encode(2**53 + 1) != SCALARS.encode(float(2**53))


def test_numbers_of_numpy_are_numbers() -> None:
    assert SCALARS.encode(np.int64(7)) == SCALARS.encode(7)
    assert SCALARS.encode(np.float64(0.5)) == SCALARS.encode(0.5)


def test_subclasses_are_what_they_derive_from() -> None:
    class Color(enum.IntEnum):
        RED = 3

    class Name(str):
        __slots__ = ()

    assert SCALARS.encode(Color.RED) == SCALARS.encode(3)
    assert SCALARS.encode(Name("x")) == SCALARS.encode("x")


def test_aware_datetimes_compare_as_moments() -> None:
    there = dt.datetime(2026, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert SCALARS.encode(there) == SCALARS.encode(there.astimezone(UTC))
    assert SCALARS.decode(SCALARS.encode(there)).tzinfo is UTC


@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        (math.nan, InvalidArgumentError, "NaN"),
        ([1], KeyTypeError, "list"),
        ({"a": 1}, KeyTypeError, "dict"),
        (object(), KeyTypeError, "object"),
        (1j, KeyTypeError, "complex"),
        (Fraction(1, 2), KeyTypeError, "Fraction"),
        ((1, [2]), KeyTypeError, "list"),
        ((1, math.nan), InvalidArgumentError, "NaN"),
        ("x" * 8000, ValueTooLargeError, "8001 bytes"),
        (b"x" * 10**6, ValueTooLargeError, "1000001 bytes"),
        pytest.param(1 << 80_000, ValueTooLargeError, "8000", id="huge"),
        ("\ud800", InvalidArgumentError, "surrogate"),
        (dt.time(1), KeyTypeError, "time"),
        (dt.datetime.min.replace(tzinfo=EAST), InvalidArgumentError, "years 1 to 9999"),
    ],
)
def test_what_cannot_be_a_key_is_refused(key: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        SCALARS.encode(key)


def test_the_first_and_last_moment_are_keys() -> None:
    for key in (dt.datetime.min, dt.datetime.max, dt.date.min, dt.date.max):
        assert SCALARS.decode(SCALARS.encode(key)) == key
    for edge in (dt.datetime.min.replace(tzinfo=UTC), dt.datetime.max.replace(tzinfo=UTC)):
        assert SCALARS.decode(SCALARS.encode(edge)) == edge


def test_a_tuple_that_nests_too_deep_is_refused() -> None:
    key: tuple = ()
    for _ in range(100):
        key = (key,)
    with pytest.raises(InvalidArgumentError, match="deep"):
        SCALARS.encode(key)


@pytest.mark.parametrize(
    "record",
    [
        User("eu", 7, "Ann", [1]),
        UserStruct(7, "eu", "Ann"),
        {"id": 7, "region": "eu", "name": "Ann"},
        MappingProxyType({"region": "eu", "id": 7, "name": "Ann"}),
    ],
)
def test_every_kind_of_record_is_a_key(record: object) -> None:
    raw, meta = REGIONS.encode(record), REGIONS.meta(record)
    assert raw == REGIONS.encode({"region": "eu", "id": 7})
    back = REGIONS.decode(raw, meta)
    assert isinstance(back, dict)
    assert list(back)[:2] == ["region", "id"]
    assert back["name"] == "Ann"
    if isinstance(record, User):
        assert back == {"region": "eu", "id": 7, "name": "Ann", "scores": [1]}


def test_nothing_rides_along_with_indexed_fields_alone() -> None:
    assert REGIONS.meta({"region": "eu", "id": 7}) == b""
    assert SCALARS.meta("x") == b""


def test_a_record_without_an_indexed_field_is_refused_by_name() -> None:
    with pytest.raises(KeyTypeError, match="no field 'id'"):
        REGIONS.encode({"region": "eu"})


def test_a_field_of_a_wrong_type_is_named() -> None:
    with pytest.raises(KeyTypeError, match=r"'id'.*list"):
        REGIONS.encode({"region": "eu", "id": []})
    with pytest.raises(InvalidArgumentError, match=r"'id'.*NaN"):
        REGIONS.encode({"region": "eu", "id": math.nan})


def test_a_scalar_is_no_record() -> None:
    with pytest.raises(KeyTypeError, match=r"record.*str.*'region', 'id'"):
        REGIONS.encode("eu")


def test_a_mapping_whose_lookup_fails_passes_its_error_on() -> None:
    class Broken(Mapping[str, object]):
        def __getitem__(self, name: str) -> object:
            raise OSError("the wire is cut")

        def __iter__(self):
            return iter(())

        def __len__(self) -> int:
            return 0

    with pytest.raises(OSError, match="wire"):
        REGIONS.encode(Broken())


def test_a_prefix_of_a_record_is_its_leading_fields() -> None:
    raw = REGIONS.encode({"region": "eu", "id": 7})
    for leading in (("eu",), {"region": "eu"}):
        prefix = REGIONS.prefix(leading)
        assert raw.startswith(prefix)
        end = _core.prefix_end(prefix)
        assert end is not None
        assert prefix <= raw < end
    assert not REGIONS.encode({"region": "eur", "id": 7}).startswith(REGIONS.prefix(("eu",)))
    assert REGIONS.encode({"region": "eur", "id": 7}).startswith(REGIONS.prefix(("eu",), open_end=True))
    assert REGIONS.prefix(()) == b""


def test_a_prefix_with_a_gap_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="'id' is given and 'region' is not"):
        REGIONS.prefix({"id": 7})
    with pytest.raises(InvalidArgumentError, match="leading fields"):
        REGIONS.prefix({"region": "eu", "nmae": "x"})
    with pytest.raises(InvalidArgumentError, match="3 values"):
        REGIONS.prefix(("eu", 7, 8))


def test_an_index_names_each_field_once() -> None:
    with pytest.raises(InvalidArgumentError, match="twice"):
        _core.KeyCodec(unique=True, fields=[("a", True), ("a", False)])
    with pytest.raises(InvalidArgumentError, match="at least one"):
        _core.KeyCodec(unique=True, fields=[])


def test_items_of_one_key_share_its_prefix_and_have_ids() -> None:
    item = uuid.uuid4()
    raw = REPEATED.encode("a", item)
    assert raw.startswith(REPEATED.encode("a"))
    assert REPEATED.item_id(raw) == item
    assert SCALARS.item_id(SCALARS.encode("a")) is None
    with pytest.raises(InvalidArgumentError, match="no item id"):
        SCALARS.encode("a", item)


@given(st.binary(max_size=12))
def test_foreign_bytes_are_refused_or_read_as_the_key_they_encode(data: bytes) -> None:
    for codec in (SCALARS, REGIONS):
        try:
            key = codec.decode(data)
        except (CodecError, OverflowError, ValueError):
            continue
        assert codec.encode(key) == data


def test_tuples_nested_deeper_than_any_codec_writes_are_refused() -> None:
    key: tuple[object, ...] = ()
    for _ in range(63):
        key = (key,)
    written = SCALARS.encode(key)
    assert SCALARS.decode(written) == key
    begins = written[: len(written) // 2]
    assert len(set(begins)) == 1, "one byte for each tuple that begins"
    deeper = begins[:1] * 1000 + written[-1:] * 1000
    with pytest.raises(CodecError, match="deeper than 64 levels"):
        SCALARS.decode(deeper)


def test_prefix_end_of_nothing_but_ff_is_none() -> None:
    assert _core.prefix_end(b"\xff\xff") is None
    assert _core.prefix_end(b"a\xff") == b"b"
