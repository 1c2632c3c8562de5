"""Ids to search among: what an index of a B-tree store, or anything else, gives to a search in another store."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any, cast

from ._exceptions import InvalidArgumentError
from ._scan import Scan

Among = Iterable[Any] | AsyncIterable[Any]
"""Ids to search among: an iterable, or an iterator over keys of a store or an index."""


async def listed(among: Among) -> list[Any]:
    """The ids to search among, as a list."""
    if isinstance(among, Scan):
        return [key async for page in among.pages() for key in page]
    if isinstance(among, AsyncIterable):
        return [key async for key in among]
    if isinstance(among, str | bytes):
        raise InvalidArgumentError(f"among= takes many ids: give [{among!r}] for one")
    if not isinstance(cast("object", among), Iterable):
        raise InvalidArgumentError(f"among= takes an iterable of ids, got {type(among).__name__}")
    return list(among)
