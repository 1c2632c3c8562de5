"""Vectors as users have them, made into what the engine reads: lists as they are, arrays in the store's own type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ._exceptions import InvalidArgumentError, VectorError
from ._masks import MASKED, has_mask

if TYPE_CHECKING:
    from ._vector_config import VectorConfig


_NO_VECTORS = (str, bytes, bytearray, dict, set, frozenset)


def one_vector(config: VectorConfig, given: Any) -> Any:
    """A vector for the engine: a list or tuple of numbers, or an array of the store's type."""
    if type(given) in (list, tuple):
        return given
    return _array(config, given, 1)


def many_vectors(config: VectorConfig, given: Any) -> Any:
    """Vectors for the engine: a list of them, or an array with a row for each."""
    if isinstance(given, list | tuple):
        return [one_vector(config, vector) for vector in cast("Sequence[Any]", given)]
    return _array(config, given, 2)


def vector_rows(given: Any) -> Any:
    """Vectors as something that has a length and slices into what `many_vectors` takes."""
    if isinstance(given, list | tuple):
        return cast("Any", given)
    array = _as_array(given, 2)
    if array.ndim != 2:
        raise _other_shape(array, 2)
    return array


def vectors_to_store(given: Any) -> Any:
    """Vectors as something that has a length and slices: nothing is made of a million of them at once."""
    if given is None or type(given) in _NO_VECTORS or getattr(given, "ndim", 1) == 0:
        raise _no_vector(given, 2)
    if hasattr(given, "__len__") and hasattr(given, "__getitem__"):
        return given
    return list(cast("Iterable[Any]", given)) if isinstance(given, Iterable) else vector_rows(given)


def _array(config: VectorConfig, given: Any, dimensions: int) -> Any:
    import numpy as np

    if isinstance(given, bytes | bytearray) and config.element in ("bits", "int8"):
        array = np.frombuffer(given, dtype=config.numpy_type)
    else:
        array = _as_array(given, dimensions)
    if array.ndim != dimensions:
        raise _other_shape(array, dimensions)
    if array.dtype == config.numpy_type and array.dtype.isnative and config.element != "bits":
        return array.view("u2") if config.element == "f16" else array
    return _converted(config, array)


def _as_array(given: Any, dimensions: int) -> Any:
    import numpy as np

    if given is None or type(given) in _NO_VECTORS:
        raise _no_vector(given, dimensions)
    try:
        array = np.asanyarray(given)  # where it has a mask, it still has it
    except (TypeError, ValueError) as error:
        raise VectorError(f"a vector is a list of numbers or an array of them: {error}") from None
    if array.ndim == 0:
        raise _no_vector(given, dimensions)
    if has_mask(array):
        raise VectorError(f"this is {MASKED}")
    return np.asarray(array)


def _other_shape(array: Any, dimensions: int) -> VectorError:
    expected = "a vector" if dimensions == 1 else "an array with a row for each vector"
    return VectorError(f"{expected} has {dimensions} dimension(s); this array has the shape {array.shape}")


def _no_vector(given: object, dimensions: int) -> VectorError:
    expected = (
        "a list of numbers or an array of them"
        if dimensions == 1
        else "a list of vectors or an array of rows"
    )
    return VectorError(f"{expected} is expected, got {type(given).__name__}")


def _converted(config: VectorConfig, array: Any) -> Any:
    import numpy as np

    kind, element = array.dtype.kind, config.element
    if kind not in ("fiub" if element != "int8" else "iub") or (element == "bits" and kind == "f"):
        raise VectorError(
            f"an array of dtype {array.dtype} does not go into a store of {element!r} vectors: "
            + {
                "int8": "scale it to -128 ... 127 and convert it with .astype('int8')",
                "bits": "give bool, 0 and 1, or uint8 with 8 elements in each byte (numpy.packbits, bitorder='little')",
            }.get(element, "give floats or ints")
        )
    if element == "bits":
        return _packed_bits(config, array)
    if element == "int8":
        if array.size and (array.min() < -128 or array.max() > 127):
            raise VectorError("an element is outside -128 ... 127, which is what 'int8' vectors hold")
        return array.astype(np.int8)
    with np.errstate(over="ignore"):  # what becomes infinite is refused by the engine, with its place
        return array.astype(np.float32) if element == "f32" else array.astype(np.float16).view("u2")


def _packed_bits(config: VectorConfig, array: Any) -> Any:
    import numpy as np

    width = array.shape[-1]
    if array.dtype == np.uint8 and width == config.width and config.dimension > 1:
        return array
    if width != config.dimension:
        raise VectorError(f"the vector has {width} elements, and the store's dimension is {config.dimension}")
    if array.dtype.kind != "b" and array.size and not np.isin(array, (0, 1)).all():
        raise VectorError("elements of 'bits' vectors are 0 and 1")
    return np.packbits(array.astype(bool), axis=-1, bitorder="little")


def id_list(ids: Any) -> list[Any]:
    """Ids as a list of Python objects."""
    return _as_list(sliceable_ids(ids))


def sliceable_ids(ids: Any) -> Any:
    """Ids as something that has a length and slices."""
    given = sliceable(ids)
    if has_mask(given):  # as a list it has None where it is masked, which is an id
        raise InvalidArgumentError(f"the ids are {MASKED}")
    return given


def sliceable(given: Any, what: str = "ids", remedy: str = "for one vector use upsert()") -> Any:
    """Ids, or others of one for each, as something that has a length and slices, as `vectors_to_store` has it."""
    if isinstance(given, list | tuple | range) or (hasattr(given, "tolist") and given.ndim > 0):
        return cast("Any", given)
    if type(given) in (str, bytes, dict) or hasattr(given, "tolist") or not isinstance(given, Iterable):
        raise InvalidArgumentError(f"{what} are a list, got {type(given).__name__}: {remedy}")
    return list(cast("Iterable[Any]", given))


def slice_of(given: Any, start: int, end: int) -> list[Any]:
    """Elements from `start` up to, without, `end`, as Python objects."""
    return _as_list(given[start:end])


def _as_list(given: Any) -> list[Any]:
    return given.tolist() if hasattr(given, "tolist") else list(given)


class PayloadRows:
    """The payloads of many vectors: given as a list, or as columns by name."""

    __slots__ = ("_columns", "_rows")

    def __init__(self, payloads: Any, count: int) -> None:
        self._columns: dict[Any, Any] | None = None
        self._rows: Any = None
        if isinstance(payloads, Mapping):
            columns = cast("Mapping[Any, Any]", payloads)
            self._columns = {
                name: sliceable(
                    column, f"the elements of column {name!r} of the payloads", "give one for each id"
                )
                for name, column in columns.items()
            }
            for name, column in self._columns.items():
                if len(column) != count:
                    raise InvalidArgumentError(
                        f"{count} ids, and column {name!r} of the payloads has {len(column)} elements: "
                        "give one for each id"
                    )
        elif payloads is not None:
            self._rows = sliceable(payloads, "payloads", "give one for each id, or columns")
            if len(self._rows) != count:
                raise InvalidArgumentError(
                    f"{count} ids and {len(self._rows)} payloads: give one payload for each id, or None"
                )

    def piece(self, start: int, end: int) -> list[Any] | None:
        """The payloads from `start` up to, without, `end`; ``None`` when there are none at all."""
        if self._rows is not None:
            return slice_of(self._rows, start, end)
        if not self._columns:
            return None
        rows = zip(*(slice_of(column, start, end) for column in self._columns.values()), strict=True)
        return [dict(zip(self._columns, row, strict=True)) for row in rows]
