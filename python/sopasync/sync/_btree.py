"""`BtreeStore`: an ordered key/value store as one transaction sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, final, overload

from sopasync._blocking import drive
from sopasync._btree import UNSET
from sopasync._core import MISS
from sopasync._exceptions import StoreError
from sopasync._limits import PAGE_ITEMS, TURNS_PER_CHECK

from ._cursor import Cursor
from ._index import StoreIndex
from ._scan import ColumnPages, Scan

if TYPE_CHECKING:
    from uuid import UUID

    from sopasync._btree import BtreeStore as AsyncBtreeStore
    from sopasync._btree_options import Relation
    from sopasync._indexes import IndexDescription
    from sopasync._item import Item, PagingInfo
    from sopasync._statistics import StoreDescription

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


@final
class BtreeStore(Generic[K, V]):
    """A B-tree store, opened by `Transaction.new_btree` or `Transaction.open_btree`.

    What the calls do, return and raise is told by the calls of the same names of `sopasync.BtreeStore`.
    """

    __slots__ = ("_direct", "_get", "_store", "_turns_left")

    def __init__(self, store: AsyncBtreeStore[K, V]) -> None:
        self._store = store
        self._get = store.participant.get
        # The engine takes the key and gives the value as they are: nothing stands between it and the caller.
        self._direct = store.engine_unpacks and not store.checks_keys
        self._turns_left = 0

    def __repr__(self) -> str:
        return repr(self._store).replace("sopasync.", "sopasync.sync.", 1)

    @property
    def name(self) -> str:
        """Name of the store."""
        return self._store.name

    @property
    def is_unique(self) -> bool:
        """Whether a key can be there once only."""
        return self._store.is_unique

    @property
    def description(self) -> StoreDescription:
        """What the catalogue says about the store."""
        return self._store.description

    def indexes(self) -> list[IndexDescription]:
        """List the secondary indexes there are at this snapshot, the ones made here included."""
        return self._store.indexes()

    def relations(self) -> tuple[Relation, ...]:
        """List the relations there are at this snapshot."""
        return self._store.relations()

    def index(self, name: str) -> StoreIndex[K, V]:
        """The store in the order of one of its indexes: ``store.index("by_city").items(equals="Oslo")``."""
        return StoreIndex(self._store.index(name))

    # -- one item -------------------------------------------------------------------------------

    @overload
    def get(self, key: K | Mapping[str, Any]) -> V | None: ...
    @overload
    def get(self, key: K | Mapping[str, Any], default: D) -> V | D: ...
    def get(self, key: K | Mapping[str, Any], default: Any = None) -> Any:
        """Return the value of `key`, or `default` when it is not there."""
        if not self._turns_left:
            return self._get_slowly(key, default)
        self._turns_left -= 1
        try:
            found = self._get(key, default)
            return drive(self._store.turns.resume(self._store)) if found is MISS else found
        except StoreError as error:
            raise self._store.named(error) from error.__cause__

    def _get_slowly(self, key: Any, default: Any) -> Any:
        """`get` as a turn, which looks whether the transaction may go on."""
        self._store.turns.check()
        found: Any = drive(self._store.get(key, default))
        if self._direct:
            self._store.actor.turns_inline += TURNS_PER_CHECK
            self._turns_left = TURNS_PER_CHECK
        return found

    def get_item(self, key: K | Mapping[str, Any]) -> Item[K, V] | None:
        """Return the first item with `key`, ride-on fields and id included; ``None`` when there is none."""
        return drive(self._store.get_item(key))

    def contains(self, key: K | Mapping[str, Any]) -> bool:
        """Tell whether `key` is there, without reading its value."""
        return drive(self._store.contains(key))

    def count(self) -> int:
        """Count the items."""
        return drive(self._store.count())

    @overload
    def add(self, key: K, value: V) -> Literal[True]: ...
    @overload
    def add(self, key: Item[K, V] | Sequence[Item[K, V] | tuple[K, V]]) -> Literal[True]: ...
    def add(self, key: Any, value: Any = UNSET) -> Literal[True]:
        """Add a key and its value, an `Item`, or a list of items; a key that is there is refused."""
        return drive(self._store.add(key, value))

    @overload
    def add_if_not_exists(self, key: K, value: V) -> bool: ...
    @overload
    def add_if_not_exists(self, key: Item[K, V] | Sequence[Item[K, V] | tuple[K, V]]) -> bool: ...
    def add_if_not_exists(self, key: Any, value: Any = UNSET) -> bool:
        """Add unless the key is there; returns whether it was added. A list is added wholly or not at all."""
        return drive(self._store.add_if_not_exists(key, value))

    @overload
    def update(self, key: K | Mapping[str, Any], value: V) -> Literal[True]: ...
    @overload
    def update(self, key: Item[K, V] | Sequence[Item[K, V] | tuple[K, V]]) -> Literal[True]: ...
    def update(self, key: Any, value: Any = UNSET) -> Literal[True]:
        """Change the value of a key that is there: a key and a value, an `Item`, or a list of items."""
        return drive(self._store.update(key, value))

    @overload
    def upsert(self, key: K, value: V) -> None: ...
    @overload
    def upsert(self, key: Item[K, V] | Sequence[Item[K, V] | tuple[K, V]]) -> None: ...
    def upsert(self, key: Any, value: Any = UNSET) -> None:
        """Add the key, or change its value: a key and a value, an `Item`, or a list of items."""
        drive(self._store.upsert(key, value))

    def remove(self, key: K | Mapping[str, Any] | list[K]) -> Literal[True]:
        """Remove a key, or every key of a list; one that is not there is refused."""
        return drive(self._store.remove(key))

    def discard(self, key: K | Mapping[str, Any]) -> bool:
        """Remove a key when it is there; returns whether it was."""
        return drive(self._store.discard(key))

    def update_key(self, key: K | Mapping[str, Any]) -> Literal[True]:
        """Change the ride-on fields of a record key that is there; its value is not touched."""
        return drive(self._store.update_key(key))

    def get_many(self, keys: Iterable[K | Mapping[str, Any]]) -> list[V | None]:
        """Return the values of `keys` in their order; ``None`` for a key that is not there."""
        return drive(self._store.get_many(keys))

    # -- operations that commute ----------------------------------------------------------------

    def increment(self, key: K, by: float = 1) -> None:
        """Add `by` to a number; a key that is not there counts as 0. Never conflicts with other increments."""
        drive(self._store.increment(key, by))

    def maximum(self, key: K, value: float) -> None:
        """Keep the larger of the stored number and `value`. Never conflicts with other maximums."""
        drive(self._store.maximum(key, value))

    def minimum(self, key: K, value: float) -> None:
        """Keep the smaller of the stored number and `value`. Never conflicts with other minimums."""
        drive(self._store.minimum(key, value))

    def append(self, key: K, value: str | bytes) -> None:
        """Append to a stored text or bytes, in the order of commits. Never conflicts with other appends."""
        drive(self._store.append(key, value))

    # -- many items in order --------------------------------------------------------------------

    def items(
        self, *, prefix: Any = None, start: Any = None, stop: Any = None, reverse: bool = False
    ) -> Scan[Item[K, V]]:
        """Iterate over items in key order: ``for item in store.items(prefix="user_")``."""
        return Scan(self._store.items(prefix=prefix, start=start, stop=stop, reverse=reverse))

    def keys(
        self, *, prefix: Any = None, start: Any = None, stop: Any = None, reverse: bool = False
    ) -> Scan[K]:
        """Iterate over keys, ride-on fields included, as `items` does; values are never read."""
        return Scan(self._store.keys(prefix=prefix, start=start, stop=stop, reverse=reverse))

    def values(
        self, *, prefix: Any = None, start: Any = None, stop: Any = None, reverse: bool = False
    ) -> Scan[V]:
        """Iterate over values in key order, as `items` does."""
        return Scan(self._store.values(prefix=prefix, start=start, stop=stop, reverse=reverse))

    def columns(
        self,
        *,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
        size: int = PAGE_ITEMS,
    ) -> ColumnPages[K, V]:
        """Iterate over keys and values as two lists: ``for keys, values in store.columns()``."""
        return ColumnPages(
            self._store.columns(prefix=prefix, start=start, stop=stop, reverse=reverse, size=size)
        )

    def get_items(self, paging: PagingInfo | None = None) -> list[Item[K, V]]:
        """Fetch a page of items."""
        return drive(self._store.get_items(paging))

    def get_keys(self, paging: PagingInfo | None = None) -> list[Item[K, V]]:
        """Fetch a page of items without their values, which are not read: ``item.value`` is ``None``."""
        return drive(self._store.get_keys(paging))

    def get_values(
        self, which: PagingInfo | Item[K, Any] | K | Mapping[str, Any] | list[Any] | None = None
    ) -> list[Item[K, V]]:
        """Fetch a page of items, or the items of one or several keys; keys that are not there are left out."""
        return drive(self._store.get_values(which))

    # -- the cursor -----------------------------------------------------------------------------

    def cursor(self) -> Cursor[K, V]:
        """Make a cursor of its own, beside the one the store's methods share."""
        return Cursor(self._store.cursor())

    @property
    def shared_cursor(self) -> Cursor[K, V]:
        """The cursor that `find`, `first`, `next` and the other cursor methods share."""
        return Cursor(self._store.shared_cursor)

    def find(self, key: K | Mapping[str, Any]) -> bool:
        """Put the cursor on the first item with `key`; when there is none, beside where it would be."""
        return drive(self._store.find(key))

    def find_with_id(self, key: K | Mapping[str, Any], id: UUID) -> bool:  # noqa: A002
        """Put the cursor on the item with `key` and `id`, in a store where keys repeat."""
        return drive(self._store.find_with_id(key, id))

    def first(self) -> bool:
        """Put the cursor on the first item; returns whether there is one."""
        return drive(self._store.first())

    def last(self) -> bool:
        """Put the cursor on the last item; returns whether there is one."""
        return drive(self._store.last())

    def next(self) -> bool:
        """Move the cursor forward; returns whether it is on an item."""
        return drive(self._store.next())

    def previous(self) -> bool:
        """Move the cursor backward; returns whether it is on an item."""
        return drive(self._store.previous())

    def get_current_key(self) -> K | None:
        """Return the key the cursor is on, without reading the value; ``None`` when it is on none."""
        return drive(self._store.get_current_key())

    def get_current_value(self) -> V | None:
        """Return the value the cursor is on; ``None`` when it is on none."""
        return drive(self._store.get_current_value())

    def get_current_item(self) -> Item[K, V] | None:
        """Return the item the cursor is on; ``None`` when it is on none."""
        return drive(self._store.get_current_item())

    def update_current_value(self, value: V) -> Literal[True]:
        """Change the value the cursor is on; raises `KeyNotFound` when it is on none."""
        return drive(self._store.update_current_value(value))

    def update_current_key(self, key: K | Mapping[str, Any]) -> Literal[True]:
        """Change the ride-on fields of the key the cursor is on; raises `KeyNotFound` when it is on none."""
        return drive(self._store.update_current_key(key))

    def remove_current(self) -> Literal[True]:
        """Remove the item the cursor is on; raises `KeyNotFound` when it is on none."""
        return drive(self._store.remove_current())
