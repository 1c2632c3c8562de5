"""How a model becomes a row and a payload, and comes back as the type that is asked for."""

from __future__ import annotations

import dataclasses
import pickle
from typing import TYPE_CHECKING, Any, Final, get_origin

import msgspec
import numpy as np

from ._core import decode_value, encode_value
from ._exceptions import CodecError, UntrustedPickleError
from ._masks import MASKED, has_mask
from ._tensors import Place, pack, put_together, take_apart, unpack
from ._values import kept_types

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._model_rows import ModelRow

VALUE_BYTES_INLINE_MAX: Final = 64 * 1024
"""A packed value up to this size lies in the model's row."""

PLAIN, TENSORS, PICKLE = "msgpack", "safetensors", "pickle"


class Packed(msgspec.Struct, frozen=True):
    """A model, packed."""

    format: str
    type_name: str
    value: bytes = b""
    places: list[Place] = []
    payload: list[Any] = []
    """Parts of the payload, one after the other; none when there is no payload."""

    @property
    def payload_bytes(self) -> int:
        """Length of the payload."""
        return sum(memoryview(part).nbytes for part in self.payload)


def pack_model(value: Any, *, as_pickle: bool) -> Packed:
    """Pack a model. Takes as long as its arrays are large when they are not contiguous, else not."""
    type_name = _name_of(type(value))
    if as_pickle:
        return Packed(PICKLE, type_name, payload=[pickle.dumps(value, protocol=5)])
    rest, places, tensors = take_apart(_to_builtins(value))
    data = encode_value(rest)
    if tensors:
        if len(data) > VALUE_BYTES_INLINE_MAX:
            raise CodecError(
                f"beside its arrays the model takes {len(data)} bytes packed, over {VALUE_BYTES_INLINE_MAX}: "
                "save its parts under names of their own"
            )
        return Packed(TENSORS, type_name, data, places, pack(tensors))
    if len(data) > VALUE_BYTES_INLINE_MAX:
        return Packed(PLAIN, type_name, payload=[data])
    return Packed(PLAIN, type_name, data)


def unpack_model(row: ModelRow, payload: Buffer | None, into: Any, *, where: str, trust_pickle: bool) -> Any:
    """Make the model again; its arrays are views of the payload."""
    if row.format == PICKLE:
        if not trust_pickle:
            raise UntrustedPickleError(
                f"{where} is a pickle, and reading one can run any code: if you trust whoever saved it, load it with "
                "trust_pickle=True"
            )
        assert payload is not None, "a pickle is a payload"
        return pickle.loads(payload)  # noqa: S301 - the caller trusts it
    if row.format == TENSORS:
        assert payload is not None, "arrays are a payload"
        value = put_together(decode_value(row.value), row.places, unpack(payload, where))
    elif payload is not None:
        value = decode_value(bytes(payload))
    else:
        value = decode_value(row.value)
    return value if into is None else _convert(value, into, where)


def is_only_mapped(row: ModelRow, into: Any) -> bool:
    """Whether making the model again takes no time, however large its arrays are."""
    return row.format == TENSORS and into is None and not any(place.as_list for place in row.places)


def _to_builtins(value: Any) -> Any:
    dump: Any = getattr(value, "model_dump", None)
    if dump is not None and hasattr(value, "model_validate"):
        value = dump()
    try:
        return msgspec.to_builtins(value, builtin_types=kept_types(), enc_hook=_refuse)
    except (TypeError, ValueError) as error:
        raise CodecError(
            f"a {_name_of(type(value))} cannot be stored as a model: {error}. Dataclasses, Structs, pydantic models, "
            "dicts, lists and arrays can; anything else with pickle=True"
        ) from error


def _refuse(value: Any) -> Any:
    raise TypeError(f"it is {MASKED}" if has_mask(value) else f"{_name_of(type(value))} is not supported")


def _convert(value: Any, into: Any, where: str) -> Any:
    try:
        if hasattr(into, "model_validate"):
            return into.model_validate(value)
        return msgspec.convert(value, into, dec_hook=_keep)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise CodecError(f"{where} does not read as {_name_of(into)}: {error}") from error


def _keep(wanted: Any, value: Any) -> Any:
    """What msgspec does not know must be there already: arrays."""
    wanted = get_origin(wanted) or wanted
    if wanted is np.ndarray:
        return np.asarray(value)
    if isinstance(wanted, type) and isinstance(value, wanted):
        return value
    raise TypeError(f"a {_name_of(type(value))} is no {_name_of(wanted)}")


def _name_of(kind: Any) -> str:
    if dataclasses.is_dataclass(kind) or isinstance(kind, type):
        return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")  # type: ignore[union-attr]
    return str(kind)
