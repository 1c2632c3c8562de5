"""What calls of a vector store are given besides vectors: items, counts, distances."""

from __future__ import annotations

import math
import sys
from numbers import Real
from typing import Any, cast

from ._exceptions import InvalidArgumentError
from ._vector_items import VectorItem


def vector_items(given: Any) -> list[VectorItem[Any, Any]] | None:
    """A list of items, all of which are; ``None`` for one item."""
    if not isinstance(given, list):
        if isinstance(given, VectorItem):
            return None
        raise InvalidArgumentError(
            "give an id and a vector, a VectorItem, or a list of VectorItems; "
            f"got only {type(given).__name__} {given!r}"
        )
    items = cast("list[Any]", given)
    for index, item in enumerate(items):
        if not isinstance(item, VectorItem):
            raise InvalidArgumentError(
                f"element {index} of the list is a {type(item).__name__}, and a VectorItem is expected"
            )
    return items


def distance(given: Any) -> float:
    """How far hits may be."""
    if isinstance(given, bool) or not isinstance(given, Real):
        raise InvalidArgumentError(f"radius={given!r} is no distance: give a number")
    try:
        far = float(given)
    except OverflowError:  # farther away than anything is
        far = math.inf if cast("int", given) > 0 else -math.inf
    if math.isnan(far):
        raise InvalidArgumentError(f"radius={given!r} is no distance: give a number")
    return far


def positive(name: str, number: Any) -> int:
    """A count of 1 or more; one beyond what there can be stands for all."""
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise InvalidArgumentError(f"{name}={number!r} is not a whole number of 1 or more")
    return min(number, sys.maxsize)


def truth(name: str, given: Any) -> bool:
    """True or False, of Python or numpy."""
    if not isinstance(given, bool):
        import numpy as np

        if not isinstance(given, np.bool_):
            raise InvalidArgumentError(f"{name}={given!r} is neither True nor False")
    return bool(cast("Any", given))
