"""Running a transaction again after a conflict: `Database.run` and `Database.attempts`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from time import sleep
from typing import TYPE_CHECKING, Any, TypeVar, cast, final

from sopasync._exceptions import InvalidArgumentError, SopasyncError

if TYPE_CHECKING:
    from types import TracebackType

    from sopasync._retry import Patience

    from ._transaction import Transaction

R = TypeVar("R")


@final
class Attempts:
    """Tries of one transaction, for ``for``; made by `Database.attempts`.

    Ends after a try that did not conflict. The last permitted try raises its conflict.
    """

    def __init__(
        self, begin: Callable[[], Transaction], retried: Callable[[], None], patience: Patience
    ) -> None:
        self._begin = begin
        self._retried = retried
        self._patience = patience
        self._begun = False
        self._again = True

    def __iter__(self) -> Attempts:
        return self

    def __next__(self) -> Attempt:
        if not self._again:
            raise StopIteration
        if self._begun:
            sleep(self._patience.pause())
        self._begun = True
        self._again = False
        return Attempt(self, self._begin(), self._patience.begin())

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
