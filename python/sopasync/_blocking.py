"""What stands in for an event loop where there is none: `sopasync.sync` runs the same stores and transactions.

Everything a transaction awaits ends in a `Signal` of its handle's wake-up, in its budget, or in its coordinator. Those
here block the calling thread instead of suspending, so a coroutine built on them runs from its first step to its end.

Invariants:
- B1 a coroutine that is driven never suspends.
- B2 what a thread waits for, that thread takes from the engine: each has a completion queue of its own.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from ._coordinator import Commit
from ._core import Completions
from ._exceptions import SopasyncError, TransactionStateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._coordinator import Settled
    from ._core import Transaction as Native
    from ._wakeup import Pending

R = TypeVar("R")


def drive(coroutine: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine that never suspends (B1); returns or raises what it does."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: R = done.value
        return result
    coroutine.close()
    raise AssertionError("B1: a call of a blocking handle suspended")


class _Queue(threading.local):
    """A thread's own completion queue, and what it waits for."""

    def __init__(self) -> None:
        self.completions = Completions()
        self.pending: dict[int, Pending] = {}
        self.last_token = 0


class BlockingWakeup:
    """A wake-up whose signals block the thread that waits for them."""

    blocking = True

    def __init__(self) -> None:
        self._queue = _Queue()
        self.on_drain: Callable[[], None] | None = None

    @property
    def completions(self) -> Completions:
        """The queue of this thread."""
        return self._queue.completions

    @property
    def pending_count(self) -> int:
        """How many operations of this thread are with the engine."""
        return len(self._queue.pending)

    def check_loop(self) -> None:
        """Every thread may use a blocking handle."""

    def signal(self) -> BlockingSignal:
        """Make a signal."""
        return BlockingSignal(self)

    def register(self, pending: Pending) -> int:
        """Give out the token under which the outcome will come."""
        queue = self._queue
        queue.last_token += 1
        queue.pending[queue.last_token] = pending
        return queue.last_token

    def forget(self, token: int) -> None:
        """Drop a token whose operation was never started."""
        self._queue.pending.pop(token, None)

    def take(self) -> None:
        """Wait until the engine has finished something for this thread, and hand it out."""
        queue = self._queue
        if not queue.pending:
            raise TransactionStateError(
                "another thread is using this transaction: a transaction belongs to one thread at a time"
            )
        select.select([queue.completions.fileno()], [], [])
        for token, status, payload in queue.completions.drain():
            waiting = queue.pending.pop(token, None)
            if waiting is not None:
                waiting.finish(status, payload)

    def close(self) -> None:
        """Nothing watches its queues, which go with their threads."""


class BlockingSignal:
    """A signal that blocks."""

    __slots__ = ("_wakeup", "done")

    def __init__(self, wakeup: BlockingWakeup) -> None:
        self.done = False
        self._wakeup = wakeup

    def set(self) -> None:
        """Let the waiter go on."""
        self.done = True

    def abandoned(self) -> bool:
        """No wait of a thread is cancelled."""
        return False

    async def wait(self) -> None:
        """Block until it is set."""
        while not self.done:
            self._wakeup.take()


class FreeBudget:
    """A budget without limits: no event loop waits for its turn."""

    def spend(self, turns: int) -> None:
        """Nothing is counted."""

    def exhausted(self, turns: int = 0) -> bool:  # noqa: ARG002 - as `Budget` has it
        """Never."""
        return False

    async def pause(self) -> None:
        """Nothing to make way for."""

    def renew(self) -> None:
        """Nothing is counted."""


class BlockingCoordinator:
    """The way to the commit for threads: each waits for its own, and the engine still syncs once for all that wait."""

    def __init__(self, wakeup: BlockingWakeup) -> None:
        self._wakeup = wakeup

    def prepare(self, native: Native, settled: Settled) -> Commit | None:
        """A commit of this transaction, not yet requested; ``None`` when it has nothing to write."""
        write_bytes = native.pending_bytes()
        return None if write_bytes < 0 else Commit(native, settled, write_bytes)

    async def commit(self, commit: Commit) -> None:
        """Make `commit` durable, with other threads running meanwhile."""
        try:
            commit.seq = commit.native.commit()
        except SopasyncError as error:
            commit.error = error
        commit.settle()
        if commit.error is not None:
            raise commit.error

    async def settle(self) -> None:
        """Whoever commits waits for it."""
