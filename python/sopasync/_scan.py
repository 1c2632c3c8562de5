"""Iterators over a range of a store: items, keys or values, one by one or in pages.

They are classes, not generators, so that leaving a loop early needs nothing closed and cancellation
cannot strand them. Each fetches a little at first and more as it goes on, so that a loop left early
has not read (and, when serializable, has not made its commit depend on) much more than it used.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, final

from ._core import prefix_end
from ._exceptions import InvalidArgumentError, StoreError
from ._item import Item
from ._iteration import Iteration
from ._limits import PAGE_ITEMS, PAGE_ITEMS_FIRST
from ._pace import Pace
from ._turns import Handle

if TYPE_CHECKING:
    from ._btree import BtreeStore
    from ._turns import Turns

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

KEYS, VALUES, RAW_ITEMS, COLUMNS = 0, 2, 3, 4
"""What `Participant.scan` returns: keys, values, (key, value, raw key), keys and values in two lists."""

PageOf = tuple[list[Any], Any] | tuple[list[Any], list[Any], Any]
"""A list, or two, and the raw key to go on after."""


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Encoded bounds: from `low`, included, to `high`, left out; ``None`` is open."""

    low: bytes | None = None
    high: bytes | None = None

    @classmethod
    def of(cls, store: BtreeStore[Any, Any], prefix: Any, start: Any, stop: Any) -> KeyRange:
        """Encode the bounds a caller gave; a prefix and bounds together are their intersection."""
        codec = store.actor.codec
        low = high = None
        try:
            if prefix is not None:
                low = codec.prefix(prefix)
                high = prefix_end(low)
            if start is not None:
                first = codec.prefix(start)
                low = first if low is None else max(low, first)
            if stop is not None:
                end = codec.prefix(stop)
                high = end if high is None else min(high, end)
        except StoreError as error:
            raise store.named(error) from error.__cause__
        return cls(low, high)


class Source(Handle, Protocol):
    """What a scan goes through: a store in the order of its keys, or an index of it."""

    @property
    def participant(self) -> Any: ...

    @property
    def turns(self) -> Turns: ...

    async def run(self, operation: Any, *args: Any) -> Any:
        """Run an engine call as a turn."""
        ...


class Scan(Iteration[T]):
    """An iterator over a range, for ``async for``; made by `BtreeStore.items`, `keys` and `values`."""

    __slots__ = (
        "_done",
        "_high",
        "_low",
        "_low_open",
        "_pace",
        "_reverse",
        "_source",
        "_store",
        "_what",
    )

    def __init__(
        self,
        store: BtreeStore[Any, Any],
        bounds: KeyRange,
        reverse: bool,
        what: int,
        source: Source | None = None,
    ) -> None:
        super().__init__()
        self._store = store
        self._source: Source = store if source is None else source
        self._what = what
        self._low = bounds.low
        self._high = bounds.high
        self._low_open = False
        self._reverse = reverse
        self._pace = Pace(store.actor, PAGE_ITEMS_FIRST, PAGE_ITEMS)
        self._done = False

    def _end(self) -> None:
        self._done = True

    async def _more(self, limit: int) -> list[T]:
        while not self._done:
            self._pace.begin()
            page = await self._source.run(self._scan, min(limit, self._pace.items))
            self._move_past(page[-1])
            if page[0]:
                made = self.made(page)
                self._pace.end()
                self._source.turns.look_soon(self._source)
                return made
        return []

    def _scan(self, limit: int) -> Any:
        return self._source.participant.scan(
            self._low,
            self._high,
            lo_open=self._low_open,
            hi_open=True,
            reverse=self._reverse,
            limit=limit,
            what=self._what,
        )

    def _move_past(self, after: bytes | None) -> None:
        if after is None:
            self._done = True
        elif self._reverse:
            self._high = after
        else:
            self._low, self._low_open = after, True

    @abc.abstractmethod
    def made(self, page: PageOf) -> list[T]:
        """Make what the engine returned into what the iterator yields."""


@final
class ItemScan(Scan[Item[Any, Any]]):
    """Items."""

    __slots__ = ()

    def __init__(
        self, store: BtreeStore[Any, Any], bounds: KeyRange, reverse: bool, source: Source | None = None
    ) -> None:
        super().__init__(store, bounds, reverse, COLUMNS if store.is_unique else RAW_ITEMS, source)

    def made(self, page: PageOf) -> list[Item[Any, Any]]:
        store = self._store
        if store.is_unique:
            return list(map(Item, store.made_keys(page[0]), store.decoded(page[1])))
        item_id = store.actor.codec.item_id
        return [store.item(key, data, item_id(raw)) for key, data, raw in page[0]]


@final
class KeyScan(Scan[Any]):
    """Keys; values are never read."""

    __slots__ = ()

    def __init__(
        self, store: BtreeStore[Any, Any], bounds: KeyRange, reverse: bool, source: Source | None = None
    ) -> None:
        super().__init__(store, bounds, reverse, KEYS, source)

    def made(self, page: PageOf) -> list[Any]:
        return self._store.made_keys(page[0])


@final
class ValueScan(Scan[Any]):
    """Values."""

    __slots__ = ()

    def __init__(
        self, store: BtreeStore[Any, Any], bounds: KeyRange, reverse: bool, source: Source | None = None
    ) -> None:
        super().__init__(store, bounds, reverse, VALUES, source)

    def made(self, page: PageOf) -> list[Any]:
        return self._store.decoded(page[0])


class Fetches(Protocol[T]):
    """An iterator that can be asked for several at a time."""

    async def fetch(self, limit: int) -> list[T]:
        """Return up to `limit` further ones; empty at the end only."""
        ...

    async def aclose(self) -> None:
        """End the iteration."""
        ...


@final
class _Columns(Scan[tuple[list[Any], list[Any]]]):
    """Keys and values, a pair of lists for each fetch."""

    __slots__ = ()

    def __init__(self, store: BtreeStore[Any, Any], bounds: KeyRange, reverse: bool) -> None:
        super().__init__(store, bounds, reverse, COLUMNS)

    def made(self, page: PageOf) -> list[tuple[list[Any], list[Any]]]:
        return [(self._store.made_keys(page[0]), self._store.decoded(page[1]))]


@final
class ColumnPages(Generic[K, V]):
    """Pages of a range as two lists, keys and values; made by `BtreeStore.columns`."""

    __slots__ = ("_scan", "_size")

    def __init__(self, store: BtreeStore[K, V], bounds: KeyRange, reverse: bool, size: int) -> None:
        if size < 1:
            raise InvalidArgumentError(f"a page of {size} items is none: give at least 1")
        self._scan = _Columns(store, bounds, reverse)
        self._size = size

    def __aiter__(self) -> ColumnPages[K, V]:
        return self

    async def __anext__(self) -> tuple[list[K], list[V]]:
        keys: list[K] = []
        values: list[V] = []
        while len(keys) < self._size:
            page = await self._scan.fetch(self._size - len(keys))
            if not page:
                break
            if keys:
                keys += page[0][0]
                values += page[0][1]
            else:
                keys, values = page[0]
        if not keys:
            raise StopAsyncIteration
        return keys, values

    async def aclose(self) -> None:
        """End the iteration."""
        await self._scan.aclose()
