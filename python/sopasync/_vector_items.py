"""What goes into a vector store and what comes out of a query: `VectorItem` and `VectorHit`."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from ._core import VectorHit

__all__ = ["VectorHit", "VectorItem"]

I = TypeVar("I")  # noqa: E741 - the type of ids
P = TypeVar("P")


class VectorItem(msgspec.Struct, Generic[I, P]):
    """An id, its vector and its payload.

    Coming from a store, `vector` is a read-only numpy array; going in, a list, tuple, array or anything with a buffer.
    """

    id: I
    vector: Any
    payload: P | None = None
