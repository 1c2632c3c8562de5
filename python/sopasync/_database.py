"""`Database`: a handle on one database, bound to the event loop that opened it."""

# The two classes of one handle know each other; what they share is nobody else's.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import dataclasses
import enum
import os
import warnings
import weakref
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, final

import anyio

from ._actor import StoreActor
from ._blocking import BlockingCoordinator, BlockingWakeup, FreeBudget
from ._coordinator import Coordinator
from ._database_stores import DatabaseStores
from ._exceptions import (
    ClosedError,
    CodecError,
    ConflictError,
    ForkedProcessError,
    InvalidArgumentError,
    ReadOnlyError,
    SopasyncError,
)
from ._limits import (
    ATTEMPTS_SECONDS_DEFAULT,
    CONFLICT_KEYS_SHOWN,
    TRANSACTION_SECONDS_DEFAULT,
    TRANSACTION_SECONDS_MAX,
)
from ._opening import on_thread, open_engine, open_engine_here
from ._options import DatabaseOptions, Durability, Isolation, TransactionMode
from ._process import process
from ._retry import Attempts, Patience, run_attempts
from ._statistics import CheckReport, DatabaseStatistics
from ._transaction import Transaction
from ._turns import Budget
from ._wakeup import Wakeup, yield_function

if TYPE_CHECKING:
    from types import TracebackType

    from ._btree_actor import BtreeActor
    from ._core import Engine, StoreInfo
    from ._core import Transaction as Native
    from ._watch import Watch

R = TypeVar("R")
A = TypeVar("A", bound=StoreActor)

Progress = Callable[[int, int], object]
"""Called with how much is done and how much there is, on a worker thread."""


class DatabaseState(enum.Enum):
    """Where a handle is in its life."""

    NEW = "not open"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


_OPEN: Final = DatabaseState.OPEN  # looking a member up in its enum takes long, for every transaction


