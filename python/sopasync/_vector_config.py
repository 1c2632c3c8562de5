"""`VectorConfig`: what the vectors of a store are, and how they are indexed. Fixed when the store is made."""

from __future__ import annotations

import dataclasses
from typing import Any, Final, Literal

import msgspec

from ._exceptions import InvalidArgumentError, UnsupportedFormatError

Metric = Literal["cosine", "inner_product", "l2", "hamming"]
Element = Literal["f32", "f16", "int8", "bits"]
Index = Literal["auto", "hnsw", "usearch", "exact"]
Codes = Literal["auto", "none", "int8", "bits"]

DIMENSION_MAX: Final = 1 << 16

_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "metric": ("cosine", "inner_product", "l2", "hamming"),
    "element": ("f32", "f16", "int8", "bits"),
    "index": ("auto", "hnsw", "usearch", "exact"),
    "codes": ("auto", "none", "int8", "bits"),
}
_RANGES: Final[dict[str, tuple[int, int]]] = {
    "dimension": (1, DIMENSION_MAX),
    "links": (2, 256),
    "ef_construction": (1, 1 << 16),
    "ef": (1, 1 << 16),
}
_NUMPY_TYPES: Final = {"f32": "<f4", "f16": "<f2", "int8": "i1", "bits": "u1"}


@dataclasses.dataclass(frozen=True, slots=True)
class VectorConfig:
    """What the vectors of a store are, and how they are indexed.

    Args:
        dimension: Elements of a vector.
        metric: What "near" means: ``"cosine"``, ``"inner_product"`` (larger is nearer), ``"l2"`` (Euclidean) or
            ``"hamming"`` (bits that differ).
        element: What a vector is made of: ``"f32"``, ``"f16"``, ``"int8"`` (whole numbers from -128 to 127, compared as
            they are) or ``"bits"``, which goes with ``"hamming"``.
        index: ``"auto"`` and ``"hnsw"`` build the engine's own graph, ``"usearch"`` that of the usearch library,
            ``"exact"`` none: every query is exact. Few vectors are always searched exactly.
        links: Links of a vector in the graph: more find more and take more memory.
        ef_construction: Candidates while the graph is built: more build a better graph, slower.
        ef: Candidates of a query that does not say: more find more, slower.
        codes: Codes of fewer bits that scans read first; what they find is measured again exactly. Exact
            queries leave out by them only what is certainly too far.
    """

    dimension: int
    metric: Metric = "cosine"
    element: Element = "f32"
    index: Index = "auto"
    links: int = 16
    ef_construction: int = 128
    ef: int = 64
    codes: Codes = "auto"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InvalidArgumentError(
                    f"{name}={getattr(self, name)!r} is unknown: use one of {', '.join(map(repr, choices))}"
                )
        for name, (least, most) in _RANGES.items():
            given = getattr(self, name)
            if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= most:
                raise InvalidArgumentError(f"{name}={given!r} is not a whole number from {least} to {most}")
        if (self.metric == "hamming") != (self.element == "bits"):
            raise InvalidArgumentError(
                f"metric={self.metric!r} does not go with element={self.element!r}: "
                "'hamming' and 'bits' go together, and with nothing else"
            )

    @property
    def numpy_type(self) -> str:
        """The numpy type of stored vectors; bits are packed, element i being bit i % 8 of byte i // 8."""
        return _NUMPY_TYPES[self.element]

    @property
    def row_bytes(self) -> int:
        """Bytes of a stored vector."""
        return self.width * {"f32": 4, "f16": 2, "int8": 1, "bits": 1}[self.element]

    @property
    def width(self) -> int:
        """Elements of a stored vector's array: the dimension, or the bytes that bits are packed into."""
        return -(-self.dimension // 8) if self.element == "bits" else self.dimension

    def to_bytes(self) -> bytes:
        """Pack into the catalogue's form."""
        return msgspec.msgpack.encode(dataclasses.asdict(self))

    @classmethod
    def from_bytes(cls, store: str, data: bytes) -> VectorConfig:
        """Unpack the catalogue's form."""
        options: dict[str, Any] = msgspec.msgpack.decode(data)
        try:
            return cls(**options)
        except (TypeError, InvalidArgumentError) as error:
            raise UnsupportedFormatError(
                f"vector store '{store}' was made by a newer sopasync: {error}. Use a newer sopasync"
            ) from None

    def differences(self, wanted: VectorConfig) -> str:
        """Name what is otherwise in `wanted`; empty when nothing is."""
        return "; ".join(
            f"its {field.name} is {getattr(self, field.name)!r} but {getattr(wanted, field.name)!r} was asked for"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != getattr(wanted, field.name)
        )
