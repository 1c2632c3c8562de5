"""How values become bytes and come back: untyped, or checked against the type a store was opened with.

Stored values are msgpack. Without a type every supported object comes back as itself, through the
extension types of `sopasync._core`. With a type, msgspec packs it when the type holds nothing but
plain data (then the fast encoder loses nothing), and what is packed is read back as the type at once,
so that a value that could not be read later is never stored.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import functools
import sys
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeGuard, cast, get_origin, is_typeddict

import msgspec
from msgspec import inspect

from ._core import ValueForm, decode_value, encode_value
from ._exceptions import CodecError, KeyTypeError
from ._schema import type_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EXACT: Final = (
    bytes,
    bytearray,
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
    decimal.Decimal,
)
"""Types that the extension packs exactly, so msgspec leaves them as they are."""

_PLAIN: Final = (
    inspect.NoneType,
    inspect.BoolType,
    inspect.IntType,
    inspect.FloatType,
    inspect.StrType,
    inspect.BytesType,
    inspect.EnumType,
    inspect.LiteralType,
)


_SURE: Final = (bytes, str, float, bool)
"""Types whose instances, once packed, are certain to be read back as the type."""


_FORMS: Final[dict[Any, Literal["bytes", "str"]]] = {bytes: "bytes", str: "str"}
"""Types for which the engine has a form of its own."""


class ValueCodec(NamedTuple):
    """The two directions of one value type."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    decode_many: Callable[[list[bytes]], list[Any]] | None = None
    """`decode` over a list, where that can be done faster than one by one."""
    form: ValueForm | None = None
    """Where there is one, the engine packs and unpacks on its own and asks for these functions only
    when a value is not what it expects."""


UNTYPED: Final = ValueCodec(encode_value, decode_value, None, ValueForm("any", encode_value, decode_value))


@functools.lru_cache(maxsize=1024)
def value_codec(value_type: Any) -> ValueCodec:
    """The codec of a value type; ``None`` and ``Any`` take everything."""
    value_type = _resolved(value_type)
    if value_type is None or value_type is Any or value_type is object:
        return UNTYPED
    if hasattr(value_type, "model_validate") and hasattr(value_type, "model_dump"):
        return _pydantic_codec(value_type)
    if _is_array_type(value_type) or _is_array_type(get_origin(value_type)):
        return _array_codec(value_type)
    try:
        described = inspect.type_info(value_type)
        decoder = msgspec.msgpack.Decoder(value_type)
    except TypeError as error:
        raise CodecError(f"value_type={value_type!r} cannot be stored: {error}") from error
    if _is_plain(described, set()):
        return _plain_codec(value_type, decoder)
    return _general_codec(value_type)


def _resolved(value_type: Any) -> Any:
    """What an alias made by a ``type`` statement stands for, as numpy's ``NDArray`` has become one."""
    alias = get_origin(value_type)
    # Asked first: with arguments it has the attributes of what it was made from.
    if hasattr(alias, "__value__"):
        return _resolved(alias.__value__[value_type.__args__])
    return _resolved(value_type.__value__) if hasattr(value_type, "__value__") else value_type


def _is_plain(described: inspect.Type, seen: set[type]) -> bool:
    """Whether msgspec's own encoding of the type loses nothing, also when read without the type."""
    if isinstance(described, _PLAIN):
        return True
    if isinstance(
        described, (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)
    ):
        return _is_plain(described.item_type, seen)
    if isinstance(described, (inspect.TupleType)):
        return all(_is_plain(item, seen) for item in described.item_types)
    if isinstance(described, inspect.DictType):
        return _is_plain(described.key_type, seen) and _is_plain(described.value_type, seen)
    if isinstance(described, inspect.UnionType):
        return all(_is_plain(item, seen) for item in described.types)
    if isinstance(
        described, (inspect.StructType, inspect.DataclassType, inspect.TypedDictType, inspect.NamedTupleType)
    ):
        if described.cls in seen:
            return True
        seen.add(described.cls)
        return all(_is_plain(field.type, seen) for field in described.fields)
    return False


def _expected_class(value_type: Any) -> Any:
    """What ``isinstance`` can be asked about the type; ``None`` when only reading back can tell."""
    if is_typeddict(value_type):
        return dict
    if isinstance(value_type, type):
        return cast("Any", value_type)
    origin = get_origin(value_type)
    return origin if isinstance(origin, type) else None


