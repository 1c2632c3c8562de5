"""Running a transaction again after a conflict: `Database.run` and `Database.attempts`."""

from __future__ import annotations

import inspect
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, final

import anyio

from ._exceptions import InvalidArgumentError, SopasyncError
from ._limits import BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN

if TYPE_CHECKING:
    from types import TracebackType

    from ._transaction import Transaction

R = TypeVar("R")
X = TypeVar("X")


class _Retrying:
    """The switch for the whole process; it holds no state of any event loop."""

    active = True


def set_retrying(active: bool) -> None:
    """Switch retries on or off for the whole process; off, the first conflict is raised. For tests."""
    _Retrying.active = active


class Patience:
    """How often and how long a transaction is tried, and how long a pause is between two tries."""

    __slots__ = ("_attempts", "_deadline", "_pause_max", "_tries")

    def __init__(self, attempts: int | None, timeout: float) -> None:
        if (attempts is not None and attempts < 1) or not timeout > 0:
            raise InvalidArgumentError(f"attempts={attempts}, timeout={timeout:g}: both must be above zero")
        self._attempts = attempts
        self._deadline = monotonic() + timeout
        self._tries = 0
        self._pause_max = BACKOFF_SECONDS_MIN

    def begin(self) -> int:
        """Another try begins; returns its number, from 1."""
        self._tries += 1
        return self._tries

    def bears(self, error: BaseException) -> bool:
        """Whether the try that failed like this is to be repeated."""
        if not isinstance(error, SopasyncError) or not error.retryable or not _Retrying.active:
            return False
        return (self._attempts is None or self._tries < self._attempts) and monotonic() < self._deadline

    def pause(self) -> float:
        """Seconds to wait before the next try, never beyond the time limit."""
        # Full jitter: those that met do not meet again.
        seconds = random.random() * self._pause_max
        self._pause_max = min(self._pause_max * 2, BACKOFF_SECONDS_MAX)
        return max(min(seconds, self._deadline - monotonic()), 0.0)


class Tries(Generic[X]):
    """Tries of one transaction, of whichever kind."""

    def __init__(self, begin: Callable[[], X], retried: Callable[[], None], patience: Patience) -> None:
        self._begin = begin
        self._retried = retried
        self._patience = patience
        self._begun = False
        self._again = True

    def pause(self) -> float:
        """Seconds to wait before the next try."""
        return self._patience.pause() if self._begun else 0.0

    def begin(self) -> tuple[X, int]:
        """Begin a try: its transaction, and its number."""
        self._begun = True
        self._again = False
        return self._begin(), self._patience.begin()

    def repeats(self) -> bool:
        """Whether another try follows."""
        return self._again

    def failed(self, error: BaseException) -> bool:
        """Whether the try that failed like this is to be repeated."""
        if not self._patience.bears(error):
            return False
        self._again = True
        self._retried()
        return True


@final
class Attempts(Tries["Transaction"]):
    """Tries of one transaction, for ``async for``; made by `Database.attempts`.

    Ends after a try that did not conflict. The last permitted try raises its conflict.
    """

    def __aiter__(self) -> Attempts:
        return self

    async def __anext__(self) -> Attempt:
        if not self.repeats():
            raise StopAsyncIteration
        if pause_s := self.pause():
            await anyio.sleep(pause_s)
        return Attempt(self, *self.begin())


@final
class Attempt:
    """One try: ``async with attempt as tx``."""

    def __init__(self, attempts: Attempts, transaction: Transaction, number: int) -> None:
        self._attempts = attempts
        self._transaction = transaction
        self.number = number
        """1 for the first try."""

    async def __aenter__(self) -> Transaction:
        return await self._transaction.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            await self._transaction.__aexit__(kind, error, trace)
        except SopasyncError as conflict:
            if self._attempts.failed(conflict):
                return True
            raise
        return error is not None and self._attempts.failed(error)


async def run_attempts(attempts: Attempts, function: Callable[..., Awaitable[R]], *args: Any) -> R:
    """Run ``function(tx, *args)`` until a try does not conflict; returns what it returned."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidArgumentError(
            f"{_name(function)} is a generator, which cannot be run again: give an async function "
            "that takes the transaction"
        )
    result: Any = None
    async for attempt in attempts:
        async with attempt as transaction:
            awaitable = function(transaction, *args)
            if not inspect.isawaitable(awaitable):
                raise InvalidArgumentError(
                    f"{_name(function)} did not return an awaitable: give an async function that takes the transaction"
                )
            result = await awaitable
            if inspect.isasyncgen(result) or inspect.isgenerator(result):
                raise InvalidArgumentError(
                    f"{_name(function)} returned a generator, which would read after the commit: return a list"
                )
        if not attempts.repeats():
            break
    return cast("R", result)


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", repr(function))
