"""Arrays out of nested values into the safetensors format, and back without copying them.

The format is that of the safetensors library: an unsigned 64-bit little-endian length, a JSON header of that
length which maps names to dtype, shape and offsets, and the arrays' bytes one after another without holes.
The library itself reads files only, or copies; what is read here lies in memory already, and stays there.

A nested value (dicts, lists, tuples) is taken apart into the value without its arrays and a list of *places*:
the path to each array. Regular nested lists of floats count as arrays too, and come back as lists.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast

import msgspec
import numpy as np

from ._exceptions import CodecError, CorruptionError
from ._item import is_list

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Buffer

ALIGNMENT: Final = 64
"""The arrays begin at a multiple of this; the header is padded with spaces, as the format allows."""

HEADER_BYTES_MAX: Final = 100_000_000
"""As in the safetensors library."""

LIST_FLOATS_MIN: Final = 64
"""Floats from which a nested list of them is kept as an array."""

ARRAY_BYTES_MIN: Final = 256
"""Arrays below this stay in the row, beside the rest of the value."""

_DTYPES: Final = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_NAMES: Final = {np.dtype(code).str: name for name, code in _DTYPES.items()}

Path = tuple[str | int, ...]


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where in a value an array belongs."""

    path: Path
    tensor: str
    as_list: bool = False
    """It was a nested list of floats."""


def take_apart(value: Any) -> tuple[Any, list[Place], dict[str, Any]]:
    """Take the arrays out of a nested value: what is left, where they were, and the arrays by name."""
    places: list[Place] = []
    tensors: dict[str, Any] = {}

    def take(path: Path, array: Any, *, as_list: bool) -> None:
        name = ".".join(str(part) for part in path) or "value"
        while name in tensors or name == "__metadata__":
            name += "_"
        tensors[name] = array
        places.append(Place(path, name, as_list))

    def walk(path: Path, node: Any) -> Any:
        if is_array(node):
            if node.nbytes < ARRAY_BYTES_MIN or _little_endian(node.dtype) not in _NAMES:
                return node
            take(path, node, as_list=False)
            return None
        if _is_record(node):
            return {key: walk((*path, key), child) for key, child in node.items()}
        if is_list(node):
            array = _array_of(node)
            if array is not None:
                take(path, array, as_list=True)
                return None
            return [walk((*path, index), child) for index, child in enumerate(node)]
        return node

    return walk((), value), places, tensors


def put_together(value: Any, places: Sequence[Place], tensors: dict[str, Any]) -> Any:
    """Put the arrays back."""
    for place in places:
        array = tensors[place.tensor]
        content = array.tolist() if place.as_list else array
        if not place.path:
            return content
        node = value
        for part in place.path[:-1]:
            node = node[part]
        node[place.path[-1]] = content
    return value


def is_array(node: Any) -> TypeGuard[NDArray[Any]]:
    """Whether a value is a numpy array."""
    return isinstance(node, np.ndarray)


def _is_record(node: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(node, dict) and all(isinstance(key, str) for key in cast("dict[Any, Any]", node))


def _array_of(node: list[Any]) -> NDArray[Any] | None:
    """A regular nested list of floats, and of nothing else, as an array; otherwise ``None``."""
    first: Any = node
    while is_list(first) and first:
        first = first[0]
    if type(first) is not float:
        return None
    try:
        array = np.array(node)
    except ValueError:  # ragged
        return None
    if array.dtype != np.float64 or array.size < LIST_FLOATS_MIN or not _only_floats(node, array.ndim):
        return None
    return array


def _only_floats(node: list[Any], depth: int) -> bool:
    """Ints and bools would come back as floats."""
    if depth == 1:
        return set(map(type, node)) == {float}
    return all(_only_floats(child, depth - 1) for child in node)


def _little_endian(dtype: np.dtype[Any]) -> str:
    return dtype.newbyteorder("<").str


def pack(tensors: dict[str, Any]) -> list[Buffer]:
    """The parts of a safetensors file: its header, and the bytes of each array, which are not copied."""
    header: dict[str, Any] = {}
    parts: list[Buffer] = []
    end = 0
    # Wider items first, as the library does it, so that each array is aligned to its items.
    for name, array in sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        code = _little_endian(array.dtype)
        if code not in _NAMES:
            raise CodecError(f"array '{name}' has dtype {array.dtype}, which safetensors does not have")
        shape = list(array.shape)
        plain = np.ascontiguousarray(array, dtype=np.dtype(code))
        header[name] = {
            "dtype": _NAMES[code],
            "shape": shape,
            "data_offsets": [end, end + plain.nbytes],
        }
        end += plain.nbytes
        parts.append(plain.reshape(-1).view(np.uint8).data)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    return [len(text).to_bytes(8, "little") + text, *parts]


def unpack(data: Buffer, where: str) -> dict[str, Any]:
    """The arrays of a safetensors file in memory: views of it, read-only when it is. Damage is an error."""
    view = memoryview(data).cast("B")
    try:
        length = int.from_bytes(view[:8], "little")
        if len(view) < 8 or not 2 <= length <= min(HEADER_BYTES_MAX, len(view) - 8):
            raise ValueError(f"a header of {length} bytes in a file of {len(view)}")
        header = json.loads(bytes(view[8 : 8 + length]))
        header.pop("__metadata__", None)
        body = view[8 + length :]
        return dict(_views(header, body))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptionError(f"{where} is no safetensors file: {error}", reason=str(error)) from error


def _views(header: dict[str, Any], body: memoryview) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = entry["data_offsets"]
        dtype = np.dtype(_DTYPES[entry["dtype"]])
        shape = tuple(entry["shape"])
        count = int(np.prod(shape, dtype=np.uint64)) if shape else 1
        if first != end or last - first != count * dtype.itemsize or last > len(body):
            raise ValueError(f"array '{name}' lies at {first} to {last}, after {end}, in {len(body)} bytes")
        end = last
        array = np.frombuffer(body, dtype, count, first) if count else np.empty(0, dtype)
        found.append((name, array.reshape(shape)))
    if end != len(body):
        raise ValueError(f"the arrays end at {end} and the file at {len(body)}")
    return found
