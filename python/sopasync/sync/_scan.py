"""Iterators over a range of a store, for ``for``: items, keys or values, one by one or in pages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Self,
    TypeVar,
    final,
    overload,
)

from sopasync._blocking import drive
from sopasync._limits import PAGE_ITEMS

from ._calls import Awaited

if TYPE_CHECKING:
    from types import TracebackType

    from sopasync._iteration import Iteration as AsyncIteration
    from sopasync._iteration import Pages as AsyncPages
    from sopasync._scan import ColumnPages as AsyncColumnPages

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")
P = ParamSpec("P")


class Iteration(Generic[T]):
    """An iterator that fetches ahead."""

    __slots__ = ("_buffer", "_scan")

    def __init__(self, scan: AsyncIteration[T]) -> None:
        self._scan = scan
        self._buffer: list[T] = []

    def __iter__(self) -> Self:
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

    def __enter__(self) -> Self:
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
class Scan(Iteration[T]):
    """An iterator over a range; made by `BtreeStore.items`, `keys` and `values`."""

    __slots__ = ()


class Scanning(Generic[P, T]):
    """The blocking form of a method that iterates over a range, as an attribute of a class with an `awaited` object."""

    def __init__(self, method: Callable[Concatenate[Any, P], AsyncIteration[T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Awaited, owner: type) -> Callable[P, Scan[T]]: ...
    def __get__(self, instance: Awaited | None, owner: type) -> Self | Callable[P, Scan[T]]:
        if instance is None:
            return self
        method, awaited = self._method, instance.awaited

        @functools.wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> Scan[T]:
            return Scan(method(awaited, *args, **kwargs))

        return call


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
