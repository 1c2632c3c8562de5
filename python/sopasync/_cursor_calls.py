"""`CursorCalls`: the part of `BtreeStore` that works on the cursor all its methods share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from ._cursor import Cursor
from ._item import Item

if TYPE_CHECKING:
    from uuid import UUID

    from ._btree import BtreeStore

K = TypeVar("K")
V = TypeVar("V")


class CursorCalls(Generic[K, V]):
    """The part of `BtreeStore` that works on a cursor."""

    __slots__ = ("_cursor",)

    _cursor: Cursor[K, V] | None

    def _itself(self) -> BtreeStore[K, V]:
        return cast("BtreeStore[K, V]", self)

    def cursor(self) -> Cursor[K, V]:
        """Make a cursor of its own, beside the one the store's methods share."""
        return Cursor(self._itself())

    @property
    def shared_cursor(self) -> Cursor[K, V]:
        """The cursor that `find`, `first`, `next` and the other cursor methods share."""
        if self._cursor is None:
            self._cursor = Cursor(self._itself())
        return self._cursor

    async def find(self, key: K | Mapping[str, Any]) -> bool:
        """Put the cursor on the first item with `key`; when there is none, beside where it would be."""
        return await self.shared_cursor.find(key)

    async def find_with_id(self, key: K | Mapping[str, Any], id: UUID) -> bool:  # noqa: A002
        """Put the cursor on the item with `key` and `id`, in a store where keys repeat."""
        return await self.shared_cursor.find_with_id(key, id)

    async def first(self) -> bool:
        """Put the cursor on the first item; returns whether there is one."""
        return await self.shared_cursor.first()

    async def last(self) -> bool:
        """Put the cursor on the last item; returns whether there is one."""
        return await self.shared_cursor.last()

    async def next(self) -> bool:
        """Move the cursor forward; returns whether it is on an item."""
        return await self.shared_cursor.next()

    async def previous(self) -> bool:
        """Move the cursor backward; returns whether it is on an item."""
        return await self.shared_cursor.previous()

    async def get_current_key(self) -> K | None:
        """Return the key the cursor is on, without reading the value; ``None`` when it is on none."""
        return await self.shared_cursor.get_key()

    async def get_current_value(self) -> V | None:
        """Return the value the cursor is on; ``None`` when it is on none."""
        item = await self.shared_cursor.get_item()
        return None if item is None else item.value

    async def get_current_item(self) -> Item[K, V] | None:
        """Return the item the cursor is on; ``None`` when it is on none."""
        return await self.shared_cursor.get_item()

    async def update_current_value(self, value: V) -> Literal[True]:
        """Change the value the cursor is on; raises `KeyNotFound` when it is on none."""
        return await self.shared_cursor.update_value(value)

    async def update_current_key(self, key: K | Mapping[str, Any]) -> Literal[True]:
        """Change the ride-on fields of the key the cursor is on; raises `KeyNotFound` when it is on none."""
        return await self.shared_cursor.update_key(key)

    async def remove_current(self) -> Literal[True]:
        """Remove the item the cursor is on; raises `KeyNotFound` when it is on none."""
        return await self.shared_cursor.remove()
