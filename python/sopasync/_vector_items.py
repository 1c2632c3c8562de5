"""What goes into a vector store and what comes out of a query: `VectorItem`, `VectorHit` and `VectorHits`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar, cast

import msgspec

from ._core import VectorHit, VectorHits

__all__ = ["VectorHit", "VectorHits", "VectorItem"]

cast("Any", Sequence).register(VectorHits)  # a class of the engine cannot say so itself

I = TypeVar("I")  # noqa: E741 - the type of ids
P = TypeVar("P")


class VectorItem(msgspec.Struct, Generic[I, P]):
    """An id, its vector and its payload.

    Coming from a store, `vector` is a read-only numpy array; going in, a list, tuple, array or anything with a buffer.
    """

    id: I
    vector: Any
    payload: P | None = None
