"""`Turns`: the order in which the turns of one transaction run.

A turn is one message to a store. Most need no waiting: the caller runs them inline, and all that
stands before the engine call is a counter on the store handle (`turns_left`). When it is used up, or
when another turn of the transaction is suspended, the caller comes here instead, for another grant or for
a turn that may wait.

Invariants:
- T1 turns of one transaction run one at a time, in the order in which they were called.
- T2 while a turn is suspended, or the transaction has ended, every handle's `turns_left` is 0, so
  no inline turn can overtake.
- T3 a turn that is cancelled while the engine works for it leaves nothing behind: what it did is
  undone when the engine is finished, and only then does the next turn run.
- T4 a message stays with the task that sent it, which waits. A mailbox holds `MAILBOX_TURNS_MAX` of
  them; who comes later waits in front of it, and goes in, in order, as turns leave it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Protocol, Self

from ._core import MISS
from ._limits import CALL_TURNS, INLINE_NS_MAX, MAILBOX_TURNS_MAX, TURNS_PER_CHECK, TURNS_PER_YIELD_MAX

if TYPE_CHECKING:
    from types import TracebackType

    from ._actor import StoreActor
    from ._core import Completions
    from ._core import Transaction as Native
    from ._wakeup import Signal, Wakeup


class Participant(Protocol):
    """A store's write-set and read-set in the engine; each kind of store has its own class."""

    def retry(self, completions: Completions, token: int, /) -> None:
        """Have an engine thread repeat the call that has just returned ``MISS``."""


class Handle(Protocol):
    """A store as one transaction sees it."""

    turns_granted: int
    turns_left: int

    @property
    def actor(self) -> StoreActor: ...

    @property
    def participant(self) -> Participant: ...


class Budget:
    """Inline turns one database handle may still take before the event loop gets its turn."""

    __slots__ = ("_pause", "_since_ns", "_turns")

    def __init__(self, pause: Callable[[], Awaitable[None]]) -> None:
        self._pause = pause
        self._turns = 0
        self._since_ns = monotonic_ns()

    def spend(self, turns: int) -> None:
        """Count turns that ran inline."""
        self._turns += turns

    def exhausted(self, turns: int = 0) -> bool:
        """Count `turns` more, and tell whether it is time to let the event loop run."""
        self._turns = spent = self._turns + turns
        return spent >= TURNS_PER_YIELD_MAX or monotonic_ns() - self._since_ns > INLINE_NS_MAX

    async def pause(self) -> None:
        """Let the event loop run."""
        # Renewed before as well: one task that makes way is enough, its neighbours need not follow.
        self.renew()
        await self._pause()
        self.renew()

    def renew(self) -> None:
        """The event loop has just had its turn."""
        self._turns = 0
        self._since_ns = monotonic_ns()


