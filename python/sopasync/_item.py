"""`Item`, what a store holds, and `PagingInfo`, which page of items to fetch."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeGuard, TypeVar
from uuid import UUID

import msgspec

from ._exceptions import InvalidArgumentError

K = TypeVar("K")
V = TypeVar("V")


class Item(msgspec.Struct, Generic[K, V], gc=False):
    """A key, its value, and, in stores where keys repeat, the id that tells equal keys apart.

    Unpacks into key and value: ``for key, value in await store.get_items(...)``.

    The garbage collector does not look at items, which come by the thousand and lead to plain data. So make no
    circle of one: an item whose value leads back to it is never freed.
    """

    key: K
    value: V = None  # type: ignore[assignment]
    id: UUID | None = None

    def __iter__(self) -> Iterator[Any]:
        return iter((self.key, self.value))


def is_item(given: Any) -> TypeGuard[Item[Any, Any]]:
    """Whether a caller gave an item."""
    return isinstance(given, Item)


def is_list(given: Any) -> TypeGuard[list[Any]]:
    """Whether a caller gave a list of things to do; a tuple is a key."""
    return isinstance(given, list)


def _length(given: Any) -> int:
    return len(given)


def is_pair(given: Any) -> TypeGuard[tuple[Any, Any]]:
    """Whether an element of a list is a key and a value."""
    return isinstance(given, tuple) and _length(given) == 2


class PagingDirection(enum.IntEnum):
    """Which way a page is read."""

    FORWARD = 0
    BACKWARD = 1
    Forward = 0
    Backward = 1


@dataclass(frozen=True, slots=True)
class PagingInfo:
    """Which page of a store to fetch.

    Pages are counted from the store's cursor when it is on an item, otherwise from the first item
    (from the last when reading backward). A page past the end is an empty list.

    Args:
        page_offset: Pages to skip.
        page_size: Items per page.
        fetch_count: Items to return, when not a whole page.
        direction: Forward or backward.
    """

    page_offset: int = 0
    page_size: int = 20
    fetch_count: int = 0
    direction: PagingDirection | int = PagingDirection.FORWARD

    def __post_init__(self) -> None:
        if self.page_offset < 0 or self.page_size < 1 or self.fetch_count < 0:
            raise InvalidArgumentError(
                f"page_offset={self.page_offset}, page_size={self.page_size}, fetch_count={self.fetch_count} "
                "is no page: give page_offset >= 0, page_size >= 1 and fetch_count >= 0"
            )
        if self.direction not in (0, 1):
            raise InvalidArgumentError(
                f"direction {self.direction!r} is unknown: use PagingDirection.FORWARD or BACKWARD"
            )

    @property
    def skipped(self) -> int:
        """Items before the page."""
        return self.page_offset * self.page_size

    @property
    def fetched(self) -> int:
        """Items to return at most."""
        return self.fetch_count or self.page_size
