"""`Cursor`: a place in a store that can be moved by one item at a time."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, final

from ._exceptions import InvalidArgumentError, KeyNotFound, StoreError, UnsupportedError
from ._item import Item
from ._paging import following
from ._scan import KEYS, RAW_ITEMS, KeyRange

if TYPE_CHECKING:
    from uuid import UUID

    from ._btree import BtreeStore

K = TypeVar("K")
V = TypeVar("V")


class _Place(enum.Enum):
    UNSET = "unset"
    BEFORE_FIRST = "before the first item"
    ON = "on an item"
    BETWEEN = "between items"
    AFTER_LAST = "after the last item"


@final
class Cursor(Generic[K, V]):
    """A place in a store: on an item, between two, or beyond an end.

    It keeps its place when items are added or removed around it.
    """

    __slots__ = ("_place", "_raw", "_store")

    def __init__(self, store: BtreeStore[K, V]) -> None:
        self._store = store
        self._place = _Place.UNSET
        self._raw = b""

    def __repr__(self) -> str:
        return f"<sopasync.Cursor of {self._store.name!r}, {self._place.value}>"

    async def find(self, key: K | Mapping[str, Any]) -> bool:
        """Go to the first item with `key`; when there is none, to the place where it would be."""
        self._store.check_key(key)
        wanted = self._encode(key)
        if self._store.is_unique:
            return self._settle(wanted, await self._store.run(self._store.participant.contains, key))
        # Here `wanted` is what the bytes of all items with the key begin with.
        rows = await self._scan(KeyRange(wanted, wanted + b"\xff" * 17), reverse=False)
        found = bool(rows) and rows[0][2].startswith(wanted)
        return self._settle(rows[0][2] if found else wanted, found)

    async def find_with_id(self, key: K | Mapping[str, Any], item_id: UUID) -> bool:
        """Go to the item with `key` and `item_id`."""
        if self._store.is_unique:
            raise UnsupportedError(
                f"keys of store '{self._store.name}' are unique, so its items have no ids: use find()"
            )
        self._store.check_key(key)
        raw = self._encode(key, item_id)
        return self._settle(raw, await self._store.run(self._store.participant.get_raw, raw) is not None)

    async def first(self) -> bool:
        """Go to the first item."""
        return await self._go(KeyRange(), reverse=False)

    async def last(self) -> bool:
        """Go to the last item."""
        return await self._go(KeyRange(), reverse=True)

    async def next(self) -> bool:
        """Go to the item after this place; from an unset cursor, to the first."""
        if self._place is _Place.AFTER_LAST:
            return False
        anywhere = self._place in (_Place.UNSET, _Place.BEFORE_FIRST)
        low = None if anywhere else following(self._raw) if self._place is _Place.ON else self._raw
        return await self._go(KeyRange(low), reverse=False)

    async def previous(self) -> bool:
        """Go to the item before this place; from an unset cursor, to the last."""
        if self._place is _Place.BEFORE_FIRST:
            return False
        anywhere = self._place in (_Place.UNSET, _Place.AFTER_LAST)
        return await self._go(KeyRange(None, None if anywhere else self._raw), reverse=True)

    async def get_key(self) -> K | None:
        """Return the key of the current item, ride-on fields included, without reading its value."""
        if self._place is not _Place.ON:
            return None
        scan = self._store.participant.scan
        bounds = self._raw, self._raw
        rows, _ = await self._store.run(lambda: scan(*bounds, hi_open=False, limit=1, what=KEYS))
        return self._store.key(rows[0]) if rows else None

    async def get_item(self) -> Item[K, V] | None:
        """Return the current item; ``None`` when it was removed meanwhile."""
        if self._place is not _Place.ON:
            return None
        found = await self._store.run(self._store.participant.get_raw, self._raw)
        return None if found is None else self._store.item(*found)

    async def update_value(self, value: V) -> Literal[True]:
        """Change the value of the current item; its key and ride-on fields stay."""
        raw = self._require_item("change")
        if not await self._store.run(self._store.participant.update_raw, raw, self._store.encode(value)):
            raise self._gone("change")
        return True

    async def update_key(self, key: K | Mapping[str, Any]) -> Literal[True]:
        """Change the ride-on fields of the current item's key; its index fields must be the same."""
        raw = self._require_item("change")
        self._store.check_key(key)
        if not raw.startswith(self._encode(key)) or self._store.actor.schema.fields is None:
            raise InvalidArgumentError(
                f"{key!r} is not the key the cursor of store '{self._store.name}' is on: only ride-on fields can be "
                "changed in place. Remove the item and add it under its new key"
            )
        return await self._store.update_key(key)

    async def remove(self) -> Literal[True]:
        """Remove the current item; the cursor then stands between its neighbours."""
        raw = self._require_item("remove")
        if not await self._store.run(self._store.participant.remove_raw, raw):
            raise self._gone("remove")
        self._place = _Place.BETWEEN
        return True

    def range_from(self, *, reverse: bool) -> KeyRange:
        """The range from the current item to the end, or everything when the cursor is on none."""
        if self._place is not _Place.ON:
            return KeyRange()
        return KeyRange(None, following(self._raw)) if reverse else KeyRange(self._raw)

    async def _go(self, bounds: KeyRange, *, reverse: bool) -> bool:
        rows = await self._scan(bounds, reverse=reverse)
        if not rows:
            self._place = _Place.BEFORE_FIRST if reverse else _Place.AFTER_LAST
            return False
        raw = self._encode(rows[0]) if self._store.is_unique else rows[0][2]
        return self._settle(raw, found=True)

    async def _scan(self, bounds: KeyRange, *, reverse: bool) -> list[Any]:
        # Where keys are unique the key alone gives its bytes; where they repeat the item must be read.
        scan = self._store.participant.scan
        what = KEYS if self._store.is_unique else RAW_ITEMS
        rows, _ = await self._store.run(
            lambda: scan(bounds.low, bounds.high, reverse=reverse, limit=1, what=what)
        )
        return cast("list[Any]", rows)

    def _settle(self, raw: bytes, found: bool) -> bool:
        self._raw = raw
        self._place = _Place.ON if found else _Place.BETWEEN
        return found

    def _encode(self, key: Any, item_id: UUID | None = None) -> bytes:
        try:
            return self._store.actor.codec.encode(key, item_id)
        except StoreError as error:
            raise self._store.named(error) from error.__cause__

    def _require_item(self, verb: str) -> bytes:
        if self._place is not _Place.ON:
            raise KeyNotFound(
                f"cannot {verb}: the cursor of store '{self._store.name}' is {self._place.value}. "
                "Move it with find(), first(), last(), next() or previous()",
                store=self._store.name,
            )
        return self._raw

    def _gone(self, verb: str) -> KeyNotFound:
        return KeyNotFound(
            f"cannot {verb}: the item the cursor of store '{self._store.name}' was on has been removed",
            store=self._store.name,
        )