class Turns:
    """The turn order of one transaction."""

    __slots__ = (
        "_busy",
        "_handles",
        "_outside",
        "_queue",
        "_undoing",
        "budget",
        "check",
        "ended",
        "in_flight",
        "native",
        "wakeup",
    )

    def __init__(self, native: Native, wakeup: Wakeup, budget: Budget, check: Callable[[], None]) -> None:
        self.native = native
        self.wakeup = wakeup
        self.budget = budget
        self.check = check
        self._handles: list[Handle] = []
        # Made when they are needed: most transactions never are in two turns at once.
        self._queue: deque[Signal] | None = None
        self._outside: deque[Signal] | None = None
        self._busy = False
        self.ended = False
        self._undoing: _Undoing | None = None
        self.in_flight: _EngineCall | None = None

    def join(self, handle: Handle) -> None:
        """Add a store the transaction has opened."""
        self._handles.append(handle)
        handle.actor.participants += 1
        handle.turns_granted = handle.turns_left = 0 if self._busy else TURNS_PER_CHECK

    def look_soon(self, handle: Handle) -> None:
        """The handle's last turn was a long one: have its next one look at the clock."""
        handle.turns_granted -= handle.turns_left
        handle.turns_left = 0

    def end(self) -> None:
        """The transaction has ended: let every queued turn find out, and every later one."""
        self.ended = True
        used = 0
        for handle in self._handles:
            actor = handle.actor
            used += actor.count_inline(handle)
            actor.participants -= 1
        self._handles.clear()  # they refer to the transaction: without the cycle both go at once
        self.budget.spend(used)
        if self._queue is not None:
            for waiting in (self._queue, self._outside):
                while waiting:
                    waiting.popleft().set()

    def ready(self) -> bool:
        """Whether a turn that cannot suspend may run here and now, without `turn`. Raises when it may never."""
        self.check()
        return not self._busy and not self.budget.exhausted(CALL_TURNS)

    def grant(self, handle: Handle) -> bool:
        """Whether the turn at hand may run inline though the handle's grant is used up: then as many again may."""
        self.check()
        if self._busy:
            return False
        if self.budget.exhausted(handle.actor.count_inline(handle)):
            return False
        handle.turns_granted = handle.turns_left = TURNS_PER_CHECK
        return True

    def turn(self, handle: Handle | None = None) -> Turn:
        """A turn for ``async with``: waits until it may run, and keeps the order while it does."""
        return Turn(self, handle)

    async def run(self, handle: Handle, operation: Callable[..., Any], *args: Any) -> Any:
        """Run one engine call as a turn that could not run inline."""
        async with Turn(self, handle) as turn:
            return await turn.call(operation, *args)

    async def resume(self, handle: Handle) -> Any:
        """Finish an inline turn whose engine call returned ``MISS``."""
        turn = Turn(self, handle)
        self._take()
        async with turn.entered():
            return await turn.fetch()

    def _take(self) -> None:
        assert not self._busy, "T1: a turn began while another one was suspended"
        self._shut()
        self._busy = True

    def _shut(self) -> None:
        """T2: send the next caller here."""
        used = 0
        for handle in self._handles:
            used += handle.actor.count_inline(handle)
        self.budget.spend(used)

    async def enter(self, handle: Handle | None) -> None:
        """Wait until a turn may run."""
        self.check()
        if self._busy:
            await self._queued(handle)
        else:
            self._take()
        try:
            self.check()
            if self.budget.exhausted():
                await self.budget.pause()
                self.check()
        except BaseException:
            self.leave()
            raise

    async def _queued(self, handle: Handle | None) -> None:
        signal = self.wakeup.signal()
        if self._queue is None:
            self._queue = deque()
        full = len(self._queue) >= MAILBOX_TURNS_MAX
        if not full:
            self._queue.append(signal)
        else:  # T4
            if self._outside is None:
                self._outside = deque()
            self._outside.append(signal)
        if handle is not None:
            handle.actor.count_queued(len(self._queue), full)
        try:
            await signal.wait()
        except BaseException:
            if signal.done:
                self.leave()
            else:
                self._withdraw(signal)
            raise

    def _withdraw(self, signal: Signal) -> None:
        """Take a message back whose sender was cancelled."""
        queue, outside = self._queue, self._outside
        if queue is not None and signal in queue:
            queue.remove(signal)
            if outside:
                queue.append(outside.popleft())
        elif outside is not None:
            outside.remove(signal)

    def undo(self, savepoint: int) -> None:
        """Take back what was done since a savepoint. Never waits: what takes long is a turn of its own."""
        if self.in_flight is not None:
            self.in_flight.undo_to(savepoint)  # a turn is with the engine still: undone when it comes back
        elif self._undoing is not None:
            self._undoing.go_on_to(savepoint)
        elif self._busy:
            self.native.rollback_to(savepoint)
        else:
            self._take()
            self.undo_then(savepoint, self.leave)

    def undo_then(self, savepoint: int, then: Callable[[], None]) -> None:
        """Take back what was done since a savepoint; `then` is called at once, or when an engine thread is done."""
        if self.wakeup.blocking:
            self.native.rollback_to(savepoint)
            then()
            return
        undoing = _Undoing(self, then)
        token = self.wakeup.register(undoing)
        try:
            done = self.native.undo(savepoint, self.wakeup.completions, token)
        except BaseException:
            self.wakeup.forget(token)
            then()
            raise
        if done:
            self.wakeup.forget(token)
            then()
        else:
            self._undoing = undoing

    def undone(self) -> None:
        """An engine thread has taken back what it was told to."""
        self._undoing = None

    def leave(self) -> None:
        """Pass the turn on, or open the inline way again."""
        if self._queue:
            self._queue.popleft().set()
            if self._outside:
                self._queue.append(self._outside.popleft())
            return
        self._busy = False
        if not self.ended:
            for handle in self._handles:
                handle.turns_granted = handle.turns_left = TURNS_PER_CHECK


