"""`Coordinator`: takes a transaction's commit from its task to the engine, and its outcome back.

Commits requested in one tick of an asyncio loop are sealed together at the end of the tick, or as soon as they
are work enough for the engine to begin with while the loop goes on. One wake-up brings all outcomes of a group and
runs the tasks that wait for them; what these request meanwhile is sealed in the same way. The engine makes it, and
everything else queued by then, durable with one sync.

What cancellation does, whichever way it comes (``task.cancel()``, ``asyncio.timeout``, ``wait_for``,
a task group, an anyio scope, trio):
- C1 before the commit is sealed it is withdrawn: nothing was applied, the cancellation goes on.
- C2 after that the outcome is awaited, shielded, and then the cancellation goes on; the outcome is
  known when the task sees it.
- C3 the commit belongs to the engine, never to the waiting coroutine.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from ._exceptions import SopasyncError
from ._limits import SEAL_BYTES, SUBMIT_INLINE_BYTES_MAX

if TYPE_CHECKING:
    from ._core import Transaction as Native
    from ._wakeup import Signal, Wakeup

    Settled = Callable[["Commit"], None]
    """Told when the outcome is known, as far as it can be."""


class Coordinator:
    """The way to the commit for all transactions of one database handle."""

    __slots__ = ("_forming", "_forming_bytes", "_loop", "_wakeup")

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._loop = wakeup.loop if isinstance(wakeup.loop, asyncio.AbstractEventLoop) else None
        self._forming: list[Commit] = []
        self._forming_bytes = 0
        wakeup.on_drained = self.seal

    async def commit(self, commit: Commit) -> None:
        """Make `commit` durable; returns when its outcome is known, or raises that or the cancellation (C1, C2)."""
        if self._loop is None:
            await self._hand_over(commit)
        else:
            if self._forming_bytes >= SEAL_BYTES:
                # Otherwise the engine idles while the tasks of a group run, and all of them wait while it works.
                # Not this commit: its task may have been cancelled before, and is told so only when it waits (C1).
                self.seal()
            if not self._forming and not self._wakeup.draining:
                self._loop.call_soon(self.seal)
            self._forming.append(commit)
            self._forming_bytes += commit.write_bytes
        stopped: BaseException | None = None
        try:
            await commit.wait()
        except GeneratorExit:
            commit.withdraw(self._wakeup)  # the loop is gone; nobody can wait any more
            commit.settle()
            raise
        except BaseException as error:
            stopped = error
        # Outside the handler, so that a later cancellation does not carry this one as its context:
        # anyio would take it for its own.
        if stopped is not None and not commit.withdraw(self._wakeup):
            again = await _outcome_of(commit)
            if again is not None and _is_scope_cancellation(stopped):
                stopped = again
        commit.settle()
        if stopped is not None:
            raise stopped
        if commit.error is not None:
            raise commit.error

    def prepare(self, native: Native, settled: Settled) -> Commit | None:
        """A commit of this transaction, not yet requested; ``None`` when it has nothing to write."""
        write_bytes = native.pending_bytes()
        if write_bytes < 0:
            return None
        if self._wakeup.watched:
            return _LoopCommit(native, settled, write_bytes, self._wakeup.loop)
        return _SignalCommit(native, settled, write_bytes, self._wakeup.signal())

    async def _hand_over(self, commit: Commit) -> None:
        """Where no tick of the loop can be waited for: at once."""
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
        except BaseException:
            commit.withdraw(self._wakeup)
            commit.settle()
            raise
        commit.submit(self._wakeup)

    def seal(self) -> None:
        """Hand over what was requested and has not been."""
        if self._forming:
            forming, self._forming = self._forming, []
            self._forming_bytes = 0
            _submit_together(forming, self._wakeup)

    async def settle(self) -> None:
        """Wait until every commit requested so far has its outcome."""
        self.seal()
        await self._wakeup.idle()


def _submit_together(commits: list[Commit], wakeup: Wakeup) -> None:
    """Hand commits to the engine in one call, so that they share a group and its sync."""
    # C1: a cancelled task will withdraw its own.
    wanted = [commit for commit in commits if not (commit.withdrawn or commit.is_abandoned())]
    batch = [commit for commit in wanted if not commit.is_large]
    if len(batch) < len(wanted):
        for commit in wanted:
            if commit.is_large:
                commit.submit(wakeup)
    tokens = wakeup.register_all(batch)
    natives: list[Native] = []
    for commit, token in zip(batch, tokens, strict=True):
        commit.token = token
        natives.append(commit.native)
    for index, error in wakeup.completions.submit(natives, tokens):
        batch[index].refuse(wakeup, error)


class Commit:
    """One transaction on its way to the log."""

    __slots__ = (
        "_settled",
        "error",
        "is_done",
        "is_large",
        "native",
        "seq",
        "token",
        "withdrawn",
        "write_bytes",
    )

    def __init__(self, native: Native, settled: Settled, write_bytes: int) -> None:
        self.native = native
        self._settled: Settled | None = settled
        self.token: int | None = None
        self.write_bytes = write_bytes
        self.is_large = write_bytes > SUBMIT_INLINE_BYTES_MAX
        """Packing its writes takes longer than the loop may be kept."""
        self.seq: int | None = None
        self.error: BaseException | None = None
        self.is_done = False
        self.withdrawn = False

    def wait(self) -> Awaitable[None]:
        """What to await until it is done. A cancelled wait changes nothing."""
        raise NotImplementedError

    def is_abandoned(self) -> bool:
        """Whether its waiter has been cancelled and only has not run since."""
        return False

    def finish(self, status: int, payload: Any) -> None:
        """Take the outcome, in `Wakeup.drain`, where no task is running."""
        if status:
            self.error = payload
        else:
            self.seq = payload
        self.is_done = True
        self.wake()

    def wake(self) -> None:
        """Let the waiter go on."""
        raise NotImplementedError

    def settle(self) -> None:
        """Tell the transaction; nobody waits any more."""
        # Whoever hands outcomes out holds this one while its task runs on, and shall not hold the transaction.
        settled, self._settled = self._settled, None
        if settled is not None:
            settled(self)

    def submit(self, wakeup: Wakeup) -> None:
        """Hand it to the engine, unless it was withdrawn before."""
        if self.withdrawn:
            return
        self.token = wakeup.register(self)
        if self.is_large:
            thread = threading.Thread(target=self._submit_on_thread, args=(wakeup,), name="sopasync-submit")
            try:
                thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter is ending
                self.native.rollback()
                self.refuse(wakeup, error)
            return
        try:
            self.native.submit(wakeup.completions, self.token)
        except SopasyncError as error:
            self.refuse(wakeup, error)

    def _submit_on_thread(self, wakeup: Wakeup) -> None:
        assert self.token is not None, "registered before the thread starts"
        try:
            self.native.submit(wakeup.completions, self.token)
        except BaseException as error:  # whatever it is, its waiter is the only one to tell
            wakeup.call_from_thread(functools.partial(self.refuse, wakeup, error))

    def refuse(self, wakeup: Wakeup, error: BaseException) -> None:
        """It could not be handed over."""
        if self.token is not None:
            wakeup.forget(self.token)
        self.error = error
        self.is_done = True
        self.wake()

    def withdraw(self, wakeup: Wakeup) -> bool:
        """Take it back; True only when the engine had not sequenced it, and then nothing was applied."""
        if self.is_done:
            return False
        if self.token is None:
            self.native.rollback()
        elif self.native.withdraw():
            wakeup.forget(self.token)
        else:
            return False
        self.withdrawn = True
        return True


class _LoopCommit(Commit):
    """On asyncio: what its task waits for itself, without a future.

    A task asks of what it waits for no more than these methods. A future would have the loop run each waiter by
    itself, in its next round; `finish` runs it at once, for a result is handed out in a callback of the loop's own.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_loop")

    def __init__(
        self, native: Native, settled: Settled, write_bytes: int, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(native, settled, write_bytes)
        self._loop = loop
        self._asyncio_future_blocking = False
        self._callback: Callable[[Any], object] | None = None
        self._context: contextvars.Context | None = None
        self._cancelled: asyncio.CancelledError | None = None

    def wait(self) -> Awaitable[None]:
        self._cancelled = None
        return self

    def __await__(self) -> Generator[Any, None, None]:
        if not self.is_done:
            self._asyncio_future_blocking = True
            yield self

    def is_abandoned(self) -> bool:
        return self._cancelled is not None

    def finish(self, status: int, payload: Any) -> None:
        if status:
            self.error = payload
        else:
            self.seq = payload
        self.is_done = True
        callback = self._callback
        if callback is not None:
            self._callback = None
            if self._context is None:
                callback(self)
            else:
                self._context.run(callback, self)

    def wake(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=self._context)

    # What a task asks of what it waits for.

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop whose tasks may wait."""
        return self._loop

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: contextvars.Context | None = None
    ) -> None:
        """How the waiting task is woken."""
        self._callback, self._context = callback, context

    def cancel(self, msg: Any = None) -> bool:
        """Stop the wait, not the commit; the task is woken in the loop's next round."""
        callback, self._callback = self._callback, None
        if callback is None:
            return False
        self._cancelled = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        self._loop.call_soon(callback, self, context=self._context)
        return True

    def done(self) -> bool:
        """Asked by those who look at waiting tasks."""
        return self.is_done or self._cancelled is not None

    def result(self) -> None:
        """Asked by the task when it is woken."""
        if self._cancelled is not None:
            raise self._cancelled


class _SignalCommit(Commit):
    """Elsewhere the waiters watch the descriptor themselves."""

    __slots__ = ("_signal",)

    def __init__(self, native: Native, settled: Settled, write_bytes: int, signal: Signal) -> None:
        super().__init__(native, settled, write_bytes)
        self._signal = signal

    def wait(self) -> Awaitable[None]:
        return self._signal.wait()

    def wake(self) -> None:
        self._signal.set()


async def _outcome_of(commit: Commit) -> BaseException | None:
    """Wait for the outcome whatever happens; returns the last cancellation that came meanwhile.

    The scope keeps anyio's and trio's cancellations out; asyncio's own get through it, so the wait
    is begun again. They are not taken back with ``uncancel()``: the cancellation goes on afterwards.
    """
    again: BaseException | None = None
    with anyio.CancelScope(shield=True):
        while not commit.is_done:
            try:
                await commit.wait()
            except asyncio.CancelledError as error:
                again = error
    return again


def _is_scope_cancellation(error: BaseException) -> bool:
    """Whether an anyio scope on asyncio sent it: its scope would swallow it, and with it a later native one."""
    return bool(
        isinstance(error, asyncio.CancelledError)
        and error.args
        and isinstance(error.args[0], str)
        and error.args[0].startswith("Cancelled ")
    )