@final
class Database(DatabaseStores):
    """A database: a folder with stores, opened with ``async with sopasync.Database("data/shop") as db``.

    A handle belongs to the event loop that opened it. Other loops and threads open handles of their
    own; all handles of a path in one process share one engine. A handle has no background task, so
    it can be opened in one task and closed in another, in fixtures and exit stacks.

    Args:
        path: The folder, or `DatabaseOptions`.
        read_only: Only read; another process may own the database.
        create: Make the database when it is not there.
        cache_bytes: Memory for pages.
        page_bytes: Size of a page, for a database that is made now.
        durability: ``"full"`` or ``"relaxed"``; see `DatabaseOptions`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | DatabaseOptions,
        *,
        read_only: bool = False,
        create: bool = True,
        cache_bytes: int | None = None,
        page_bytes: int | None = None,
        durability: Durability | None = None,
    ) -> None:
        # Set first: __del__ runs also when the arguments are refused.
        self._state = DatabaseState.NEW
        self._options = _options(path, cache_bytes, page_bytes, durability)
        self._read_only = read_only
        self._create = create and not read_only
        self._generation = process.generation
        self._open_transactions: dict[Transaction, None] = {}
        self._next_sweep = 0.0
        self._actors: dict[str, StoreActor] = {}
        # What a store is like never changes under its id.
        self._btrees_by_id: dict[int | None, BtreeActor] = {}
        self._conflicts_retried = 0
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._closing: anyio.Event
        self._engine: Engine
        self._wakeup: Wakeup
        self._coordinator: Coordinator
        self._budget: Budget

    def __repr__(self) -> str:
        return f"<sopasync.Database {self.path!r}, {self._state.value}, {id(self):#x}>"

    @property
    def path(self) -> str:
        """The folder of the database."""
        return self._options.path

    @property
    def options(self) -> DatabaseOptions:
        """What the handle was made with."""
        return self._options

    @property
    def state(self) -> DatabaseState:
        """Where the handle is in its life."""
        return self._state

    @property
    def read_only(self) -> bool:
        """Whether the handle only reads."""
        return self._read_only

    @property
    def last_seq(self) -> int:
        """Position of the last commit that a transaction begun now would see."""
        self._require_open()
        return self._engine.last_seq

    async def open(self) -> Database:
        """Open the database: take its lock and recover it, on a worker thread. Does nothing when open.

        A cancelled open leaves nothing behind and may be tried again.

        Raises:
            DatabaseLockedError: Another process owns it.
            CorruptionError, UnsupportedFormatError, StorageError: It cannot be read.
            ClosedError: The handle has been closed, or is being opened by another task.
        """
        if self._state is DatabaseState.OPEN:
            self._require_open()
            return self
        if self._state is not DatabaseState.NEW:
            raise ClosedError(
                f"the handle on {self.path} is {self._state.value} and cannot be opened: make another Database"
            )
        wakeup = Wakeup()
        self._generation = process.generation
        self._state = DatabaseState.OPENING
        try:
            self._engine = await open_engine(self._options, read_only=self._read_only, create=self._create)
        except BaseException:
            wakeup.close()
            self._state = DatabaseState.NEW
            raise
        self._wakeup = wakeup
        self._coordinator = Coordinator(wakeup)
        self._budget = Budget(yield_function(wakeup.loop))
        wakeup.on_drain = self._budget.renew
        self._state = DatabaseState.OPEN
        return self

    def _open_blocking(self) -> None:
        """Open it here and now, for `sopasync.sync`: every wait of its transactions blocks its thread."""
        self._generation = process.generation
        self._engine = open_engine_here(self._options, read_only=self._read_only, create=self._create)
        wakeup = BlockingWakeup()
        # They are all that transactions ask of the three.
        self._wakeup = cast("Wakeup", wakeup)
        self._coordinator = cast("Coordinator", BlockingCoordinator(wakeup))
        self._budget = cast("Budget", FreeBudget())
        # Its transactions belong to other threads, which see for themselves when their time has run out.
        self._next_sweep = float("inf")
        self._state = DatabaseState.OPEN

    def _close_blocking(self) -> None:
        """Roll back what is open, and let the engine go."""
        if self._state is DatabaseState.NEW:
            self._state = DatabaseState.CLOSED
        if self._state is not DatabaseState.OPEN:
            return
        self._check_process()
        self._state = DatabaseState.CLOSING
        try:
            for transaction in list(self._open_transactions):
                transaction.rollback()
        finally:
            try:
                process.close(self._engine)
            finally:
                self._state = DatabaseState.CLOSED

    async def aclose(self) -> None:
        """Close the handle: roll back what is open, await commits under way, then let the engine go.

        The last handle of a path closes the engine, on a worker thread, which writes a checkpoint.
        May be called any number of times. A cancelled close goes on in its thread. It belongs into the
        loop that opened the handle, unless that loop has ended.
        """
        if self._state is DatabaseState.NEW:
            self._state = DatabaseState.CLOSED
        if self._state is DatabaseState.CLOSED:
            return
        self._check_process()
        if self._state is DatabaseState.OPENING:
            raise ClosedError(f"the handle on {self.path} is being opened by another task: cancel that first")
        loop_is_gone = self._wakeup.loop_is_gone()
        if not loop_is_gone:
            self._wakeup.check_loop()
        if self._state is DatabaseState.CLOSING:
            await self._closing.wait()
            return
        self._state = DatabaseState.CLOSING
        self._closing = anyio.Event()
        for watch in self._watches:
            watch.end()
        for transaction in list(self._open_transactions):
            transaction.rollback()
        try:
            if not loop_is_gone:
                await self._coordinator.settle()
        finally:
            if loop_is_gone:
                self._wakeup.close()
            else:
                self._wakeup.close_when_idle()
            try:
                with anyio.CancelScope(shield=True):
                    await on_thread(lambda: process.close(self._engine))
            finally:
                # Cancelled before the thread began, the engine is let go all the same.
                process.abandon(self._engine)
                self._state = DatabaseState.CLOSED
                self._closing.set()

    async def __aenter__(self) -> Database:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._state is not DatabaseState.OPEN:
            return
        if self._generation != process.generation:
            return  # a child of fork(): the parent closes it
        self._state = DatabaseState.CLOSED
        warnings.warn(
            f"database {self.path} was not closed: use `async with`, or `await db.aclose()`",
            ResourceWarning,
            stacklevel=2,
            source=self,
        )
        self._wakeup.close()
        process.abandon(self._engine)

    # -- transactions -----------------------------------------------------------------------------

    def begin_transaction(
        self,
        mode: TransactionMode = TransactionMode.FOR_WRITING,
        *,
        isolation: Isolation = "serializable",
        max_time: float | timedelta = TRANSACTION_SECONDS_DEFAULT,
    ) -> Transaction:
        """Make a transaction; ``async with`` begins, commits and rolls back. Never waits.

        Args:
            mode: What it may do. On a read-only database it is always for reading.
            isolation: ``"serializable"``: the commit is refused when anything it read has changed.
                ``"snapshot"``: only when a key it wrote has changed.
            max_time: Seconds after which it is rolled back; an hour at most.
        """
        seconds = TRANSACTION_SECONDS_DEFAULT
        if max_time is not TRANSACTION_SECONDS_DEFAULT:
            seconds = max_time.total_seconds() if isinstance(max_time, timedelta) else float(max_time)
            if not 0 < seconds <= TRANSACTION_SECONDS_MAX:
                raise InvalidArgumentError(
                    f"max_time={seconds:g} s: give more than 0 and at most {TRANSACTION_SECONDS_MAX:g} seconds"
                )
        if isolation not in ("serializable", "snapshot"):
            raise InvalidArgumentError(
                f"isolation={isolation!r} is unknown: use 'serializable' or 'snapshot'"
            )
        if type(mode) is not TransactionMode:
            try:
                mode = TransactionMode(mode)
            except ValueError:
                raise InvalidArgumentError(f"mode={mode!r} is unknown: use a TransactionMode") from None
        return Transaction(self, mode, isolation, seconds)

    async def run(
        self,
        function: Callable[..., Awaitable[R]],
        *args: Any,
        attempts: int | None = None,
        timeout: float = ATTEMPTS_SECONDS_DEFAULT,
        isolation: Isolation = "serializable",
    ) -> R:
        """Run ``await function(tx, *args)`` in a transaction, again and again while it conflicts.

        The function may run several times: what it does outside the database must bear that. Before
        each further try there is a random pause, whose upper bound doubles from 0.5 ms to 0.25 s.

        Args:
            function: An async function that takes the transaction first.
            *args: Passed on.
            attempts: How often at most; unless given, only `timeout` ends it.
            timeout: Seconds after which a conflict is raised instead of tried again; 45 unless given.
            isolation: As in `begin_transaction`.

        Raises:
            ConflictError: The last permitted try conflicted too.
        """
        return await run_attempts(
            self.attempts(attempts=attempts, timeout=timeout, isolation=isolation), function, *args
        )

    def attempts(
        self,
        *,
        attempts: int | None = None,
        timeout: float = ATTEMPTS_SECONDS_DEFAULT,
        isolation: Isolation = "serializable",
    ) -> Attempts:
        """Try a transaction until it does not conflict, inline; the arguments are those of `run`.

        Example:
            ```python
            async for attempt in db.attempts():
                async with attempt as tx:
                    accounts = await tx.open_btree("accounts")
                    ...
            ```
        """
        return Attempts(
            lambda: self.begin_transaction(isolation=isolation),
            self._count_retry,
            Patience(attempts, timeout),
        )

    # -- care -------------------------------------------------------------------------------------

    def statistics(self) -> DatabaseStatistics:
        """Return counters and gauges; never waits."""
        self._require_open()
        return DatabaseStatistics(
            transactions_open=len(self._open_transactions),
            commits_waiting=self._wakeup.pending_count,
            conflicts_retried=self._conflicts_retried,
            stores=tuple(actor.statistics() for actor in self._actors.values()),
            engine=self._engine.statistics(),
        )

    async def checkpoint(self) -> None:
        """Write what is only in the log to the page file, on the engine's own thread; cancelled, it goes on there."""
        engine = self._require_open()
        self._wakeup.check_loop()
        await self._wakeup.ask(engine.begin_checkpoint)

    async def check(self, *, progress: Progress | None = None) -> CheckReport:
        """Verify the whole database on a worker thread: every page, order, count and free space."""
        engine = self._require_open()
        return CheckReport.of(await on_thread(lambda: engine.check(progress)))

    async def backup(
        self, path: str | os.PathLike[str], *, progress: Progress | None = None
    ) -> Mapping[str, object]:
        """Copy the database as of now to a new folder, on a worker thread, while it is in use.

        Returns:
            What the engine says about the copy: its size and the commit it shows.
        """
        engine = self._require_open()
        target = os.fspath(path)
        return await on_thread(lambda: engine.backup(target, progress))

    async def refresh(self) -> int:
        """Follow the owner's log up to its end; returns the last commit now visible. Read-only handles only."""
        engine = self._require_open()
        return await on_thread(engine.refresh)

    # -- for the modules beside this one ------------------------------------------------------------

    def _begin(self, isolation: int, read_only: bool, now: float) -> Native:
        if self._state is not _OPEN or self._generation != process.generation:
            self._require_open()
        self._wakeup.check_loop()
        if now > self._next_sweep:
            self._sweep(now)
        if self._read_only and not read_only:
            raise ReadOnlyError(
                f"database {self.path} was opened read-only: begin with TransactionMode.FOR_READING"
            )
        return self._engine.begin(isolation, read_only)

    def _sweep(self, now: float) -> None:
        """Roll back transactions whose time has run out; an open one pins its snapshot."""
        self._next_sweep = now + 1.0
        for transaction in list(self._open_transactions):
            transaction._expire(now)

    def _actor(self, info: StoreInfo, make: type[A]) -> A:
        actor = self._actors.get(info.name)
        if not isinstance(actor, make) or not actor.is_for(info):
            actor = self._actors[info.name] = make(info)
        return actor

    def _remember(self, store_id: int, actor: BtreeActor) -> None:
        """Keep what a B-tree store is like, for transactions that open it again."""
        if len(self._btrees_by_id) > 2 * len(self._actors):  # ids of stores that were removed
            self._btrees_by_id.clear()
        self._btrees_by_id[store_id] = actor

    def _count_retry(self) -> None:
        self._conflicts_retried += 1

    def _name_keys(self, error: CodecError | ConflictError) -> None:
        """Replace encoded keys in what a commit was refused for by the keys, where the store is open here."""
        actor = self._actors.get(error.store) if error.store is not None else None
        if actor is None:
            return
        keys = error.keys if isinstance(error, ConflictError) else (error.key,)
        try:
            keys = tuple(actor.decode_key(key) if isinstance(key, bytes) else key for key in keys)
        except SopasyncError:  # an id of a store that was made anew meanwhile
            return
        if isinstance(error, ConflictError):
            error.keys = keys
        else:
            error.key = keys[0]
        if keys:
            shown = ", ".join(repr(key) for key in keys[:CONFLICT_KEYS_SHOWN])
            more = len(keys) - CONFLICT_KEYS_SHOWN
            error.message += f" (key {shown}{f' and {more} more' if more > 0 else ''})"

    def _is_closed(self) -> bool:
        return self._state is not DatabaseState.OPEN

    def _check_process(self) -> None:
        if self._generation != process.generation:
            raise ForkedProcessError(
                f"the handle on {self.path} was opened before fork() and works in the parent only: "
                "open another Database in this process"
            )

    def _require_open(self) -> Engine:
        self._check_process()
        if self._state is not _OPEN:
            remedy = (
                "make another Database"
                if self._state is DatabaseState.CLOSED
                else "use `async with`, or open() it"
            )
            raise ClosedError(f"the handle on {self.path} is {self._state.value}: {remedy}")
        return self._engine


def _options(
    path: str | os.PathLike[str] | DatabaseOptions,
    cache_bytes: int | None,
    page_bytes: int | None,
    durability: Durability | None,
) -> DatabaseOptions:
    if not isinstance(path, (str, os.PathLike, DatabaseOptions)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(
            f"a database is given as a path or as DatabaseOptions, not as {type(path).__name__}"
        )
    options = path if isinstance(path, DatabaseOptions) else DatabaseOptions(stores_folders=[path])
    given: dict[str, Any] = {"cache_bytes": cache_bytes, "page_bytes": page_bytes, "durability": durability}
    return dataclasses.replace(options, **{name: value for name, value in given.items() if value is not None})
