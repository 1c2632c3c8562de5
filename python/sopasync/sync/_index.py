"""`StoreIndex`: a B-tree store in the order of one of its indexes; `Join`: rows of stores that belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, final

from sopasync._blocking import drive
from sopasync._index import StoreIndex as AsyncStoreIndex
from sopasync._joins import Joined
from sopasync._limits import PAGE_ITEMS

from ._calls import Blocking, StandingStore
from ._scan import Iteration, Scanning

if TYPE_CHECKING:
    from sopasync._indexes import IndexDescription
    from sopasync._joins import Join as AsyncJoin
    from sopasync._joins import JoinColumn
    from sopasync._joins import JoinColumns as AsyncJoinColumns

K = TypeVar("K")
V = TypeVar("V")
L = TypeVar("L")
R = TypeVar("R")
T = TypeVar("T")


@final
class StoreIndex(StandingStore[AsyncStoreIndex[K, V]], Generic[K, V]):
    """A secondary index of a store as one transaction sees it; made by `BtreeStore.index`.

    What the calls do, return and raise is told by the calls of the same names of `sopasync.StoreIndex`.
    """

    __slots__ = ()

    @property
    def description(self) -> IndexDescription:
        """What the catalogue says about the index."""
        return self.awaited.description

    state = Blocking(AsyncStoreIndex[K, V].state)
    get_item = Blocking(AsyncStoreIndex[K, V].get_item)
    get = Blocking(AsyncStoreIndex[K, V].get)
    get_key = Blocking(AsyncStoreIndex[K, V].get_key)
    contains = Blocking(AsyncStoreIndex[K, V].contains)
    count = Blocking(AsyncStoreIndex[K, V].count)
    get_items = Blocking(AsyncStoreIndex[K, V].get_items)
    get_keys = Blocking(AsyncStoreIndex[K, V].get_keys)
    items = Scanning(AsyncStoreIndex[K, V].items)
    keys = Scanning(AsyncStoreIndex[K, V].keys)
    values = Scanning(AsyncStoreIndex[K, V].values)
    entries = Scanning(AsyncStoreIndex[K, V].entries)


@final
class Join(Iteration[Joined[L, R]], Generic[L, R]):
    """An iterator over joined rows; made by `Transaction.join`."""

    __slots__ = ("_join",)

    def __init__(self, join: AsyncJoin[L, R]) -> None:
        super().__init__(join)
        self._join = join

    def columns(self, size: int = PAGE_ITEMS) -> JoinColumns:
        """Iterate over pages as columns, one for each store: the fastest way to read a join."""
        return JoinColumns(self._join.columns(size))


@final
class JoinColumns:
    """Pages of a join as columns; made by `Join.columns`."""

    __slots__ = ("_columns",)

    def __init__(self, columns: AsyncJoinColumns) -> None:
        self._columns = columns

    def __iter__(self) -> JoinColumns:
        return self

    def __next__(self) -> tuple[JoinColumn, ...]:
        try:
            return drive(self._columns.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """End the iteration."""
        drive(self._columns.aclose())


@final
class Related(Iteration[T]):
    """An iterator over the items that belong to one; made by `Transaction.related`."""

    __slots__ = ()
