"""`Cursor`: a place in a store that can be moved by one item at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, final

from sopasync._blocking import drive

if TYPE_CHECKING:
    from uuid import UUID

    from sopasync._cursor import Cursor as AsyncCursor
    from sopasync._item import Item

K = TypeVar("K")
V = TypeVar("V")


@final
class Cursor(Generic[K, V]):
    """A place in a store: on an item, between two, or beyond an end. See `sopasync.Cursor`."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: AsyncCursor[K, V]) -> None:
        self._cursor = cursor

    def __repr__(self) -> str:
        return repr(self._cursor).replace("sopasync.", "sopasync.sync.", 1)

    def find(self, key: K | Mapping[str, Any]) -> bool:
        """Go to the first item with `key`; when there is none, to the place where it would be."""
        return drive(self._cursor.find(key))

    def find_with_id(self, key: K | Mapping[str, Any], item_id: UUID) -> bool:
        """Go to the item with `key` and `item_id`."""
        return drive(self._cursor.find_with_id(key, item_id))

    def first(self) -> bool:
        """Go to the first item."""
        return drive(self._cursor.first())

    def last(self) -> bool:
        """Go to the last item."""
        return drive(self._cursor.last())

    def next(self) -> bool:
        """Go to the item after this place; from an unset cursor, to the first."""
        return drive(self._cursor.next())

    def previous(self) -> bool:
        """Go to the item before this place; from an unset cursor, to the last."""
        return drive(self._cursor.previous())

    def get_key(self) -> K | None:
        """Return the key of the current item, ride-on fields included, without reading its value."""
        return drive(self._cursor.get_key())

    def get_item(self) -> Item[K, V] | None:
        """Return the current item; ``None`` when it was removed meanwhile."""
        return drive(self._cursor.get_item())

    def update_value(self, value: V) -> Literal[True]:
        """Change the value of the current item; its key and ride-on fields stay."""
        return drive(self._cursor.update_value(value))

    def update_key(self, key: K | Mapping[str, Any]) -> Literal[True]:
        """Change the ride-on fields of the current item's key; its index fields must be the same."""
        return drive(self._cursor.update_key(key))

    def remove(self) -> Literal[True]:
        """Remove the current item; the cursor then stands between its neighbours."""
        return drive(self._cursor.remove())
