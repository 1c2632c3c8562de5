"""`StoreIndex`: a B-tree store in the order of one of its indexes; `Join`: rows of stores that belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from sopasync._blocking import drive
from sopasync._limits import PAGE_ITEMS

from ._scan import Pages, Scan

if TYPE_CHECKING:
    from sopasync._index import StoreIndex as AsyncStoreIndex
    from sopasync._indexes import IndexDescription, IndexState
    from sopasync._item import Item
    from sopasync._joins import Join as AsyncJoin
    from sopasync._joins import JoinColumn, Joined
    from sopasync._joins import JoinColumns as AsyncJoinColumns
    from sopasync._joins import Related as AsyncRelated

K = TypeVar("K")
V = TypeVar("V")
L = TypeVar("L")
R = TypeVar("R")
T = TypeVar("T")


@final
class StoreIndex(Generic[K, V]):
    """A secondary index of a store as one transaction sees it; made by `BtreeStore.index`.

    What the calls do, return and raise is told by the calls of the same names of `sopasync.StoreIndex`.
    """

    __slots__ = ("_index",)

    def __init__(self, index: AsyncStoreIndex[K, V]) -> None:
        self._index = index

    def __repr__(self) -> str:
        return repr(self._index).replace("sopasync.", "sopasync.sync.", 1)

    @property
    def name(self) -> str:
        """Name of the index."""
        return self._index.name

    @property
    def description(self) -> IndexDescription:
        """What the catalogue says about the index."""
        return self._index.description

    def state(self) -> IndexState:
        """How complete the index is at this snapshot."""
        return drive(self._index.state())

    def get_item(self, fields: Any) -> Item[K, V] | None:
        """Return the first item with these fields; ``None`` when there is none."""
        return drive(self._index.get_item(fields))

    def get(self, fields: Any, default: Any = None) -> V | Any:
        """Return the value of the first item with these fields, or `default` when there is none."""
        return drive(self._index.get(fields, default))

    def get_key(self, fields: Any) -> K | None:
        """Return the key of the first item with these fields; ``None`` when there is none."""
        return drive(self._index.get_key(fields))

    def contains(self, fields: Any) -> bool:
        """Tell whether there is an item with these fields."""
        return drive(self._index.contains(fields))

    def count(self, *, equals: Any = None, prefix: Any = None, start: Any = None, stop: Any = None) -> int:
        """Count the items in a range. Items are not read."""
        return drive(self._index.count(equals=equals, prefix=prefix, start=start, stop=stop))

    def items(
        self,
        *,
        equals: Any = None,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> Scan[Item[K, V]]:
        """Iterate over items in the order of the index."""
        return Scan(self._index.items(equals=equals, prefix=prefix, start=start, stop=stop, reverse=reverse))

    def keys(
        self,
        *,
        equals: Any = None,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> Scan[K]:
        """Iterate over the keys of items in the order of the index."""
        return Scan(self._index.keys(equals=equals, prefix=prefix, start=start, stop=stop, reverse=reverse))

    def values(
        self,
        *,
        equals: Any = None,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> Scan[V]:
        """Iterate over values in the order of the index."""
        return Scan(self._index.values(equals=equals, prefix=prefix, start=start, stop=stop, reverse=reverse))

    def entries(
        self,
        *,
        equals: Any = None,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> Scan[tuple[dict[str, Any], K]]:
        """Iterate over the fields, as a dict, and the key of each item; the store is not read."""
        return Scan(
            self._index.entries(equals=equals, prefix=prefix, start=start, stop=stop, reverse=reverse)
        )


@final
class Join(Generic[L, R]):
    """An iterator over joined rows; made by `Transaction.join`."""

    __slots__ = ("_buffer", "_join")

    def __init__(self, join: AsyncJoin[L, R]) -> None:
        self._join = join
        self._buffer: list[Joined[L, R]] = []

    def __iter__(self) -> Join[L, R]:
        return self

    def __next__(self) -> Joined[L, R]:
        if not self._buffer:
            self._buffer = drive(self._join.fetch(PAGE_ITEMS))[::-1]
            if not self._buffer:
                raise StopIteration
        return self._buffer.pop()

    def close(self) -> None:
        """Drop what was fetched ahead; the iterator is at its end."""
        self._buffer = []
        drive(self._join.aclose())

    def pages(self, size: int = PAGE_ITEMS) -> Pages[Joined[L, R]]:
        """Iterate in lists of `size` rows."""
        return Pages(self._join.pages(size), self._buffer)

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
class Related(Generic[T]):
    """An iterator over the items that belong to one; made by `Transaction.related`."""

    __slots__ = ("_buffer", "_related")

    def __init__(self, related: AsyncRelated[T]) -> None:
        self._related = related
        self._buffer: list[T] = []

    def __iter__(self) -> Related[T]:
        return self

    def __next__(self) -> T:
        if not self._buffer:
            self._buffer = drive(self._related.fetch(PAGE_ITEMS))[::-1]
            if not self._buffer:
                raise StopIteration
        return self._buffer.pop()

    def close(self) -> None:
        """Drop what was fetched ahead; the iterator is at its end."""
        self._buffer = []
        drive(self._related.aclose())

    def pages(self, size: int = PAGE_ITEMS) -> Pages[T]:
        """Iterate in lists of `size`."""
        return Pages(self._related.pages(size), self._buffer)
