"""`BtreeStore`: an ordered key/value store as one transaction sees it."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast, final, overload

from . import _batch as batch
from ._core import ADD, APPEND, MAX, MIN, MISS, encode_value
from ._exceptions import DuplicateKeyError, InvalidArgumentError, KeyNotFound, StoreError
from ._index_calls import IndexCalls
from ._item import Item, PagingInfo, is_item, is_list
from ._limits import PAGE_ITEMS
from ._paging import fetch_page
from ._scan import ColumnPages, ItemScan, KeyRange, KeyScan, Scan, ValueScan
from ._statistics import StoreDescription

if TYPE_CHECKING:
    from uuid import UUID

    from ._btree_actor import BtreeActor, TypedAccess
    from ._core import Transaction as Native
    from ._turns import Turns

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class Unset(enum.Enum):
    VALUE = "unset"


UNSET: Final = Unset.VALUE


@final
class BtreeStore(IndexCalls[K, V]):
    """A B-tree store, opened by `Transaction.new_btree` or `Transaction.open_btree`.

    A call returns without giving up the event loop unless it must wait for the disk; every 256 calls,
    or every millisecond, it lets other tasks run. A call that is cancelled has changed nothing.

    Calls that take a list do all of it or nothing. The cursor methods (`find`, `first`, `next`,
    `get_current_item` and so on) share one cursor; `cursor` makes further ones.
    """

    __slots__ = (
        "_check_key",
        "_codec",
        "_make_key",
        "_pack",
        "_unpack",
        "actor",
        "participant",
        "turns_granted",
        "turns_left",
    )

    def __init__(
        self, turns: Turns, native: Native, store_id: int, actor: BtreeActor, access: TypedAccess
    ) -> None:
        self._check_key, self._make_key, self._codec, form, self._pack, self._unpack = access
        self.actor = actor
        self.participant = native.participant(store_id, actor.codec, form)
        self._turns = turns
        self._native = native
        self._indexes = None
        self._cursor = None
        self.turns_granted: int
        self.turns_left: int
        turns.join(self)

    def __repr__(self) -> str:
        kind = "unique" if self.is_unique else "not unique"
        return f"<sopasync.BtreeStore {self.name!r}, {kind}, {id(self):#x}>"

    @property
    def name(self) -> str:
        """Name of the store."""
        return self.actor.name

    @property
    def is_unique(self) -> bool:
        """Whether a key can be there once only."""
        return self.actor.schema.unique

    @property
    def description(self) -> StoreDescription:
        """What the catalogue says about the store."""
        return StoreDescription.of_schema(
            self.name, self.participant.store_id, self.actor.schema, self.relations()
        )

    # -- one item -------------------------------------------------------------------------------

    @overload
    async def get(self, key: K | Mapping[str, Any]) -> V | None: ...
    @overload
    async def get(self, key: K | Mapping[str, Any], default: D) -> V | D: ...
    async def get(self, key: K | Mapping[str, Any], default: Any = None) -> Any:
        """Return the value of `key`, or `default` when it is not there.

        In a store where keys repeat, the value of the first item with that key.
        """
        if self._check_key is not None:
            self._check_key(key)
        try:
            unpack = self._unpack
            missing = default if unpack is None else None
            if self.turns_left:
                self.turns_left -= 1
                found = self.participant.get(key, missing)
                if found is MISS:
                    found = await self._turns.resume(self)
            else:
                found = await self._turns.run(self, self.participant.get, key, missing)
            if unpack is None:
                return found
            return default if found is None else unpack(cast("bytes", found))
        except StoreError as error:
            raise self.named(error) from error.__cause__

    async def get_item(self, key: K | Mapping[str, Any]) -> Item[K, V] | None:
        """Return the first item with `key`, ride-on fields and id included; ``None`` when there is none."""
        found = await self.call(self.participant.get_item, key)
        if found is None:
            return None
        stored, data, item_id = found
        return self.item(stored, data, item_id)

    async def contains(self, key: K | Mapping[str, Any]) -> bool:
        """Tell whether `key` is there, without reading its value."""
        return cast("bool", await self.call(self.participant.contains, key))

    async def count(self) -> int:
        """Count the items."""
        return cast("int", await self.run(self.participant.count))

    @overload
    async def add(self, key: K, value: V) -> Literal[True]: ...
    @overload
    async def add(self, key: Item[K, V] | Sequence[Item[K, V] | tuple[K, V]]) -> Literal[True]: ...
    async def add(self, key: Any, value: Any = UNSET) -> Literal[True]:
        """Add a key and its value, an `Item`, or a list of items.

        Raises:
            DuplicateKeyError: The key is there already and keys are unique; nothing was changed.
            KeyTypeError, CodecError, ValueTooLargeError: The store does not take this key or value.
            ReadOnlyError: The transaction only reads.
        """
        if value is UNSET:
            if is_list(key):
                await batch.write(self, self.participant.add_items, key, self._duplicate)
                return True
            key, value = _pair(key)
        if self._check_key is not None:
            self._check_key(key)
        try:
            if self._pack is not None:
                value = self._pack(value)
            if self.turns_left:
                self.turns_left -= 1
                added = self.participant.add(key, value)
                if added is MISS:
                    added = await self._turns.resume(self)
            else:
                added = await self._turns.run(self, self.participant.add, key, value)
        except StoreError as error:
            raise self.named(error) from error.__cause__
        if not added:
            raise self._duplicate(key, None)
        return True

    @overload
    async def add_if_not_exists(self, key: K, value: V) -> bool: ...
    @overload
    async def add_if_not_exists(self, key: Item[K, V] | Sequence[Item[K, V] | tuple[K, V]]) -> bool: ...
    async def add_if_not_exists(self, key: Any, value: Any = UNSET) -> bool:
        """Add unless the key is there; returns whether it was added. A list is added wholly or not at all."""
        if value is UNSET and is_list(key):
            return await batch.add_absent(self, key)
        key, value = _pair(key) if value is UNSET else (key, value)
        if self.is_unique:
            return cast("bool", await self.call(self.participant.add, key, self.encode(value)))
        return await batch.add_absent(self, [(key, value)])

    @overload
    async def update(self, key: K | Mapping[str, Any], value: V) -> Literal[True]: ...
    @overload
    async def update(self, key: Item[K, V] | Sequence[Item[K, V] | tuple[K, V]]) -> Literal[True]: ...
    async def update(self, key: Any, value: Any = UNSET) -> Literal[True]:
        """Change the value of a key that is there: a key and a value, an `Item`, or a list of items.

        In a store where keys repeat, the first item with that key is changed.

        Raises:
            KeyNotFound: The key is not there; nothing was changed.
        """
        if value is UNSET:
            if is_list(key):
                await batch.write(self, self.participant.update_items, key, self._missing)
                return True
            key, value = _pair(key)
        if not await self.call(self.participant.update, key, self.encode(value)):
            raise self._missing(key, None)
        return True

    @overload
    async def upsert(self, key: K, value: V) -> None: ...
    @overload
    async def upsert(self, key: Item[K, V] | Sequence[Item[K, V] | tuple[K, V]]) -> None: ...
    async def upsert(self, key: Any, value: Any = UNSET) -> None:
        """Add the key, or change its value: a key and a value, an `Item`, or a list of items.

        Reads nothing in a unique store, so it never conflicts over what was there before.
        """
        if value is UNSET:
            if is_list(key):
                await batch.write(self, self.participant.upsert_items, key, None)
                return
            key, value = _pair(key)
        if self._check_key is not None:
            self._check_key(key)
        try:
            if self._pack is not None:
                value = self._pack(value)
            if self.turns_left:
                self.turns_left -= 1
                if self.participant.upsert(key, value) is MISS:
                    await self._turns.resume(self)
            else:
                await self._turns.run(self, self.participant.upsert, key, value)
        except StoreError as error:
            raise self.named(error) from error.__cause__

    async def remove(self, key: K | Mapping[str, Any] | list[K]) -> Literal[True]:
        """Remove a key, or every key of a list.

        In a store where keys repeat, the first item with that key is removed.

        Raises:
            KeyNotFound: A key is not there; nothing was changed.
        """
        if is_list(key):
            await batch.remove(self, key, self._missing)
        elif not await self.call(self.participant.remove, key):
            raise self._missing(key, None)
        return True

    async def discard(self, key: K | Mapping[str, Any]) -> bool:
        """Remove a key when it is there; returns whether it was."""
        return cast("bool", await self.call(self.participant.remove, key))

    async def update_key(self, key: K | Mapping[str, Any]) -> Literal[True]:
        """Change the ride-on fields of a record key that is there; its value is not touched.

        Raises:
            KeyNotFound: No key has these index fields.
        """
        if not await self.call(self.participant.update_key, key):
            raise self._missing(key, None)
        return True

    async def get_many(self, keys: Iterable[K | Mapping[str, Any]]) -> list[V | None]:
        """Return the values of `keys` in their order; ``None`` for a key that is not there."""
        return await batch.get(self, list(keys))

    # -- operations that commute ----------------------------------------------------------------

    async def increment(self, key: K, by: float = 1) -> None:
        """Add `by` to a number; a key that is not there counts as 0. Never conflicts with other increments."""
        await self.call(self.participant.merge, key, ADD, self._operand(by))

    async def maximum(self, key: K, value: float) -> None:
        """Keep the larger of the stored number and `value`. Never conflicts with other maximums."""
        await self.call(self.participant.merge, key, MAX, self._operand(value))

    async def minimum(self, key: K, value: float) -> None:
        """Keep the smaller of the stored number and `value`. Never conflicts with other minimums."""
        await self.call(self.participant.merge, key, MIN, self._operand(value))

    async def append(self, key: K, value: str | bytes) -> None:
        """Append to a stored text or bytes, in the order of commits. Never conflicts with other appends."""
        await self.call(self.participant.merge, key, APPEND, self._operand(value))

    # -- many items in order --------------------------------------------------------------------

    def items(
        self, *, prefix: Any = None, start: Any = None, stop: Any = None, reverse: bool = False
    ) -> Scan[Item[K, V]]:
        """Iterate over items in key order: ``async for item in store.items(prefix="user_")``.

        The iterator sees changes this transaction makes ahead of it. `Scan.pages` gives lists, which
        is several times faster.

        Args:
            prefix: Only keys that begin with it: the start of a text, or the leading elements of a
                tuple, or the leading index fields of a record as a dict or tuple.
            start: First key, inclusive; for records and tuples leading parts will do.
            stop: First key that is left out.
            reverse: From the last to the first.
        """
        return ItemScan(self, KeyRange.of(self, prefix, start, stop), reverse)

    def keys(
        self, *, prefix: Any = None, start: Any = None, stop: Any = None, reverse: bool = False
    ) -> Scan[K]:
        """Iterate over keys, ride-on fields included, as `items` does; values are never read."""
        return KeyScan(self, KeyRange.of(self, prefix, start, stop), reverse)

    def values(
        self, *, prefix: Any = None, start: Any = None, stop: Any = None, reverse: bool = False
    ) -> Scan[V]:
        """Iterate over values in key order, as `items` does."""
        return ValueScan(self, KeyRange.of(self, prefix, start, stop), reverse)

    def columns(
        self,
        *,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
        size: int = PAGE_ITEMS,
    ) -> ColumnPages[K, V]:
        """Iterate over keys and values as two lists: ``async for keys, values in store.columns()``.

        The fastest way to read both; it takes the range as `items` does, and `size` items at a time.
        """
        return ColumnPages(self, KeyRange.of(self, prefix, start, stop), reverse, size)

    async def get_items(self, paging: PagingInfo | None = None) -> list[Item[K, V]]:
        """Fetch a page of items."""
        return await fetch_page(self, paging or PagingInfo(), values=True)

    async def get_keys(self, paging: PagingInfo | None = None) -> list[Item[K, V]]:
        """Fetch a page of items without their values, which are not read: ``item.value`` is ``None``."""
        return await fetch_page(self, paging or PagingInfo(), values=False)

    async def get_values(
        self, which: PagingInfo | Item[K, Any] | K | Mapping[str, Any] | list[Any] | None = None
    ) -> list[Item[K, V]]:
        """Fetch a page of items, or the items of one or several keys; keys that are not there are left out."""
        if which is None or isinstance(which, PagingInfo):
            return await self.get_items(which)
        wanted: list[Any] = which if is_list(which) else [which]
        keys = [cast("Any", item).key if isinstance(item, Item) else item for item in wanted]
        found = [await self.get_item(key) for key in keys]
        return [item for item in found if item is not None]

    # -- for the modules beside this one ----------------------------------------------------------

    @property
    def turns(self) -> Turns:
        """The turn order of the transaction."""
        return self._turns

    async def call(self, operation: Any, key: Any, *args: Any) -> Any:
        """Run an engine call about one key as a turn."""
        if self._check_key is not None:
            self._check_key(key)
        return await self.run(operation, key, *args)

    async def run(self, operation: Any, *args: Any) -> Any:
        """Run an engine call as a turn: inline when it can be."""
        try:
            if self.turns_left:
                self.turns_left -= 1
                result = operation(*args)
                return await self._turns.resume(self) if result is MISS else result
            return await self._turns.run(self, operation, *args)
        except StoreError as error:
            raise self.named(error) from error.__cause__

    @property
    def value_form(self) -> Any:
        """In which form values come from the engine; ``None`` where they come packed."""
        return self._codec.form

    @property
    def engine_packs(self) -> bool:
        """Whether values go to the engine as they are."""
        return self._pack is None

    @property
    def engine_unpacks(self) -> bool:
        """Whether values come from the engine as they are."""
        return self._unpack is None

    @property
    def makes_keys(self) -> bool:
        """Whether keys are made into the type the store was opened with."""
        return self._make_key is not None

    @property
    def checks_keys(self) -> bool:
        """Whether the store was opened with a type of keys."""
        return self._check_key is not None

    def check_key(self, key: Any) -> None:
        """Raise `KeyTypeError` when the key is not of the type the store was opened with."""
        if self._check_key is not None:
            self._check_key(key)

    def encode(self, value: Any) -> Any:
        """Make of a value what the engine takes: pack it, unless the engine does."""
        if self._pack is None:
            return value
        try:
            return self._pack(value)
        except StoreError as error:
            raise self.named(error) from error.__cause__

    def _operand(self, value: Any) -> bytes:
        """Pack the operand of an operation that commutes: what a value of the store could be."""
        data = encode_value(value)
        try:
            self._codec.decode(data)
        except StoreError as error:
            raise self.named(error) from error.__cause__
        return data

    def decode(self, data: Any) -> V:
        """Make a value of what the engine gave: unpack it, unless the engine has."""
        if self._unpack is None:
            return cast("V", data)
        try:
            return cast("V", self._unpack(data))
        except StoreError as error:
            raise self.named(error) from error.__cause__

    def key(self, stored: Any) -> K:
        """Make a decoded key into the key type."""
        return cast("K", stored if self._make_key is None else self._make_key(stored))

    def made_keys(self, stored: list[Any]) -> list[Any]:
        """Make decoded keys into the key type."""
        make = self._make_key
        return stored if make is None else [make(key) for key in stored]

    def decoded(self, data: list[Any]) -> list[Any]:
        """Make values of what the engine gave."""
        if self._unpack is None:
            return data
        try:
            many = self._codec.decode_many
            return list(map(self._unpack, data)) if many is None else many(data)
        except StoreError as error:
            raise self.named(error) from error.__cause__

    def item(self, stored: Any, data: Any, item_id: UUID | None) -> Item[K, V]:
        """Make an item of what the engine returned."""
        return Item(self.key(stored), self.decode(data), item_id)

    def _duplicate(self, key: Any, index: int | None) -> StoreError:
        where = "" if index is None else f", item {index} of the list,"
        return DuplicateKeyError(
            f"key {key!r}{where} is in store '{self.name}' already: use update() or upsert() to change its value",
            store=self.name,
            key=key,
            index=index,
        )

    def _missing(self, key: Any, index: int | None) -> StoreError:
        where = "" if index is None else f", item {index} of the list,"
        return KeyNotFound(
            f"key {key!r}{where} is not in store '{self.name}': use add() or upsert() to put it there, "
            "discard() to remove it if it is",
            store=self.name,
            key=key,
            index=index,
        )


def _pair(item: Any) -> tuple[Any, Any]:
    if is_item(item):
        return item.key, item.value
    raise InvalidArgumentError(
        f"give a key and a value, an Item, or a list of Items; got only {type(item).__name__} {item!r}"
    )
