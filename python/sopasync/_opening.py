"""Blocking calls of the engine on worker threads, with nothing leaked when the waiter is cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.to_thread

from ._core import Engine
from ._process import process

if TYPE_CHECKING:
    from ._options import DatabaseOptions

R = TypeVar("R")


class _Opening:
    """An engine being opened. Whichever is later, the engine or the cancellation, closes it."""

    def __init__(self, options: DatabaseOptions, *, read_only: bool, create: bool) -> None:
        self._options = options
        self._read_only = read_only
        self._create = create
        self._lock = threading.Lock()
        self._abandoned = False
        self._engine: Engine | None = None

    def run(self) -> Engine:
        options = self._options
        engine = Engine.open(
            options.path,
            cache_bytes=options.cache_bytes,
            page_bytes=options.page_bytes,
            durability=options.durability,
            read_only=self._read_only,
            create=self._create,
            checkpoint_log_bytes=options.checkpoint_log_bytes,
            checkpoint_interval_s=options.checkpoint_interval_s,
            changes_kept_bytes=options.changes_kept_bytes,
        )
        process.opened(engine)
        with self._lock:
            self._engine = engine
            abandoned = self._abandoned
        if abandoned:
            process.close(engine)
        return engine

    def abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            engine = self._engine
        if engine is not None:
            process.abandon(engine)


def open_engine_here(options: DatabaseOptions, *, read_only: bool, create: bool) -> Engine:
    """Open the engine on this thread. Blocks."""
    return _Opening(options, read_only=read_only, create=create).run()


async def open_engine(options: DatabaseOptions, *, read_only: bool, create: bool) -> Engine:
    """Open the engine on a worker thread; a cancelled open returns at once and closes what it opened."""
    opening = _Opening(options, read_only=read_only, create=create)
    try:
        return await on_thread(opening.run)
    except BaseException:
        opening.abandon()
        raise


class _Here(threading.local):
    """Whether this thread runs a call of `sopasync.sync`, and so is itself the one that may block."""

    blocking = False


here: Final = _Here()


def shielded() -> AbstractContextManager[object]:
    """What cannot be cancelled while it cleans up; without an event loop nothing can."""
    return nullcontext() if here.blocking else anyio.CancelScope(shield=True)


async def on_thread(function: Callable[[], R]) -> R:
    """Run a blocking call on a worker thread of our own; a cancelled wait leaves it running."""
    if here.blocking:
        return function()
    # Not the default limiter: an application that fills it must not keep a database from closing.
    return await anyio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
