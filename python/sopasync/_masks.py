"""Arrays that say of some of their elements that they are not there: their elements alone are not to be read."""

from __future__ import annotations

from typing import Final

MASKED: Final = (
    "a masked array, whose mask would be lost: give .filled(...) of it, or .data where nothing is masked"
)
"""What is wrong with one; the engine says the same of arrays in values."""


def has_mask(array: object) -> bool:
    """Whether an array is one of `numpy.ma`, or another that comes with a mask."""
    mask = getattr(type(array), "mask", None)
    return mask is not None and not callable(mask)  # a Series of pandas has a method of that name
