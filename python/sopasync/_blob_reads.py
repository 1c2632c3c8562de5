"""Chunks read ahead of whoever goes through a blob: engine threads read and verify them while he has the one before."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

from ._core import BegunRead
from ._exceptions import SopasyncError, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._core import KeptValue
    from ._rows import RawRows
    from ._wakeup import Signal

READ_AHEAD_CHUNKS: Final = 2
"""Chunks that are being read, or lie ready, beside the one that was handed out."""


class ChunkRead(Protocol):
    """A chunk that is being read."""

    async def bytes(self) -> bytes:
        """Wait for it. A cancelled wait changes nothing."""
        ...


class LoopRead:
    """A chunk that an engine thread reads for an event loop."""

    __slots__ = ("_payload", "_rows", "_signal", "_status")

    def __init__(self, rows: RawRows, kept: KeptValue) -> None:
        wakeup = rows.turns.wakeup
        self._rows = rows
        self._status = 0
        self._signal: Signal | None = None
        signal = wakeup.signal()
        token = wakeup.register(self)
        try:
            self._payload: Any = kept.begin_read(rows.participant, wakeup.completions, token)
        except BaseException:
            wakeup.forget(token)
            raise
        if self._payload is None:
            self._signal = signal
        else:
            wakeup.forget(token)

    def finish(self, status: int, payload: Any) -> None:
        """Take the outcome, in `Wakeup.drain`."""
        self._status, self._payload = status, payload
        assert self._signal is not None, "only what waits is finished"
        self._signal.set()

    async def bytes(self) -> bytes:
        """Wait for it. A cancelled wait changes nothing."""
        if self._signal is not None and not self._signal.done:
            await self._signal.wait()
        if self._status:
            error = self._payload
            if isinstance(error, StoreError):
                raise self._rows.named(error) from error.__cause__
            raise error
        data: bytes = self._payload
        return data


class ThreadRead:
    """A chunk for a blocking handle, whatever thread goes on with the stream.

    An engine thread reads it ahead. The one that is wanted at once is read by the thread that wants it.
    """

    __slots__ = ("_kept", "_read", "_rows")

    def __init__(self, rows: RawRows, kept: KeptValue, *, at_once: bool) -> None:
        self._rows = rows
        self._kept = kept
        self._read: Callable[[], bytes] = kept.read
        if not at_once:
            begun = kept.begin_read_for_threads(rows.participant)
            if isinstance(begun, BegunRead):
                self._read = begun.bytes

    async def bytes(self) -> bytes:
        """Block until it is there."""
        # After an error it is read again by whoever asks again.
        read, self._read = self._read, self._kept.read
        try:
            return read()
        except StoreError as error:
            raise self._rows.named(error) from error.__cause__


class ReadAhead:
    """Chunks in their order, a few of them read before they are asked for."""

    __slots__ = ("_keep", "_next", "_reads", "_rows", "_stop")

    def __init__(
        self, rows: RawRows, keep: Callable[[int], Awaitable[KeptValue]], first: int, stop: int
    ) -> None:
        self._rows = rows
        self._keep = keep
        self._next = first
        self._stop = stop
        self._reads: deque[ChunkRead] = deque()

    def _begin(self, kept: KeptValue) -> ChunkRead:
        if self._rows.turns.wakeup.blocking:
            return ThreadRead(self._rows, kept, at_once=not self._reads)
        return LoopRead(self._rows, kept)

    async def take(self) -> bytes:
        """The next chunk. Raises what reading it raised; cancelled, it takes none."""
        reads = self._reads
        self._rows.turns.check()
        while len(reads) <= READ_AHEAD_CHUNKS and self._next < self._stop:
            try:
                reads.append(self._begin(await self._keep(self._next)))
            except SopasyncError:
                if reads:
                    break  # it comes again when those before have been taken
                raise
            self._next += 1
        data = await reads[0].bytes()
        reads.popleft()
        return data
