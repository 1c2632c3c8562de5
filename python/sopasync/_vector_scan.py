"""Iterators over a vector store in the order of its ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from ._exceptions import InvalidArgumentError
from ._limits import BATCH_BYTES, PAGE_ITEMS, PAGE_ITEMS_FIRST
from ._pace import Pace
from ._scan import Pages

if TYPE_CHECKING:
    from ._vector import VectorStore

T = TypeVar("T")


@final
class VectorScan(Generic[T]):
    """An iterator over ids or items, for ``async for``; `pages` gives lists."""

    __slots__ = ("_after", "_buffer", "_done", "_entries", "_pace", "_store")

    def __init__(self, store: VectorStore[Any, Any], *, entries: bool) -> None:
        self._store = store
        self._entries = entries
        self._after: bytes | None = None
        self._done = False
        self._buffer: list[Any] = []
        most = max(min(PAGE_ITEMS, BATCH_BYTES // store.config.row_bytes), 1) if entries else PAGE_ITEMS
        self._pace = Pace(store.actor, PAGE_ITEMS_FIRST, most)

    def __aiter__(self) -> VectorScan[T]:
        return self

    async def __anext__(self) -> T:
        if not self._buffer:
            self._buffer = (await self.fetch(PAGE_ITEMS))[::-1]
            if not self._buffer:
                raise StopAsyncIteration
        return self._buffer.pop()

    async def aclose(self) -> None:
        """Drop what was fetched ahead; the iterator is at its end."""
        self._done = True
        self._buffer = []

    def pages(self, size: int = PAGE_ITEMS) -> Pages[T]:
        """Iterate in lists of `size`: ``async for page in store.ids().pages(1000)``."""
        if size < 1:
            raise InvalidArgumentError(f"a page of {size} items is none: give at least 1")
        return Pages(self, size)

    async def fetch(self, limit: int) -> list[T]:
        """Return up to `limit` further ones; empty at the end only."""
        if self._buffer:
            ahead = self._buffer[-limit:][::-1]
            del self._buffer[-limit:]
            return ahead
        while not self._done:
            self._pace.begin()
            rows, self._after = await self._store.run_call(
                self._store.participant.scan, self._after, min(limit, self._pace.items), self._entries
            )
            self._done = self._after is None
            made: list[Any] = rows
            if self._entries:
                made = [self._store.made_item(key, entry) for key, entry in rows]
            self._pace.end()
            self._store.look_soon()
            if made:
                return made
        return []
