"""Keys and values come back exactly as they were given, typed or not."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar

import msgspec
import numpy as np
import pydantic
import pytest
from numpy.typing import NDArray
from typing_extensions import TypeAliasType

import sopasync

pytestmark = pytest.mark.anyio

NOW = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=datetime.UTC)
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.fixture
async def tx(db):
    async with db.begin_transaction() as transaction:
        yield transaction


KEYS: list[Any] = [
    None,
    False,
    True,
    -(10**40),
    -(2**63),
    -1.5,
    0,
    1,
    1.5,
    2**53,
    2**53 + 1,
    2**64,
    10**40,
    "",
    "text",
    "text\x00",
    b"",
    b"\x00\xff",
    ID,
    NOW,
    datetime.datetime(2024, 2, 29, 12, 30),
    datetime.date(2024, 2, 29),
    (),
    ("a", 1),
    ("a", 1, None),
]

VALUES: list[Any] = [
    *(key for key in KEYS if not isinstance(key, tuple)),
    2**60 + 1,
    -(2**200),
    float("inf"),
    [1, "two", None, [3.0]],
    {"a": {"b": [1, 2]}, "none": None},
    {1: "int keys", (1, 2): "tuple keys"},
    ("tuple", 1),
    {1, 2, 3},
    frozenset({"x"}),
    decimal.Decimal("3.14159265358979323846264338327950288"),
    datetime.time(1, 2, 3),
    datetime.timedelta(days=-1, microseconds=5),
]


async def test_every_kind_of_key_comes_back_and_sorts(tx):
    store = await tx.new_btree("keys")
    for number in np.random.default_rng(1).permutation(len(KEYS)):
        await store.add(KEYS[number], int(number))
    found = [tuple(item) async for item in store.items()]
    assert [key for key, _ in found] == KEYS
    assert [type(key) for key, _ in found] == [type(key) for key in KEYS]
    for number, key in enumerate(KEYS):
        assert await store.get(key) == number


async def test_every_kind_of_value_comes_back(db):
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("values")
        await store.add(list(enumerate(VALUES)))
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("values")
        for number, value in enumerate(VALUES):
            found = await store.get(number)
            assert found == value
            assert type(found) is type(value)


async def test_arrays_keep_dtype_and_shape_and_are_not_copied(tx):
    store = await tx.new_btree("arrays", value_type=np.ndarray)
    for dtype in ("f4", "f8", "i1", "u8", "?", "f2"):
        array = np.arange(12).reshape(3, 4).astype(dtype)
        await store.upsert("a", array)
        found = await store.get("a")
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)
        assert not found.flags.owndata
    with pytest.raises(sopasync.KeyTypeError, match="values are arrays here, got list"):
        await store.add("b", [1.0])
    typed = await tx.new_btree("float arrays", value_type=NDArray[np.float32])
    with pytest.raises(sopasync.CodecError, match="arrays have dtype float32 here, got float64"):
        await typed.add("b", np.ones(3))


async def test_an_alias_is_taken_for_what_it_stands_for(tx):
    element = TypeVar("element")
    listed: Any = TypeAliasType("listed", list[element], type_params=(element,))
    number: Any = TypeAliasType("number", int)
    arrays: Any = TypeAliasType("arrays", np.ndarray[Any, np.dtype[np.float32]])
    for value_type, right, wrong in (
        (number, 3, "three"),
        (listed[int], [3], ["three"]),
        (arrays, np.ones(3, np.float32), np.ones(3)),
    ):
        store = await tx.new_btree(str(value_type), value_type=value_type)
        await store.add("right", right)
        assert np.array_equal(await store.get("right"), right)
        with pytest.raises((sopasync.CodecError, sopasync.KeyTypeError)):
            await store.add("wrong", wrong)


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Address:
    city: str
    zip_code: str = ""


@dataclass
class User:
    name: str
    age: int = 0
    addresses: list[Address] = field(default_factory=list)
    colour: Colour = Colour.RED


class Event(msgspec.Struct, rename="camel", tag=True):
    event_id: uuid.UUID
    at_time: datetime.datetime
    amount: decimal.Decimal
    weights: np.ndarray | None = None
    extra: dict[str, Any] = {}


class Row(TypedDict):
    name: str
    size: int


class Model(pydantic.BaseModel):
    name: str
    when: datetime.datetime
    score: float = pydantic.Field(ge=0)


@pytest.mark.parametrize(
    ("value_type", "value"),
    [
        (User, User("Ann", 2**40, [Address("Paris")], Colour.RED)),
        (User, User("big", 2**100)),
        (Event, Event(ID, NOW, decimal.Decimal("1.10"), None, {"set": [1], "big": 2**80})),
        (Row, {"name": "n", "size": 3}),
        (Model, Model(name="m", when=NOW, score=1.5)),
        (int, 2**80),
        (str, "text"),
        (bytes, b"\x00"),
        (float, 1.5),
        (list[int], [1, 2]),
        (dict[str, Any], {"a": NOW, "b": ID}),
        (tuple[int, str], (1, "a")),
        (datetime.datetime, NOW),
        (decimal.Decimal, decimal.Decimal("0.1")),
    ],
    ids=lambda case: getattr(case, "__name__", "")[:20],
)
async def test_typed_values_come_back_as_their_type(db, value_type, value):
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("typed", value_type=value_type)
        await store.add("key", value)
        await store.add([("other", value)])
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("typed", value_type=value_type)
        assert await store.get("key") == value
        assert [item.value async for item in store.items()] == [value, value]
        untyped = await tx.open_btree("typed")
        await untyped.get("key")


@pytest.mark.parametrize(
    ("value_type", "value", "error", "message"),
    [
        (User, {"name": "Ann"}, sopasync.KeyTypeError, "values are of type User here, got dict"),
        (User, User(5), sopasync.CodecError, r"does not fit User: Expected `str`, got `int` - at `\$.name`"),
        (int, "5", sopasync.KeyTypeError, "values are of type int here, got str: '5'"),
        (list[int], [1, "2"], sopasync.CodecError, r"Expected `int`, got `str`"),
        (Row, {"name": "n"}, sopasync.CodecError, "missing required field `size`"),
        (Event, Event(ID, NOW, [5]), sopasync.CodecError, "does not fit Event"),
        (
            Model,
            Model.model_construct(name="m", when=NOW, score=-1),
            sopasync.CodecError,
            "does not fit Model",
        ),
    ],
)
async def test_a_value_that_does_not_fit_the_type_is_refused_and_changes_nothing(
    tx, value_type, value, error, message
):
    store = await tx.new_btree("typed", value_type=value_type)
    with pytest.raises(error, match=message) as refused:
        await store.upsert("key", value)
    assert refused.value.store == "typed"
    with pytest.raises(error):
        await store.add([("a", value)])
    assert await store.count() == 0


async def test_a_stored_value_of_another_type_is_an_error_not_a_wrong_value(tx):
    await (await tx.new_btree("s")).add(1, {"name": 5})
    store = await tx.open_btree("s", value_type=User)
    with pytest.raises(
        sopasync.CodecError, match="a stored value does not read as User.*Open the store without value_type="
    ):
        await store.get(1)
    with pytest.raises(sopasync.CodecError, match="store 's'"):
        [item async for item in store.items()]


async def test_values_that_cannot_be_stored_are_refused(tx):
    store = await tx.new_btree("s")
    for value in (object(), lambda: None, {"deep": [object()]}):
        with pytest.raises(sopasync.SopasyncError):
            await store.add(1, value)
    assert await store.count() == 0


@pytest.mark.parametrize(
    ("value_type", "value"),
    [
        (str, ""),
        (str, "ä" * 40),
        (str, "x" * 70_000),
        (bytes, b""),
        (bytes, b"\x00" * 300),
        (bytes, b"x" * 70_000),
    ],
)
async def test_what_the_engine_packs_is_read_by_every_way_there_is(db, value_type, value):
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("s", value_type=value_type)
        await store.add(1, value)
        await store.upsert([(2, value), sopasync.Item(3, value)])
        await store.add_if_not_exists(4, value)
        await store.update(4, value)
        await store.find(4)
        await store.update_current_value(value)
    for types in ({"value_type": value_type}, {}, {"value_type": value_type | None}):
        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            store = await tx.open_btree("s", **types)
            found = [await store.get(1), *await store.get_many([2, 3]), (await store.get_item(4)).value]
            found += [value async for value in store.values()]
            found += [item.value async for item in store.items()]
            found += [one async for _, page in store.columns() for one in page]
            assert found == [value] * 16
            assert {type(one) for one in found} == {value_type}


async def test_a_stored_none_is_not_a_missing_value(tx):
    store = await tx.new_btree("s")
    default = object()
    await store.upsert(1, None)
    assert await store.get(1, default) is None
    assert await store.get(2, default) is default
    typed = await tx.open_btree("s", value_type=bytes | None)
    assert await typed.get(1, b"\xc0") is None
    assert await typed.get(2, b"\xc0") == b"\xc0"


class Stamp(datetime.datetime):
    """As those of pandas, which count nanoseconds beside microseconds."""

    nanosecond = 0


class Span(datetime.timedelta):
    """The same."""

    nanoseconds = 0


async def test_nanoseconds_are_refused_and_not_cut_off(tx):
    store = await tx.new_btree("s")
    for kind, value in ((Stamp, Stamp(2024, 1, 2, tzinfo=datetime.UTC)), (Span, Span(3))):
        await store.add(str(kind), value)
        assert await store.get(str(kind)) == value
        fine: Any = type("Fine", (kind,), {"nanosecond": 1, "nanoseconds": 1})
        finer = fine(2024, 1, 2) if kind is Stamp else fine(3)
        with pytest.raises(sopasync.CodecError, match="nanoseconds"):
            await store.add("finer", [finer])
        if kind is Stamp:
            with pytest.raises(sopasync.InvalidArgumentError, match="nanoseconds"):
                await store.add(finer, 1)
    assert await store.count() == 2


async def test_an_array_is_no_key(tx):
    store = await tx.new_btree("s")
    for key in (np.array([1.5]), np.array(1.5), np.array([1, 2])):
        with pytest.raises(sopasync.KeyTypeError, match="ndarray"):
            await store.add(key, 1)
    await store.add(np.int32(5), 1)
    assert await store.get(5) == 1
