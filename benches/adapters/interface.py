"""What a store must offer to be measured. One adapter per store, set up as its experts would.

Rules for all adapters:
- R1 when `commit` or `load` returns, its rows survive a power failure: at least one honest sync of the
  log or file. A store that cannot promise it says so by ``durable = False`` and is marked in every table.
- R2 every page or block cache holds `Settings.cache_bytes`.
- R3 nothing is compressed, so that sizes and speeds are those of the same bytes.
- R4 what is asked of the peers takes their fastest documented way, never a straw man's.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

Row = tuple[bytes, bytes]
Commit = Callable[[list[Row]], None]
AsyncCommit = Callable[[list[Row]], Awaitable[None]]

PAGE_ITEMS = 1000
"""Items per page of a scan, for every store."""


@dataclass(frozen=True)
class Settings:
    """What every store is opened with."""

    folder: Path
    cache_bytes: int = 256 * 1024 * 1024
    file_bytes_max: int = 16 * 1024**3
    checkpoints: bool = True
    """False: the log is kept until a checkpoint is asked for, in stores that have one."""


@dataclass(frozen=True)
class Reader:
    """One read transaction, as the calls that a loop makes directly: nothing of ours stands between."""

    get: Callable[[bytes], bytes | None]
    pages_of_items: Callable[[], Iterator[list[Any]]]
    pages_of_values: Callable[[], Iterator[list[bytes]]]


@dataclass(frozen=True)
class AsyncReader:
    """`Reader`, awaited."""

    get: Callable[[bytes], Awaitable[bytes | None]]
    pages_of_items: Callable[[], AsyncIterator[list[Any]]]
    pages_of_values: Callable[[], AsyncIterator[list[bytes]]]
    pages_of_records: Callable[[], AsyncIterator[list[Any]]] | None = None
    """Values as records, when the store itself decodes them."""


class Store(abc.ABC):
    """One open database."""

    durable: ClassVar[bool] = True
    is_async: ClassVar[bool]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


class SyncStore(Store):
    """A store of plain calls; `commit` may be called by many threads at once."""

    is_async = False

    @abc.abstractmethod
    def open(self) -> None: ...

    @abc.abstractmethod
    def close(self) -> None: ...

    @contextlib.contextmanager
    def session(self) -> Iterator[Commit]:
        """What one thread needs to commit."""
        yield self.commit

    @abc.abstractmethod
    def commit(self, rows: list[Row]) -> None:
        """Put rows in one durable transaction."""

    @abc.abstractmethod
    def load(self, rows: list[Row]) -> None:
        """Put many rows in random order; all are durable at the return."""

    def load_sorted(self, rows: list[Row]) -> None:
        """The same for rows in key order into an empty store."""
        self.load(rows)

    @abc.abstractmethod
    def reading(self) -> contextlib.AbstractContextManager[Reader]: ...

    def checkpoint(self) -> None:
        """Move what is only in the log into the tables; may be called beside commits."""
        raise NotImplementedError


class AsyncStore(Store):
    """A store of awaited calls; `commit` may be called by many tasks at once."""

    is_async = True

    @abc.abstractmethod
    async def open(self) -> None: ...

    @abc.abstractmethod
    async def close(self) -> None: ...

    @abc.abstractmethod
    async def commit(self, rows: list[Row]) -> None: ...

    @abc.abstractmethod
    async def load(self, rows: list[Row]) -> None: ...

    async def load_sorted(self, rows: list[Row]) -> None:
        """The same for rows in key order into an empty store."""
        await self.load(rows)

    async def load_records(self, rows: list[Row]) -> None:
        """`load` for values that are packed records; a store that knows their type packs them itself."""
        await self.load(rows)

    @abc.abstractmethod
    def reading(self) -> contextlib.AbstractAsyncContextManager[AsyncReader]: ...

    async def checkpoint(self) -> None:
        raise NotImplementedError
