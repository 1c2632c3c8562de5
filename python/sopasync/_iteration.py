"""`Iteration`: an iterator that fetches lists and gives what is in them one by one, and `Pages`: the same in lists."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar, final

from ._exceptions import InvalidArgumentError
from ._limits import PAGE_ITEMS

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")


class Iteration(abc.ABC, Generic[T]):
    """An iterator that fetches ahead, for ``async for``; `pages` gives lists."""

    __slots__ = ("_buffer",)

    _unit: ClassVar[str] = "items"
    """What a page is of, in messages."""

    def __init__(self) -> None:
        self._buffer: list[T] = []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        buffer = self._buffer
        if not buffer:
            buffer = await self._more(PAGE_ITEMS)
            if not buffer:
                raise StopAsyncIteration
            buffer.reverse()
            self._buffer = buffer
        return buffer.pop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Drop what was fetched ahead; the iterator is at its end."""
        self._end()
        self._buffer = []

    def pages(self, size: int = PAGE_ITEMS) -> Pages[T]:
        """Iterate in lists of `size`: ``async for page in store.items().pages(1000)``."""
        self._check_size(size)
        return Pages(self, size)

    def _check_size(self, size: int) -> None:
        if size < 1:
            raise InvalidArgumentError(f"a page of {size} {self._unit} is none: give at least 1")

    async def fetch(self, limit: int) -> list[T]:
        """Return up to `limit` further ones; empty at the end only."""
        if self._buffer:
            ahead = self._buffer[-limit:][::-1]
            del self._buffer[-limit:]
            return ahead
        return await self._more(limit)

    @abc.abstractmethod
    async def _more(self, limit: int) -> list[T]:
        """Fetch up to `limit` further ones; empty at the end only."""

    @abc.abstractmethod
    def _end(self) -> None:
        """Fetch no more."""


@final
class Pages(Generic[T]):
    """A `Scan` taken in lists of a fixed size; the last one may be shorter."""

    __slots__ = ("_scan", "_size")

    def __init__(self, scan: Iteration[T], size: int) -> None:
        self._scan = scan
        self._size = size

    def __aiter__(self) -> Pages[T]:
        return self

    async def __anext__(self) -> list[T]:
        page = await self._scan.fetch(self._size)
        while 0 < len(page) < self._size:
            more = await self._scan.fetch(self._size - len(page))
            if not more:
                break
            page.extend(more)
        if not page:
            raise StopAsyncIteration
        return page

    async def aclose(self) -> None:
        """End the iteration."""
        await self._scan.aclose()
