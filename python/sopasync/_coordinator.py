"""`Coordinator`: takes a transaction's commit from its task to the engine, and its outcome back.

Commits requested in one tick of an asyncio loop are sealed together at the end of the tick; the
engine makes them, and everything else queued meanwhile, durable with one sync, and one wake-up
brings all outcomes.

What cancellation does, whichever way it comes (``task.cancel()``, ``asyncio.timeout``, ``wait_for``,
a task group, an anyio scope, trio):
- C1 before the commit is sealed it is withdrawn: nothing was applied, the cancellation goes on.
- C2 after that the outcome is awaited, shielded, and then the cancellation goes on; the outcome is
  known when the task sees it.
- C3 the commit belongs to the engine, never to the waiting coroutine.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from ._exceptions import SopasyncError
from ._limits import SUBMIT_INLINE_BYTES_MAX

if TYPE_CHECKING:
    from ._core import Transaction as Native
    from ._wakeup import Signal, Wakeup


class Coordinator:
    """The way to the commit for all transactions of one database handle."""

    __slots__ = ("_forming", "_loop", "_wakeup")

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._loop = wakeup.loop if isinstance(wakeup.loop, asyncio.AbstractEventLoop) else None
        self._forming: list[Commit] = []

    async def commit(self, commit: Commit) -> None:
        """Make `commit` durable; returns when its outcome is known, or raises the cancellation (C1, C2)."""
        if self._loop is None:
            await self._hand_over(commit)
        else:
            if not self._forming:
                self._loop.call_soon(self._seal)
            self._forming.append(commit)
        stopped: BaseException | None = None
        try:
            await commit.signal.wait()
        except GeneratorExit:
            commit.withdraw(self._wakeup)  # the loop is gone; nobody can wait any more
            raise
        except BaseException as error:
            stopped = error
        # Outside the handler, so that a later cancellation does not carry this one as its context:
        # anyio would take it for its own.
        if stopped is None:
            return
        if commit.withdraw(self._wakeup):
            raise stopped
        again = await _outcome_of(commit)
        raise again if again is not None and _is_scope_cancellation(stopped) else stopped

    def prepare(self, native: Native) -> Commit | None:
        """A commit of this transaction, not yet requested; ``None`` when it has nothing to write."""
        write_bytes = native.pending_bytes()
        if write_bytes < 0:
            return None
        return Commit(native, self._wakeup.signal(), write_bytes > SUBMIT_INLINE_BYTES_MAX)

    async def _hand_over(self, commit: Commit) -> None:
        """Where no tick of the loop can be waited for: at once."""
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
        except BaseException:
            commit.withdraw(self._wakeup)
            raise
        commit.submit(self._wakeup)

    def _seal(self) -> None:
        forming, self._forming = self._forming, []
        _submit_together(forming, self._wakeup)

    async def settle(self) -> None:
        """Wait until every commit requested so far has its outcome."""
        if self._forming:
            self._seal()
        await self._wakeup.idle()


def _submit_together(commits: list[Commit], wakeup: Wakeup) -> None:
    """Hand commits to the engine in one call, so that they share a group and its sync."""
    natives: list[Native] = []
    tokens: list[int] = []
    batch: list[Commit] = []
    for commit in commits:
        if commit.withdrawn or commit.signal.abandoned():
            continue  # C1: a cancelled task will withdraw its own
        if commit.is_large:
            commit.submit(wakeup)
            continue
        commit.token = token = wakeup.register(commit)
        natives.append(commit.native)
        tokens.append(token)
        batch.append(commit)
    for index, error in wakeup.completions.submit(natives, tokens):
        batch[index].refuse(wakeup, error)


class Commit:
    """One transaction on its way to the log."""

    __slots__ = ("error", "is_large", "native", "seq", "signal", "token", "withdrawn")

    def __init__(self, native: Native, signal: Signal, is_large: bool) -> None:
        self.native = native
        self.token: int | None = None
        self.signal = signal
        self.is_large = is_large
        """Packing its writes takes longer than the loop may be kept."""
        self.seq: int | None = None
        self.error: Exception | None = None
        self.withdrawn = False

    def submit(self, wakeup: Wakeup) -> None:
        """Hand it to the engine, unless it was withdrawn before."""
        if self.withdrawn:
            return
        self.token = wakeup.register(self)
        if self.is_large:
            thread = threading.Thread(target=self._submit_on_thread, args=(wakeup,), name="sopasync-submit")
            thread.start()
            return
        try:
            self.native.submit(wakeup.completions, self.token)
        except SopasyncError as error:
            self.refuse(wakeup, error)

    def _submit_on_thread(self, wakeup: Wakeup) -> None:
        assert self.token is not None, "registered before the thread starts"
        try:
            self.native.submit(wakeup.completions, self.token)
        except SopasyncError as error:
            wakeup.call_from_thread(functools.partial(self.refuse, wakeup, error))

    def refuse(self, wakeup: Wakeup, error: Exception) -> None:
        """It could not be handed over."""
        if self.token is not None:
            wakeup.forget(self.token)
        self.finish(1, error)

    def withdraw(self, wakeup: Wakeup) -> bool:
        """Take it back; True only when the engine had not sequenced it, and then nothing was applied."""
        if self.signal.done:
            return False
        if self.token is None:
            self.native.rollback()
        elif self.native.withdraw():
            wakeup.forget(self.token)
        else:
            return False
        self.withdrawn = True
        return True

    def finish(self, status: int, payload: Any) -> None:
        """Take the outcome, in `Wakeup.drain`."""
        if status:
            self.error = payload
        else:
            self.seq = payload
        self.signal.set()


async def _outcome_of(commit: Commit) -> BaseException | None:
    """Wait for the outcome whatever happens; returns the last cancellation that came meanwhile.

    The scope keeps anyio's and trio's cancellations out; asyncio's own get through it, so the wait
    is begun again. They are not taken back with ``uncancel()``: the cancellation goes on afterwards.
    """
    again: BaseException | None = None
    with anyio.CancelScope(shield=True):
        while not commit.signal.done:
            try:
                await commit.signal.wait()
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
