"""What goes into a vector store and what comes out of a query: `VectorItem` and `VectorHit`."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

I = TypeVar("I")  # noqa: E741 - the type of ids
P = TypeVar("P")


class VectorItem(msgspec.Struct, Generic[I, P]):
    """An id, its vector and its payload.

    Coming from a store, `vector` is a read-only numpy array; going in, a list, tuple, array or anything with a buffer.
    """

    id: I
    vector: Any
    payload: P | None = None


class VectorHit(msgspec.Struct, Generic[I, P], frozen=True):
    """A vector that a query found."""

    id: I
    score: float
    """Larger is nearer: cosine, inner product, or the negative distance."""
    distance: float
    """Smaller is nearer: 1 - cosine, the negative inner product, Euclidean distance, or bits that differ."""
    payload: P | None = None
