"""Iterators over a vector store in the order of its ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from ._iteration import Iteration
from ._limits import BATCH_BYTES, PAGE_ITEMS, PAGE_ITEMS_FIRST
from ._pace import Pace

if TYPE_CHECKING:
    from ._vector import VectorStore

T = TypeVar("T")


@final
class VectorScan(Iteration[T]):
    """An iterator over ids or items, for ``async for``; `pages` gives lists."""

    __slots__ = ("_after", "_done", "_entries", "_pace", "_store")

    def __init__(self, store: VectorStore[Any, Any], *, entries: bool) -> None:
        super().__init__()
        self._store = store
        self._entries = entries
        self._after: bytes | None = None
        self._done = False
        most = max(min(PAGE_ITEMS, BATCH_BYTES // store.config.row_bytes), 1) if entries else PAGE_ITEMS
        self._pace = Pace(store.actor, PAGE_ITEMS_FIRST, most)

    def _end(self) -> None:
        self._done = True

    async def _more(self, limit: int) -> list[T]:
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
