"""`Database`: a handle on one database for threads, without an event loop."""

# A part of the package that blocks where `sopasync` awaits; what they share is nobody else's.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, final

from sopasync._blocking import drive
from sopasync._bulk import BulkLoad, refuse_indexed
from sopasync._core import list_indexes
from sopasync._database import Database as AsyncDatabase
from sopasync._database import DatabaseState, Progress
from sopasync._exceptions import ClosedError
from sopasync._limits import ATTEMPTS_SECONDS_DEFAULT, TRANSACTION_SECONDS_DEFAULT
from sopasync._options import DatabaseOptions, Durability, Isolation, TransactionMode
from sopasync._retry import Patience
from sopasync._schema import schema_of
from sopasync._statistics import CheckReport

from ._retry import Attempts, run_attempts
from ._transaction import Transaction

if TYPE_CHECKING:
    from types import TracebackType

    from sopasync._btree_options import BtreeOptions, IndexSpecification
    from sopasync._statistics import DatabaseStatistics

R = TypeVar("R")


@final
class Database:
    """A database: a folder with stores, opened with ``with sync.Database("data/shop") as db``.

    Any number of threads may use one handle. The arguments are those of `sopasync.Database`.
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
        self._database = AsyncDatabase(
            path,
            read_only=read_only,
            create=create,
            cache_bytes=cache_bytes,
            page_bytes=page_bytes,
            durability=durability,
        )
        self._lifecycle = threading.Lock()

    def __repr__(self) -> str:
        return repr(self._database).replace("sopasync.", "sopasync.sync.", 1)

    @property
    def path(self) -> str:
        """The folder of the database."""
        return self._database.path

    @property
    def options(self) -> DatabaseOptions:
        """What the handle was made with."""
        return self._database.options

    @property
    def state(self) -> DatabaseState:
        """Where the handle is in its life."""
        return self._database.state

    @property
    def read_only(self) -> bool:
        """Whether the handle only reads."""
        return self._database.read_only

    @property
    def last_seq(self) -> int:
        """Position of the last commit that a transaction begun now would see."""
        return self._database.last_seq

    def open(self) -> Database:
        """Open the database: take its lock and recover it. Does nothing when open.

        Raises:
            DatabaseLockedError: Another process owns it.
            CorruptionError, UnsupportedFormatError, StorageError: It cannot be read.
            ClosedError: The handle has been closed.
        """
        with self._lifecycle:
            if self.state is DatabaseState.OPEN:
                self._database._require_open()
                return self
            if self.state is not DatabaseState.NEW:
                raise ClosedError(
                    f"the handle on {self.path} is {self.state.value} and cannot be opened: make another Database"
                )
            self._database._open_blocking()
        return self

    def close(self) -> None:
        """Close the handle: roll back what is open, await commits under way, then let the engine go.

        The last handle of a path closes the engine, which writes a checkpoint. May be called any number of times.
        """
        with self._lifecycle:
            self._database._close_blocking()

    def __enter__(self) -> Database:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- transactions -----------------------------------------------------------------------------

    def begin_transaction(
        self,
        mode: TransactionMode = TransactionMode.FOR_WRITING,
        *,
        isolation: Isolation = "serializable",
        max_time: float | timedelta = TRANSACTION_SECONDS_DEFAULT,
    ) -> Transaction:
        """Make a transaction; ``with`` begins, commits and rolls back.

        The arguments are those of `sopasync.Database.begin_transaction`. That its time has run out is noticed by
        the next call in it.
        """
        return Transaction(self._database.begin_transaction(mode, isolation=isolation, max_time=max_time))

    def run(
        self,
        function: Callable[..., R],
        *args: Any,
        attempts: int | None = None,
        timeout: float = ATTEMPTS_SECONDS_DEFAULT,
        isolation: Isolation = "serializable",
    ) -> R:
        """Run ``function(tx, *args)`` in a transaction, again and again while it conflicts.

        The function may run several times: what it does outside the database must bear that. See
        `sopasync.Database.run`.

        Raises:
            ConflictError: The last permitted try conflicted too.
        """
        return run_attempts(
            self.attempts(attempts=attempts, timeout=timeout, isolation=isolation), function, *args
        )

    def attempts(
        self,
        *,
        attempts: int | None = None,
        timeout: float = ATTEMPTS_SECONDS_DEFAULT,
        isolation: Isolation = "serializable",
    ) -> Attempts:
        """Try a transaction until it does not conflict, inline.

        Example:
            ```python
            for attempt in db.attempts():
                with attempt as tx:
                    accounts = tx.open_btree("accounts")
                    ...
            ```
        """
        return Attempts(
            lambda: self.begin_transaction(isolation=isolation),
            self._database._count_retry,
            Patience(attempts, timeout),
        )

    def remove_btree(self, name: str) -> None:
        """Remove a B-tree store and everything in it, in a transaction of its own.

        Raises:
            StoreNotFoundError: There is none of that name.
        """

        def remove(transaction: Transaction) -> None:
            transaction.remove_btree(name)

        self.run(remove)

    def remove_blob_store(self, name: str) -> None:
        """Remove a blob store and everything in it, in a transaction of its own."""

        def remove(transaction: Transaction) -> None:
            transaction.remove_blob_store(name)

        self.run(remove)

    def remove_model_store(self, name: str) -> None:
        """Remove a model store and everything in it, in a transaction of its own."""

        def remove(transaction: Transaction) -> None:
            transaction.remove_model_store(name)

        self.run(remove)

    def remove_vector_store(self, name: str) -> None:
        """Remove a vector store and everything in it, in a transaction of its own."""

        def remove(transaction: Transaction) -> None:
            transaction.remove_vector_store(name)

        self.run(remove)

    def remove_search(self, name: str) -> None:
        """Remove a search store and everything in it, in a transaction of its own."""

        def remove(transaction: Transaction) -> None:
            transaction.remove_search(name)

        self.run(remove)

    def bulk_load(
        self,
        name: str,
        rows: Iterable[Any],
        options: BtreeOptions | None = None,
        *,
        index_spec: IndexSpecification | None = None,
        key_type: Any = None,
        value_type: Any = None,
        refuse_duplicates: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Fill a new or empty store in one commit, several times faster than transactions do.

        The arguments, and what it raises, are those of `sopasync.Database.bulk_load`; the rows come from a plain
        iterable. Failing, nothing is left.

        Returns:
            How many rows there were.
        """
        engine = self._database._require_open()
        schema = schema_of(name, options, index_spec, key_type)
        native = engine.begin(0, read_only=True)
        existing = native.find_store(name)
        refuse_indexed(name, schema, options, existing, native)
        load = BulkLoad(engine, name, schema, existing, (key_type, value_type))
        return load.run_blocking(rows, refuse_duplicates=refuse_duplicates, progress=progress)

    def settle(self, name: str) -> None:
        """Wait until everything committed so far to a store is indexed; see `sopasync.Database.settle`.

        Raises:
            StoreNotFoundError: There is none of that name.
        """
        engine = self._database._require_open()
        with self.begin_transaction(TransactionMode.FOR_READING) as transaction:
            found = drive(transaction._transaction.describe(name))
            parts = [found.store_id]
            if found.kind == "btree":
                native = transaction._transaction._native
                parts += [number for number, _ in list_indexes(native, found.store_id)]
        for part in parts:
            engine.settle(part)

    # -- care -------------------------------------------------------------------------------------

    def statistics(self) -> DatabaseStatistics:
        """Return counters and gauges."""
        return self._database.statistics()

    def checkpoint(self) -> None:
        """Write what is only in the log to the page file."""
        self._database._require_open().checkpoint()

    def check(self, *, progress: Progress | None = None) -> CheckReport:
        """Verify the whole database: every page, order, count and free space."""
        return CheckReport.of(self._database._require_open().check(progress))

    def backup(
        self, path: str | os.PathLike[str], *, progress: Progress | None = None
    ) -> Mapping[str, object]:
        """Copy the database as of now to a new folder, while it is in use.

        Returns:
            What the engine says about the copy: its size and the commit it shows.
        """
        return self._database._require_open().backup(os.fspath(path), progress)

    def refresh(self) -> int:
        """Follow the owner's log up to its end; returns the last commit now visible. Read-only handles only."""
        return self._database._require_open().refresh()
