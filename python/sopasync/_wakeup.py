"""How a task waits for the engine, on every event loop, without a task of our own.

Engine threads put results into a `Completions` queue and make its file descriptor readable; they
never touch Python. On asyncio the loop watches the descriptor and `drain` runs as a callback. On
trio, and on loops that cannot watch descriptors, one of the waiting tasks leads: it waits for the
descriptor on behalf of all, drains, and hands the lead to another waiter when it is done or cancelled.

Invariants:
- W1 a result is handed to the turn that asked for it exactly once, by its token.
- W2 while anybody waits, somebody watches the descriptor, also when the handle is closed meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import weakref
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol

import anyio
import anyio.lowlevel

from ._core import Completions
from ._exceptions import LoopMismatchError


class Pending(Protocol):
    """Something submitted to the engine, told its outcome in `drain`."""

    def finish(self, status: int, payload: Any) -> None:
        """Take the outcome: status 0 with a result, or 1 with an exception."""
        ...


class Signal(Protocol):
    """Set once; may be waited for again after a wait that was cancelled. One waiter at a time."""

    done: bool

    def set(self) -> None:
        """Wake the waiter."""
        ...

    def abandoned(self) -> bool:
        """Whether its waiter has been cancelled and only has not run since."""
        ...

    def wait(self) -> Awaitable[None]:
        """What to await until it is set. A cancelled wait changes nothing."""
        ...


class Answer:
    """What the engine says to one who asked."""

    __slots__ = ("_payload", "_signal", "_status")

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._status = 0
        self._payload: Any = None

    def finish(self, status: int, payload: Any) -> None:
        """Take it, in `Wakeup.drain`."""
        self._status, self._payload = status, payload
        self._signal.set()

    async def wait(self) -> Any:
        """Return the result, or raise the error."""
        await self._signal.wait()
        if self._status:
            raise self._payload
        return self._payload


class Wakeup:
    """The completion queue of one database handle, bound to the event loop it was opened in."""

    blocking = False
    """Whether waiting blocks the thread; see `_blocking.py`."""

    def __init__(self) -> None:
        self.loop = current_loop()
        self.completions = Completions()
        self.on_drain: Callable[[], None] | None = None
        self.on_drained: Callable[[], None] | None = None
        self.draining = False
        """Whether results are being handed out; who is waiting for one may run meanwhile."""
        self._pending: dict[int, Pending] = {}
        self._last_token = 0
        self._idle: list[Signal] = []
        self._closing = False
        self._leader: tuple[_LedSignal, anyio.CancelScope] | None = None
        self._followers: dict[_LedSignal, None] = {}
        self.watched = isinstance(self.loop, asyncio.AbstractEventLoop) and self._watch(self.loop)
        """Whether the loop itself looks for results."""

    def _watch(self, loop: asyncio.AbstractEventLoop) -> bool:
        # The loop must not keep a lost handle alive, hence the weak reference.
        drain = weakref.WeakMethod(self.drain)

        def wake() -> None:
            method = drain()
            if method is not None:
                method()

        try:
            loop.add_reader(self.completions.fileno(), wake)
        except NotImplementedError:  # the proactor loop of Windows
            return False
        return True

    def check_loop(self) -> None:
        """Raise `LoopMismatchError` unless called from the loop this handle belongs to."""
        if self.watched:
            try:
                if asyncio.get_running_loop() is self.loop:
                    return
            except RuntimeError:  # no loop at all, which `current_loop` puts into words
                pass
        loop = current_loop()
        if loop is not self.loop:
            raise LoopMismatchError(
                f"this database handle was opened in {_describe(self.loop)} and is used in {_describe(loop)}: "
                "open another handle in this loop, they share one engine"
            )

    def loop_is_gone(self) -> bool:
        """Whether the loop of this handle has ended, so that nobody can wait in it any more."""
        if isinstance(self.loop, asyncio.AbstractEventLoop):
            return self.loop.is_closed()
        try:
            self.loop.run_sync_soon(_do_nothing)
        except RuntimeError:  # trio.RunFinishedError
            return True
        return False

    @property
    def pending_count(self) -> int:
        """How many operations are with the engine."""
        return len(self._pending)

    def register(self, pending: Pending) -> int:
        """Give out the token under which the outcome will come."""
        self._last_token += 1
        self._pending[self._last_token] = pending
        return self._last_token

    def register_all(self, pending: Sequence[Pending]) -> list[int]:
        """Give out a token for each."""
        first = self._last_token + 1
        self._last_token += len(pending)
        tokens = list(range(first, self._last_token + 1))
        self._pending.update(zip(tokens, pending, strict=True))
        return tokens

    def forget(self, token: int) -> None:
        """Drop a token whose operation was never started, or whose outcome nobody waits for."""
        self._pending.pop(token, None)
        self._tell_if_idle()

    def drain(self) -> None:
        """Hand out everything the engine has finished."""
        if self.on_drain is not None:
            self.on_drain()
        self._hand_out(iter(self.completions.drain()))

    def _hand_out(self, results: Iterator[tuple[int, int, Any]]) -> None:
        pending = self._pending
        self.draining = True
        try:
            for token, status, payload in results:
                waiting = pending.pop(token, None)
                if waiting is not None:
                    waiting.finish(status, payload)
        except BaseException:
            # A task that was woken ends the loop; should that be run again, the others get theirs.
            self.loop.call_soon(self._hand_out, results)
            raise
        finally:
            self.draining = False
            if self.on_drained is not None:
                self.on_drained()
        self._tell_if_idle()

    def signal(self) -> Signal:
        """Make a signal for this loop."""
        if self.watched:
            return _LoopSignal(self.loop)
        return _LedSignal(self)

    async def ask(self, begin: Callable[[Completions, int], None]) -> Any:
        """Begin something in the engine, and wait for what comes of it. Only the wait is cancelled, never the work."""
        answer = Answer(self.signal())
        token = self.register(answer)
        try:
            begin(self.completions, token)
            return await answer.wait()
        finally:
            self.forget(token)

    async def idle(self) -> None:
        """Wait until nothing is with the engine any more."""
        while self._pending:
            signal = self.signal()
            self._idle.append(signal)
            await signal.wait()
        while self._leader is not None:  # woken already; the descriptor is not closed under it
            await anyio.lowlevel.checkpoint()

    def _tell_if_idle(self) -> None:
        if not self._pending:
            for signal in self._idle:
                signal.set()
            self._idle.clear()
            if self._closing:
                self._closing = False
                self.close()

    def call_from_thread(self, function: Callable[[], None]) -> None:
        """Have the loop run a function soon; called on another thread. Does nothing when the loop is gone."""
        with contextlib.suppress(RuntimeError):
            if isinstance(self.loop, asyncio.AbstractEventLoop):
                self.loop.call_soon_threadsafe(function)
            else:
                self.loop.run_sync_soon(function)

    def close(self) -> None:
        """Stop watching. Works also when the loop is closed or another thread runs this."""
        if self.watched:
            with contextlib.suppress(RuntimeError):
                if not self.loop.is_closed():
                    self.loop.remove_reader(self.completions.fileno())
        self.completions.close()

    def close_when_idle(self) -> None:
        """Stop watching once nothing is with the engine any more: who waits is told first (W2)."""
        self._closing = True
        self._tell_if_idle()

    async def lead(self, signal: _LedSignal) -> None:
        """Wait for the descriptor on behalf of every waiter, then drain; `signal` being set ends it too."""
        try:
            with anyio.CancelScope() as scope:
                self._leader = signal, scope
                await anyio.wait_readable(self.completions.fileno())
            self._leader = None
            self.drain()
        finally:
            self._leader = None
            self._hand_over()

    def has_leader(self) -> bool:
        """Whether some task watches the descriptor."""
        return self._leader is not None

    def follow(self, signal: _LedSignal) -> None:
        """Add a waiter that does not watch the descriptor itself."""
        self._followers[signal] = None

    def unfollow(self, signal: _LedSignal) -> None:
        """Remove it; it may have been the one chosen to lead."""
        self._followers.pop(signal, None)
        self._hand_over()

    def woken(self, signal: _LedSignal) -> None:
        """`signal` was set: when its waiter leads, it must stop watching."""
        if self._leader is not None and self._leader[0] is signal:
            self._leader[1].cancel()

    def _hand_over(self) -> None:
        """W2: with the lead free, wake one follower, who takes it."""
        if self._leader is None:
            for follower in self._followers:
                follower.nudge()
                break


class _LoopSignal:
    """A signal for asyncio: the loop drains, so a plain future is enough."""

    __slots__ = ("_future", "_loop", "done")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.done = False
        self._loop = loop
        self._future: asyncio.Future[None] | None = None

    def set(self) -> None:
        self.done = True
        future = self._future
        if future is not None and not future.done():
            future.set_result(None)

    def abandoned(self) -> bool:
        return self._future is not None and self._future.cancelled()

    def wait(self) -> Awaitable[None]:
        # The future itself: awaiting it directly saves every commit a coroutine.
        future = self._future = self._loop.create_future()
        if self.done:
            future.set_result(None)
        return future


class _LedSignal:
    """A signal for loops where the waiters watch the descriptor themselves."""

    __slots__ = ("_event", "_wakeup", "done")

    def __init__(self, wakeup: Wakeup) -> None:
        self.done = False
        self._wakeup = wakeup
        self._event = anyio.Event()

    def set(self) -> None:
        self.done = True
        self._event.set()
        self._wakeup.woken(self)

    def abandoned(self) -> bool:
        return False

    def nudge(self) -> None:
        """Wake the waiter so that it looks whether it should lead."""
        self._event.set()

    async def wait(self) -> None:
        wakeup = self._wakeup
        while not self.done:
            if not wakeup.has_leader():
                await wakeup.lead(self)
                continue
            self._event = anyio.Event()
            wakeup.follow(self)
            try:
                await self._event.wait()
            finally:
                wakeup.unfollow(self)


def current_loop() -> Any:
    """The running asyncio loop, or what stands for the running trio loop; raises outside of both."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return trio.lowlevel.current_trio_token()
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise LoopMismatchError(
            "no event loop is running in this thread: await this inside asyncio.run(...), trio.run(...) "
            "or anyio.run(...)"
        ) from None


def yield_function(loop: Any) -> Callable[[], Awaitable[None]]:
    """The cheapest way to give other tasks of this loop a turn, which also delivers a cancellation."""
    if isinstance(loop, asyncio.AbstractEventLoop):
        return _yield_asyncio
    return anyio.lowlevel.checkpoint


def _do_nothing() -> None:
    pass


async def _yield_asyncio() -> None:
    await asyncio.sleep(0)


def _describe(loop: Any) -> str:
    return f"{type(loop).__module__}.{type(loop).__qualname__} at {id(loop):#x}"
