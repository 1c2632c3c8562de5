"""`StoreIndex`: a B-tree store in the order of one of its secondary indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, final

from ._core import MISS, KeyCodec, open_index, prefix_end
from ._exceptions import IndexNotReadyError, InvalidArgumentError, StoreError
from ._indexes import IndexDescription, IndexState, index_missing
from ._item import Item, PagingInfo
from ._paging import fetch_page
from ._scan import ItemScan, KeyRange, KeyScan, Scan, ValueScan

if TYPE_CHECKING:
    from ._btree import BtreeStore
    from ._btree_actor import BtreeActor
    from ._core import IndexParticipant
    from ._core import Transaction as Native
    from ._scan import PageOf
    from ._turns import Turns

K = TypeVar("K")
V = TypeVar("V")

ENTRIES = 5
"""What `IndexParticipant.scan` returns beyond what `Participant.scan` does: fields and key of each entry."""


@final
class StoreIndex(Generic[K, V]):
    """A secondary index of a store as one transaction sees it; made by `BtreeStore.index`.

    It sees the changes the transaction itself has made. A range that was read through it is claimed as one of the
    store is: when another transaction puts an item there first, the commit conflicts.

    Every call raises `IndexNotReadyError` while the index is being built, or when it cannot be.
    """

    __slots__ = (
        "_codec",
        "_is_ready",
        "_store",
        "_turns",
        "actor",
        "description",
        "participant",
        "turns_granted",
        "turns_left",
    )

    def __init__(
        self, store: BtreeStore[K, V], native: Native, turns: Turns, description: IndexDescription
    ) -> None:
        self._store = store
        self._turns = turns
        self._is_ready = False
        self.description = description
        self._codec = KeyCodec(unique=True, fields=description.fields)
        self.actor: BtreeActor = store.actor
        self.turns_granted = 0
        self.turns_left = 0
        store_id = store.participant.store_id
        participant = open_index(
            native, store_id, description.name, store.actor.codec, store.value_form, self._codec
        )
        if participant is None:
            raise index_missing(store.name, description.name, native, store_id)
        self.participant: IndexParticipant = participant

    def __repr__(self) -> str:
        unique = "unique" if self.description.unique else "not unique"
        return f"<sopasync.StoreIndex {self.name!r} of {self._store.name!r}, {unique}, {id(self):#x}>"

    @property
    def name(self) -> str:
        """Name of the index."""
        return self.description.name

    @property
    def turns(self) -> Turns:
        """The turn order of the transaction."""
        return self._turns

    async def state(self) -> IndexState:
        """How complete the index is at this snapshot."""
        stage, done, key, reason = await self._call(self.participant.state)
        return IndexState(stage, done, self._store.key(key) if stage == "failed" else None, reason)

    # -- one item -------------------------------------------------------------------------------

    async def get_item(self, fields: Any) -> Item[K, V] | None:
        """Return the first item with these fields; ``None`` when there is none.

        Args:
            fields: The value of the first field; or of several, as a tuple in their order or a dict by their names.
        """
        async for item in self.items(equals=fields):
            return item
        return None

    async def get(self, fields: Any, default: Any = None) -> V | Any:
        """Return the value of the first item with these fields, or `default` when there is none."""
        item = await self.get_item(fields)
        return default if item is None else item.value

    async def get_key(self, fields: Any) -> K | None:
        """Return the key of the first item with these fields; ``None`` when there is none."""
        async for key in self.keys(equals=fields):
            return key
        return None

    async def contains(self, fields: Any) -> bool:
        """Tell whether there is an item with these fields."""
        return await self.count(equals=fields) > 0

    async def count(
        self, *, equals: Any = None, prefix: Any = None, start: Any = None, stop: Any = None
    ) -> int:
        """Count the items in a range, which is given as in `items`. Items are not read."""
        bounds = self._bounds(equals, prefix, start, stop)
        if bounds is None:
            return 0
        return cast("int", await self.run(self.participant.count, bounds.low, bounds.high))

    # -- many items in order --------------------------------------------------------------------

    def items(
        self,
        *,
        equals: Any = None,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> Scan[Item[K, V]]:
        """Iterate over items in the order of the index: ``async for item in by_city.items(equals="Oslo")``.

        The iterator sees changes this transaction makes ahead of it. `Scan.pages` gives lists.

        Args:
            equals: Only items whose first fields are these: one value, or several as a tuple in the order of the fields
                or a dict by their names. To ask for ``None``, give ``(None,)``.
            prefix: The same, where the last one is a text or bytes of which only the start is given.
            start: First fields, inclusive.
            stop: First fields that are left out.
            reverse: From the last to the first.
        """
        return ItemScan(self._store, self._scanned(equals, prefix, start, stop), reverse, self)

    def keys(
        self,
        *,
        equals: Any = None,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> Scan[K]:
        """Iterate over the keys of items in the order of the index, as `items` does; values are not given."""
        return KeyScan(self._store, self._scanned(equals, prefix, start, stop), reverse, self)

    def values(
        self,
        *,
        equals: Any = None,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> Scan[V]:
        """Iterate over values in the order of the index, as `items` does."""
        return ValueScan(self._store, self._scanned(equals, prefix, start, stop), reverse, self)

    def entries(
        self,
        *,
        equals: Any = None,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> Scan[tuple[dict[str, Any], K]]:
        """Iterate over the fields, as a dict, and the key of each item, as `items` does; the store is not read."""
        return EntryScan(self._store, self._scanned(equals, prefix, start, stop), reverse, ENTRIES, self)

    async def get_items(
        self,
        paging: PagingInfo | None = None,
        *,
        equals: Any = None,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
    ) -> list[Item[K, V]]:
        """Fetch a page of the items in a range, which is given as in `items`, in the order of the index.

        Pages are counted from the first item of the range (from the last when reading backward); those before it are
        skipped by counts that the index keeps, not walked through, unless the transaction has changed the store itself.
        A page past the end is an empty list.
        """
        within = self._scanned(equals, prefix, start, stop)
        return await fetch_page(self._store, paging or PagingInfo(), values=True, index=self, within=within)

    async def get_keys(
        self,
        paging: PagingInfo | None = None,
        *,
        equals: Any = None,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
    ) -> list[Item[K, V]]:
        """Fetch a page of items without their values, as `get_items` does: ``item.value`` is ``None``."""
        within = self._scanned(equals, prefix, start, stop)
        return await fetch_page(self._store, paging or PagingInfo(), values=False, index=self, within=within)

    def _scanned(self, equals: Any, prefix: Any, start: Any, stop: Any) -> KeyRange:
        bounds = self._bounds(equals, prefix, start, stop)
        return KeyRange(b"\xff", b"\xff") if bounds is None else bounds

    def _bounds(self, equals: Any, prefix: Any, start: Any, stop: Any) -> KeyRange | None:
        """The range of entries; ``None`` when it is empty."""
        low, high = b"", None
        try:
            for given, open_end in ((equals, False), (prefix, True)):
                if given is not None:
                    begin = self._codec.prefix(_fields(given), open_end=open_end)
                    end = prefix_end(begin)
                    low = max(low, begin)
                    high = end if high is None or (end is not None and end < high) else high
            if start is not None:
                low = max(low, self._codec.prefix(_fields(start)))
            if stop is not None:
                end = self._codec.prefix(_fields(stop))
                high = end if high is None else min(high, end)
        except (StoreError, InvalidArgumentError) as error:
            error.message = f"index '{self.name}': {error.message}"
            raise (self._store.named(error) if isinstance(error, StoreError) else error) from error.__cause__
        if high is not None and low >= high:
            return None
        return KeyRange(low or None, high)

    # -- for the modules beside this one ----------------------------------------------------------

    async def run(self, operation: Any, *args: Any) -> Any:
        """Run an engine call as a turn, after a look whether the index is ready."""
        if not self._is_ready:
            state = await self.state()
            if state.stage != "ready":
                raise self._not_ready(state)
            self._is_ready = True
        return await self._call(operation, *args)

    async def _call(self, operation: Any, *args: Any) -> Any:
        try:
            if self.turns_left:
                self.turns_left -= 1
                result = operation(*args)
                return await self._turns.resume(self) if result is MISS else result
            return await self._turns.run(self, operation, *args)
        except StoreError as error:
            raise self._store.named(error) from error.__cause__

    def _not_ready(self, state: IndexState) -> IndexNotReadyError:
        if state.stage == "building":
            how = (
                f"is being built, with {state.done:,} items taken in so far: wait for it with "
                f"db.settle({self._store.name!r})"
            )
        else:
            how = (
                f"cannot be built: key {state.key!r}: {state.reason}. Mend the items, drop the index with "
                "tx.drop_index() and make it again"
            )
        return IndexNotReadyError(
            f"index '{self.name}' of store '{self._store.name}' {how}",
            store=self._store.name,
            index_name=self.name,
        )


def _fields(given: Any) -> Any:
    """What the codec takes: a tuple or a mapping."""
    return cast("Any", given) if isinstance(given, tuple | Mapping) else (given,)


@final
class EntryScan(Scan[tuple[dict[str, Any], Any]]):
    """Fields and keys."""

    __slots__ = ()

    def made(self, page: PageOf) -> list[tuple[dict[str, Any], Any]]:
        key = self._store.key
        return [(fields, key(stored)) for fields, stored in page[0]]
