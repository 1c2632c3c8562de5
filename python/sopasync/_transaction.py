"""`Transaction`: one snapshot to read, a set of writes, and the way they end."""

# The two classes of one handle know each other; what they share is nobody else's.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import enum
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, final

from ._exceptions import (
    ClosedError,
    CodecError,
    CommitUnknownError,
    ConflictError,
    TransactionClosedError,
    TransactionExpiredError,
    TransactionStateError,
)
from ._options import TransactionMode
from ._process import process
from ._savepoint import Savepoint
from ._stores import TransactionStores
from ._turns import Turns

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

    from ._coordinator import Commit
    from ._core import Transaction as Native
    from ._database import Database
    from ._options import Isolation

_ISOLATION: Final = {"snapshot": 1, "serializable": 2}


class TransactionState(enum.Enum):
    """Where a transaction is in its life."""

    NEW = "new"
    OPEN = "open"
    COMMITTING = "committing"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    UNKNOWN = "of unknown outcome"


class TransactionOutcome(enum.Enum):
    """How a transaction ended."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    UNKNOWN = "unknown"


# Looking a member up in its enum takes longer than many an engine call, so every transaction uses these.
_NEW: Final = TransactionState.NEW
_OPEN: Final = TransactionState.OPEN
_COMMITTING: Final = TransactionState.COMMITTING
_COMMITTED: Final = TransactionState.COMMITTED
_ROLLED_BACK: Final = TransactionState.ROLLED_BACK
_UNKNOWN: Final = TransactionState.UNKNOWN
_FOR_READING: Final = TransactionMode.FOR_READING
_NO_CHECK: Final = TransactionMode.NO_CHECK

_COMMITTED_TEXT: Final = _COMMITTED.value
_BEGIN_ANOTHER: Final = "begin another one with db.begin_transaction()"

_OUTCOMES: Final = {
    _COMMITTED: TransactionOutcome.COMMITTED,
    _ROLLED_BACK: TransactionOutcome.ROLLED_BACK,
    _UNKNOWN: TransactionOutcome.UNKNOWN,
}


@final
class Transaction(TransactionStores):
    """A transaction, made by `Database.begin_transaction`.

    Use it as ``async with``: it commits when the block is left normally and rolls back when an
    exception leaves it. Or call `begin`, and then `commit` or `rollback`. Inside the block a manual
    `commit` is refused; `rollback` ends the transaction early and the block then ends quietly.

    Several tasks may use one transaction: their calls run one at a time, in the order they came.
    """

    __slots__ = (
        "__weakref__",
        "_database",
        "_deadline",
        "_expired",
        "_isolation",
        "_managed",
        "_max_time",
        "_mode",
        "_native",
        "_seq",
        "_state",
        "_turns",
    )

    def __init__(
        self, database: Database, mode: TransactionMode, isolation: Isolation, max_time: float
    ) -> None:
        self._database = database
        self._mode = mode
        self._isolation: Isolation = isolation
        self._max_time = max_time
        self._state = _NEW
        self._managed = False
        self._expired = False
        self._deadline = 0.0
        self._seq: int | None = None
        self._native: Native
        self._turns: Turns

    def __repr__(self) -> str:
        return (
            f"<sopasync.Transaction {self._state.value}, {self._mode.name}, {self._isolation}, {id(self):#x}>"
        )

    @property
    def state(self) -> TransactionState:
        """Where the transaction is in its life."""
        return self._state

    @property
    def outcome(self) -> TransactionOutcome | None:
        """How it ended; ``None`` while it has not. Known also after a cancelled commit."""
        return _OUTCOMES.get(self._state)

    @property
    def commit_seq(self) -> int | None:
        """Position of its commit among all commits; ``None`` unless it has written and committed."""
        return self._seq

    @property
    def snapshot_seq(self) -> int:
        """The last commit this transaction sees."""
        self._require_begun()
        return self._native.seq

    @property
    def mode(self) -> TransactionMode:
        """What the transaction may do."""
        return self._mode

    @property
    def isolation(self) -> Isolation:
        """How strictly the commit is checked."""
        return self._isolation

    def begin(self) -> None:
        """Take the snapshot. Never waits.

        Raises:
            TransactionStateError: It has begun already.
            ClosedError: The database is not open.
            LoopMismatchError: The database was opened in another event loop.
            ForkedProcessError: The database was opened before a ``fork()``.
        """
        if self._state is not _NEW:
            raise TransactionStateError(
                f"this transaction is {self._state.value} already: call begin_transaction() for another one"
            )
        database = self._database
        now = monotonic()
        native = database._begin(
            0 if self._mode is _NO_CHECK else _ISOLATION[self._isolation], self._mode is _FOR_READING, now
        )
        database._open_transactions[self] = None
        self._native = native
        self._turns = Turns(native, database._wakeup, database._budget, self._check)
        self._deadline = now + self._max_time
        self._state = _OPEN

    async def __aenter__(self) -> Transaction:
        self.begin()
        self._managed = True
        return self

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Coroutine[Any, Any, None]:
        # No coroutine of its own: every step of a wait would pass through it.
        self._managed = False
        return self._commit() if error is None and self._state is _OPEN else self._leave(error)

    async def _leave(self, error: BaseException | None) -> None:
        if error is not None:
            self.rollback()
        elif self._expired:
            self._check()

    async def commit(self) -> None:
        """Make every change of the transaction durable and visible, or none.

        Waits for the log. Cancelled before the commit is sealed, it is withdrawn and rolled back;
        cancelled later, its outcome is awaited first. Either way the cancellation goes on and
        `outcome` tells what happened.

        Raises:
            ConflictError: Another transaction committed first; nothing was applied.
            CodecError: What is stored is nothing that could be added or appended to; nothing was applied.
            CommitUnknownError: The log failed in between.
            TransactionStateError: Inside ``async with``, or not begun.
            TransactionClosedError: It has ended already.
        """
        if self._managed:
            raise TransactionStateError(
                "commit() inside `async with` is not allowed: the block commits when it is left. "
                "Use begin() and commit() without a block to commit by hand"
            )
        self._require_begun()
        await self._commit()

    def _commit(self) -> Coroutine[Any, Any, None]:
        return self._request_commit() if self._turns.ready() else self._commit_in_turn()

    async def _commit_in_turn(self) -> None:
        try:
            async with self._turns.turn():
                pass
        except BaseException:
            self.rollback()  # cancelled while other turns of this transaction ran
            raise
        await self._request_commit()

    def _request_commit(self) -> Coroutine[Any, Any, None]:
        coordinator = self._database._coordinator
        try:
            commit = coordinator.prepare(self._native, self._commit_settled)
        except BaseException:
            self.rollback()
            raise
        if commit is None:
            return self._commit_nothing()
        self._state = _COMMITTING
        self._turns.end()
        return coordinator.commit(commit)

    async def _commit_nothing(self) -> None:
        # Everything was read at one snapshot: there is nothing to check and nothing to write.
        self._native.rollback()
        self._end(_COMMITTED)

    def _commit_settled(self, commit: Commit) -> None:
        self._seq = commit.seq
        self._end(_COMMITTED if commit.seq is not None else _state_after(commit))
        if isinstance(commit.error, CodecError | ConflictError):
            self._database._name_keys(commit.error)

    def rollback(self) -> None:
        """Forget every change. Never waits; does nothing when the transaction has ended.

        While another task's commit of this transaction waits for the log, that commit goes on.
        """
        if self._state is _NEW:
            self._state = _ROLLED_BACK
        if self._state is not _OPEN:
            return
        self._native.rollback()
        self._end(_ROLLED_BACK)

    def _end(self, state: TransactionState) -> None:
        self._state = state
        turns = self._turns
        if not turns.ended:
            turns.end()
        if state is _COMMITTED:
            turns.check = (
                _refuse_committed  # no longer a cycle, so it need not wait for the garbage collector
            )
        self._database._open_transactions.pop(self, None)

    def _expire(self, now: float) -> None:
        """Roll back when the time limit has run out."""
        if self._state is _OPEN and now > self._deadline:
            self._expired = True
            self.rollback()

    def _require_begun(self) -> None:
        if self._state is _NEW:
            raise TransactionStateError(
                "this transaction has not begun: use it as `async with`, or call begin() first"
            )

    def _check(self) -> None:
        """Raise unless the transaction is open, in its own process, and within its time limit."""
        if self._state is _OPEN:
            now = monotonic()
            if self._database._generation == process.generation and now <= self._deadline:
                return
            self._database._check_process()
            self._expire(now)
        self._require_begun()
        if self._expired:
            raise TransactionExpiredError(
                f"the transaction was rolled back because its time limit of {self._max_time:g} s ran out: "
                "do less in one transaction, or begin it with a larger max_time"
            )
        if self._database._is_closed():
            raise ClosedError("the transaction was rolled back because its database was closed")
        raise TransactionClosedError(f"the transaction is {self._state.value}: {_BEGIN_ANOTHER}")

    def savepoint(self) -> Savepoint:
        """A part of the transaction that is undone when an exception leaves it.

        Example:
            ```python
            async with tx.savepoint():
                await orders.add(order.id, order)
                await stock.update(order.item, left - 1)
            ```
        """
        self._require_begun()
        return Savepoint(self._turns, self._native)


def _refuse_committed() -> None:
    raise TransactionClosedError(f"the transaction is {_COMMITTED_TEXT}: {_BEGIN_ANOTHER}")


def _state_after(commit: Commit) -> TransactionState:
    """How a commit that did not succeed has ended."""
    refused = commit.error is not None and not isinstance(commit.error, CommitUnknownError)
    return _ROLLED_BACK if commit.withdrawn or refused else _UNKNOWN