class Turn:
    """One turn that may suspend, and may make several engine calls."""

    __slots__ = ("_abandoned", "_entered", "_handle", "_savepoint", "_turns")

    def __init__(self, turns: Turns, handle: Handle | None) -> None:
        self._turns = turns
        self._handle = handle
        self._savepoint: int | None = None
        self._abandoned = False
        self._entered = False

    def entered(self) -> Turn:
        """The turn runs already."""
        self._entered = True
        return self

    async def __aenter__(self) -> Self:
        if not self._entered:
            await self._turns.enter(self._handle)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._abandoned:
            return  # `_EngineCall.finish` undoes it and passes the turn on
        if error is not None and self._savepoint is not None and not self._turns.ended:
            self._turns.undo_then(self._savepoint, self._turns.leave)
        else:
            self._turns.leave()

    def undo_on_error(self) -> None:
        """From here on, an error or a cancellation undoes what the turn did."""
        if self._savepoint is None:
            self._savepoint = self._turns.native.savepoint()

    async def pause_if_due(self, items: int) -> None:
        """Let the event loop run when the turn, with `items` more done, has kept it long enough."""
        turns = self._turns
        if turns.budget.exhausted(items):
            await turns.budget.pause()
            turns.check()

    async def call(self, operation: Callable[..., Any], *args: Any) -> Any:
        """Make an engine call; waits on an engine thread's result when the pages are not in memory."""
        result = operation(*args)
        if result is MISS:
            return await self.fetch()
        if self._handle is not None:
            self._handle.actor.turns_inline += 1
        return result

    async def fetch(self) -> Any:
        """Have the engine repeat the call that missed on a thread that may wait for the disk."""
        turns, handle = self._turns, self._handle
        assert handle is not None, "only engine calls on a store can miss"
        self.undo_on_error()
        handle.actor.turns_waited += 1
        call = _EngineCall(turns, turns.wakeup.signal(), self._savepoint)
        token = turns.wakeup.register(call)
        try:
            handle.participant.retry(turns.wakeup.completions, token)
        except BaseException:
            turns.wakeup.forget(token)
            raise
        turns.in_flight = call
        try:
            await call.signal.wait()
        except BaseException:
            self._abandoned = call.abandon()
            raise
        turns.check()
        return call.result()


class _Undoing:
    """Writes being taken back by an engine thread, for which nobody waits but the next turn."""

    __slots__ = ("_further", "_then", "_turns")

    def __init__(self, turns: Turns, then: Callable[[], None]) -> None:
        self._turns = turns
        self._then = then
        self._further: int | None = None

    def go_on_to(self, savepoint: int) -> None:
        """Take back more after that, if the savepoint is an earlier one."""
        self._further = savepoint if self._further is None else min(savepoint, self._further)

    def finish(self, status: int, payload: Any) -> None:  # noqa: ARG002 - there is no result
        """Take the outcome, in `Wakeup.drain`."""
        turns = self._turns
        turns.undone()
        if turns.ended:
            self._then()
        elif status:
            # What was to be taken back is still there, so nothing of the transaction may be committed.
            turns.native.rollback()
            turns.end()
            self._then()
        elif self._further is not None:
            turns.undo_then(self._further, self._then)
        else:
            self._then()


class _EngineCall:
    """An engine call that waits for the disk on an engine thread."""

    __slots__ = ("_abandoned", "_payload", "_savepoint", "_status", "_turns", "_undone", "signal")

    def __init__(self, turns: Turns, signal: Signal, savepoint: int | None) -> None:
        self.signal = signal
        self._turns = turns
        self._savepoint = savepoint
        self._abandoned = False
        self._undone = False
        self._status = 0
        self._payload: Any = None

    def abandon(self) -> bool:
        """Its turn was cancelled; returns False when the result has come already."""
        self._abandoned = not self.signal.done
        return self._abandoned

    def undo_to(self, savepoint: int) -> None:
        """Undo more than the turn itself when it comes back."""
        self._savepoint, self._undone = savepoint, True

    def finish(self, status: int, payload: Any) -> None:
        """Take the result, in `Wakeup.drain`."""
        turns = self._turns
        turns.in_flight = None
        self._status, self._payload = status, payload
        if (self._abandoned or self._undone) and self._savepoint is not None and not turns.ended:
            turns.undo_then(self._savepoint, self._end)
        else:
            self._end()

    def _end(self) -> None:
        self.signal.set()
        if self._abandoned:
            self._turns.leave()

    def result(self) -> Any:
        """The result, or the error raised."""
        if self._status:
            raise self._payload
        return self._payload