def _refuse_class(value_type: Any, value: Any) -> KeyTypeError:
    name = type_name(value_type)
    return KeyTypeError(f"values are of type {name} here, got {type(value).__name__}: {_shorten(value)}")


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _refuse_contents(value_type: Any, error: Exception) -> CodecError:
    name = type_name(value_type)
    return CodecError(f"the value does not fit {name}: {error}")


def _plain_codec(value_type: Any, decoder: msgspec.msgpack.Decoder[Any]) -> ValueCodec:
    expected = _expected_class(value_type)
    pack = msgspec.msgpack.Encoder().encode
    unpack = decoder.decode
    general = _general_codec(value_type)
    sure = value_type in _SURE

    def encode(value: Any) -> bytes:
        if expected is not None and not isinstance(value, expected):
            raise _refuse_class(value_type, value)
        try:
            data = pack(value)
            if not sure:
                unpack(data)
        except OverflowError:  # an int beyond 64 bits, which only the extension can pack
            return general.encode(value)
        except (msgspec.ValidationError, TypeError, ValueError) as error:
            raise _refuse_contents(value_type, error) from None
        return data

    def decode(data: bytes) -> Any:
        try:
            return unpack(data)
        except msgspec.DecodeError:
            return general.decode(data)

    def decode_many(data: list[bytes]) -> list[Any]:
        try:
            return list(map(unpack, data))
        except msgspec.DecodeError:
            return list(map(decode, data))

    name = _FORMS.get(value_type) if value_type in _SURE else None
    return ValueCodec(encode, decode, decode_many, ValueForm(name, encode, decode) if name else None)


def _general_codec(value_type: Any) -> ValueCodec:
    expected = _expected_class(value_type)
    to_builtins, convert = msgspec.to_builtins, msgspec.convert

    def encode(value: Any) -> bytes:
        if expected is not None and not isinstance(value, expected):
            raise _refuse_class(value_type, value)
        try:
            builtins = to_builtins(value, builtin_types=kept_types())
            convert(builtins, value_type)
        except (msgspec.ValidationError, TypeError, ValueError) as error:
            raise _refuse_contents(value_type, error) from None
        return encode_value(builtins)

    def decode(data: bytes) -> Any:
        try:
            return convert(decode_value(data), value_type)
        except msgspec.ValidationError as error:
            name = type_name(value_type)
            raise CodecError(
                f"a stored value does not read as {name}: {error}. Open the store without value_type= to see it"
            ) from None

    return ValueCodec(encode, decode)


def _array_codec(value_type: Any) -> ValueCodec:
    """Arrays keep dtype and shape; what comes back is a read-only view of the stored bytes."""
    dtype = _dtype_of(value_type)

    def encode(value: Any) -> bytes:
        if not _is_array(value):
            raise KeyTypeError(f"values are arrays here, got {type(value).__name__}: {_shorten(value)}")
        if dtype is not None and value.dtype != dtype:
            raise CodecError(f"arrays have dtype {dtype} here, got {value.dtype}: convert it with .astype()")
        return encode_value(value)

    return ValueCodec(encode, decode_value)


# numpy takes longer to import than all the rest; where nobody has imported it there are no arrays.
def _is_array_type(given: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and given is numpy.ndarray


def _is_array(value: Any) -> TypeGuard[NDArray[Any]]:
    return any(_is_array_type(base) for base in type(value).__mro__)


def kept_types() -> tuple[type, ...]:
    """Types that the extension packs exactly; msgspec is to leave them as they are."""
    numpy = sys.modules.get("numpy")
    return _EXACT if numpy is None else (*_EXACT, numpy.ndarray)


def _dtype_of(value_type: Any) -> Any:
    """The dtype of ``NDArray[dtype]``; ``None`` when any is welcome."""
    numpy = sys.modules["numpy"]
    for argument in getattr(value_type, "__args__", ())[1:]:
        for scalar in getattr(argument, "__args__", ()):
            with contextlib.suppress(TypeError):  # an abstract scalar type, such as np.floating
                return numpy.dtype(scalar)
    return None


def _pydantic_codec(model: Any) -> ValueCodec:
    def encode(value: Any) -> bytes:
        if not isinstance(value, model):
            raise _refuse_class(model, value)
        try:
            checked = model.model_validate(value.model_dump())
        except ValueError as error:
            raise _refuse_contents(model, error) from None
        return encode_value(checked.model_dump())

    def decode(data: bytes) -> Any:
        try:
            return model.model_validate(decode_value(data))
        except ValueError as error:
            raise CodecError(f"a stored value does not read as {model.__name__}: {error}") from None

    return ValueCodec(encode, decode)
