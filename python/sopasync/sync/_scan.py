"""Iterators over a range of a store, for ``for``: items, keys or values, one by one or in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, final

from sopasync._blocking import drive
from sopasync._limits import PAGE_ITEMS

if TYPE_CHECKING:
    from types import TracebackType

    from sopasync._scan import ColumnPages as AsyncColumnPages
    from sopasync._scan import Pages as AsyncPages

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class AsyncScan(Protocol[T]):
    """What is iterated over: a scan of a B-tree store or of a vector store."""

    async def fetch(self, limit: int) -> list[T]: ...

    async def aclose(self) -> None: ...

    def pages(self, size: int = ...) -> AsyncPages[T]: ...


@final
class Scan(Generic[T]):
    """An iterator over a range; made by `BtreeStore.items`, `keys` and `values`."""

    __slots__ = ("_buffer", "_scan")

    def __init__(self, scan: AsyncScan[T]) -> None:
        self._scan = scan
        self._buffer: list[T] = []

    def __iter__(self) -> Scan[T]:
        return self

    def __next__(self) -> T:
        buffer = self._buffer
        if not buffer:
            buffer = drive(self._scan.fetch(PAGE_ITEMS))
            if not buffer:
                raise StopIteration
            buffer.reverse()
            self._buffer = buffer
        return buffer.pop()

    def __enter__(self) -> Scan[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop what was fetched ahead; the iterator is at its end."""
        self._buffer = []
        drive(self._scan.aclose())

    def pages(self, size: int = PAGE_ITEMS) -> Pages[T]:
        """Iterate in lists of `size`: ``for page in store.items().pages(1000)``."""
        return Pages(self._scan.pages(size), self._buffer)


@final
class Pages(Generic[T]):
    """A `Scan` taken in lists of a fixed size; the last one may be shorter."""

    __slots__ = ("_ahead", "_pages")

    def __init__(self, pages: AsyncPages[T], ahead: list[T]) -> None:
        self._pages = pages
        self._ahead = ahead

    def __iter__(self) -> Pages[T]:
        return self

    def __next__(self) -> list[T]:
        if self._ahead:  # fetched while the scan was iterated over one by one
            page = self._ahead[::-1]
            self._ahead.clear()
            return page
        try:
            return drive(self._pages.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """End the iteration."""
        self._ahead.clear()
        drive(self._pages.aclose())


@final
class ColumnPages(Generic[K, V]):
    """Pages of a range as two lists, keys and values; made by `BtreeStore.columns`."""

    __slots__ = ("_pages",)

    def __init__(self, pages: AsyncColumnPages[K, V]) -> None:
        self._pages = pages

    def __iter__(self) -> ColumnPages[K, V]:
        return self

    def __next__(self) -> tuple[list[K], list[V]]:
        try:
            return drive(self._pages.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """End the iteration."""
        drive(self._pages.aclose())
