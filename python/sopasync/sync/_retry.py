"""Running a transaction again after a conflict: `Database.run` and `Database.attempts`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from time import sleep
from typing import TYPE_CHECKING, Any, TypeVar, cast, final

from sopasync._exceptions import InvalidArgumentError, SopasyncError
from sopasync._retry import Tries

if TYPE_CHECKING:
    from types import TracebackType

    from ._transaction import Transaction

R = TypeVar("R")


@final
class Attempts(Tries["Transaction"]):
    """Tries of one transaction, for ``for``; made by `Database.attempts`.

    Ends after a try that did not conflict. The last permitted try raises its conflict.
    """

    def __iter__(self) -> Attempts:
        return self

    def __next__(self) -> Attempt:
        if not self.repeats():
            raise StopIteration
        if pause_s := self.pause():
            sleep(pause_s)
        return Attempt(self, *self.begin())


@final
class Attempt:
    """One try: ``with attempt as tx``."""

    def __init__(self, attempts: Attempts, transaction: Transaction, number: int) -> None:
        self._attempts = attempts
        self._transaction = transaction
        self.number = number
        """1 for the first try."""

    def __enter__(self) -> Transaction:
        return self._transaction.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            self._transaction.__exit__(kind, error, trace)
        except SopasyncError as conflict:
            if self._attempts.failed(conflict):
                return True
            raise
        return error is not None and self._attempts.failed(error)


def run_attempts(attempts: Attempts, function: Callable[..., R], *args: Any) -> R:
    """Run ``function(tx, *args)`` until a try does not conflict; returns what it returned."""
    name = getattr(function, "__qualname__", repr(function))
    result: Any = None
    for attempt in attempts:
        with attempt as transaction:
            result = function(transaction, *args)
            if inspect.isgenerator(result):
                raise InvalidArgumentError(
                    f"{name} returned a generator, which would read after the commit: return a list"
                )
            if inspect.iscoroutine(result):
                result.close()
                raise InvalidArgumentError(
                    f"{name} is an async function: give a plain one here, or use sopasync.Database"
                )
        if not attempts.repeats():
            break
    return cast("R", result)
