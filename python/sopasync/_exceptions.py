"""Every error the package raises, in one tree.

Each is constructed as ``Class(message, *, attribute=value, ...)``; the message is a sentence that
says what was wrong, where, and what to do, and the attributes carry the same facts for programs.
Where Python has a fitting error of its own, the class inherits from it too.

    SopasyncError
    ├── ConflictError                    another commit came first; run the transaction again
    ├── CommitUnknownError               the log failed while the commit was being made durable
    ├── TransactionStateError            (RuntimeError) a call that does not fit the transaction's state
    │   └── TransactionClosedError       it has committed or rolled back already
    │       └── TransactionExpiredError  (TimeoutError) its time limit ran out
    ├── ClosedError                      the database handle is not open
    ├── LoopMismatchError                (RuntimeError) used from another event loop
    ├── ForkedProcessError               (RuntimeError) used in a child after fork()
    ├── ReadOnlyError                    a write through something read-only
    ├── SnapshotExpiredError             a follower's snapshot was overtaken by its owner
    ├── ChangesLostError                 changes that were asked for are no longer kept
    ├── StoreError                       something about one store; has ``store``
    │   ├── StoreNotFoundError           (LookupError)
    │   ├── StoreExistsError             there already, with another kind or other options
    │   ├── KeyNotFound                  (KeyError)
    │   ├── DuplicateKeyError
    │   │   └── UniqueIndexError         another item has the same fields of a unique index
    │   ├── IndexNotFoundError           (LookupError)
    │   ├── IndexNotReadyError           the index is still being built, or cannot be
    │   ├── NotIndexableError            (ValueError) a field that has no place in an index
    │   ├── RelationError                an item refers to one that is not there, or is referred to
    │   ├── CodecError                   (ValueError) bytes and objects do not fit together
    │   ├── KeyTypeError                 (TypeError) a key or value of a type the store does not take
    │   ├── ValueTooLargeError           (ValueError) a key, ride-along part or value over its limit
    │   ├── StaleVersionError            a model is not at the version that was expected
    │   └── VectorError                  (ValueError) a vector or payload that the store does not take
    ├── UntrustedPickleError             a pickle was not loaded, because nobody said it can be trusted
    ├── StorageError                     (OSError) the operating system refused
    ├── CorruptionError                  stored bytes are not what was written
    ├── DatabaseLockedError              another process owns the database
    ├── UnsupportedFormatError           files of a version this one does not know
    ├── InvalidArgumentError             (ValueError)
    │   └── QueryError                   a search query that cannot be understood; has ``position``
    └── UnsupportedError                 (NotImplementedError)
"""

from __future__ import annotations

from typing import Any

__all__ = (
    "ChangesLostError",
    "ClosedError",
    "CodecError",
    "CommitUnknownError",
    "ConflictError",
    "CorruptionError",
    "DatabaseLockedError",
    "DuplicateKeyError",
    "ForkedProcessError",
    "IndexNotFoundError",
    "IndexNotReadyError",
    "InvalidArgumentError",
    "KeyNotFound",
    "KeyTypeError",
    "LoopMismatchError",
    "NotIndexableError",
    "QueryError",
    "ReadOnlyError",
    "RelationError",
    "SnapshotExpiredError",
    "SopasyncError",
    "StaleVersionError",
    "StorageError",
    "StoreError",
    "StoreExistsError",
    "StoreNotFoundError",
    "TransactionClosedError",
    "TransactionExpiredError",
    "TransactionStateError",
    "UniqueIndexError",
    "UnsupportedError",
    "UnsupportedFormatError",
    "UntrustedPickleError",
    "ValueTooLargeError",
    "VectorError",
)


def _rebuild(cls: type[SopasyncError], message: str, state: dict[str, Any]) -> SopasyncError:
    error = cls(message)
    for name, value in state.items():
        setattr(error, name, value)
    return error


class SopasyncError(Exception):
    """The root: catch this to catch everything the package raises on purpose."""

    retryable: bool = False
    """Whether running the same transaction again may succeed."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        # KeyError would show the repr of the message, OSError an errno.
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.__dict__.copy())


class ConflictError(SopasyncError):
    """Another transaction committed first what this one read or wrote; nothing of it was applied."""

    retryable = True

    def __init__(
        self,
        message: str = "",
        *,
        store: str | None = None,
        keys: tuple[object, ...] = (),
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.store = store
        """The store in which the conflict was found."""
        self.keys = tuple(keys)
        """The keys that conflicted, decoded where the store is open, else their encoded bytes."""
        self.reason = reason


class CommitUnknownError(SopasyncError):
    """The log failed while the commit was being made durable: reopen the database and look."""

    def __init__(self, message: str = "", *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class TransactionStateError(SopasyncError, RuntimeError):
    """The call does not fit the state the transaction is in."""


class TransactionClosedError(TransactionStateError):
    """The transaction has committed or rolled back already."""


class TransactionExpiredError(TransactionClosedError, TimeoutError):
    """The transaction's time limit ran out; it was rolled back."""


class ClosedError(SopasyncError):
    """The database handle has not been opened, or has been closed."""


class LoopMismatchError(SopasyncError, RuntimeError):
    """A handle belongs to the event loop that opened it; open another one in this loop."""


class ForkedProcessError(SopasyncError, RuntimeError):
    """A handle does not survive ``fork()``; open another one in the child."""


class ReadOnlyError(SopasyncError):
    """A write through a read-only transaction or a read-only database."""


class SnapshotExpiredError(SopasyncError):
    """A read-only follower's snapshot was overtaken by the owner; begin another transaction."""

    retryable = True


class ChangesLostError(SopasyncError):
    """Changes that were asked for are no longer kept: begin again with a snapshot."""

    def __init__(self, message: str = "", *, seq: int | None = None) -> None:
        super().__init__(message)
        self.seq = seq
        """The commit after which they were asked for."""


class StoreError(SopasyncError):
    """Something about one store."""

    def __init__(self, message: str = "", *, store: str | None = None) -> None:
        super().__init__(message)
        self.store = store
        """Name of the store."""


class StoreNotFoundError(StoreError, LookupError):
    """There is no store of that name at this snapshot."""


class StoreExistsError(StoreError):
    """A store of that name is there already, with another kind or other options."""


class _KeyedError(StoreError):
    """An error about one key of a store."""

    def __init__(
        self, message: str = "", *, store: str | None = None, key: object = None, index: int | None = None
    ) -> None:
        super().__init__(message, store=store)
        self.key = key
        """The key in question."""
        self.index = index
        """Its position in the list given, for calls that take a list."""


class KeyNotFound(_KeyedError, KeyError):  # noqa: N818 - named after KeyError, as Python's users know it
    """The key is not in the store."""


class DuplicateKeyError(_KeyedError):
    """The key is in the store already, and keys are unique there."""


class UniqueIndexError(DuplicateKeyError):
    """Another item has the same fields, and a unique index admits them once; nothing was changed."""

    def __init__(
        self,
        message: str = "",
        *,
        store: str | None = None,
        key: object = None,
        index: int | None = None,
        index_name: str | None = None,
        held_by: object = None,
    ) -> None:
        super().__init__(message, store=store, key=key, index=index)
        self.index_name = index_name
        """Name of the index in the store."""
        self.held_by = held_by
        """Key of the item that has the fields."""


class IndexNotFoundError(StoreError, LookupError):
    """The store has no index of that name at this snapshot."""

    def __init__(self, message: str = "", *, store: str | None = None, index_name: str | None = None) -> None:
        super().__init__(message, store=store)
        self.index_name = index_name


class IndexNotReadyError(StoreError):
    """The index is still being built, or cannot be built."""

    def __init__(self, message: str = "", *, store: str | None = None, index_name: str | None = None) -> None:
        super().__init__(message, store=store)
        self.index_name = index_name


class NotIndexableError(StoreError, ValueError):
    """A field of a value has no place in an index: a dict, a list, NaN; nothing was changed."""

    def __init__(
        self,
        message: str = "",
        *,
        store: str | None = None,
        index_name: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message, store=store)
        self.index_name = index_name
        self.field = field
        """Path of the field."""


class RelationError(StoreError):
    """An item refers to one that is not there, or is to go while others refer to it; nothing was changed."""

    def __init__(
        self,
        message: str = "",
        *,
        store: str | None = None,
        key: object = None,
        index_name: str | None = None,
        other_store: str | None = None,
        other_key: object = None,
    ) -> None:
        super().__init__(message, store=store)
        self.key = key
        """Key of the item in `store`; its encoded bytes where that store is not the one that was called."""
        self.index_name = index_name
        """The index that keeps the relation."""
        self.other_store = other_store
        self.other_key = other_key
        """Encoded key of the item in `other_store`."""


class CodecError(_KeyedError, ValueError):
    """Bytes and objects do not fit together: a value cannot be packed, or not be unpacked as its type."""


class KeyTypeError(StoreError, TypeError):
    """A key, or a value, of a type the store does not take."""


class ValueTooLargeError(StoreError, ValueError):
    """A key, a ride-along part or a value over its limit."""

    def __init__(
        self,
        message: str = "",
        *,
        store: str | None = None,
        length: int | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__(message, store=store)
        self.length = length
        self.limit = limit


class StaleVersionError(_KeyedError):
    """A model is not at the version that was expected: load it, and decide again."""

    def __init__(
        self,
        message: str = "",
        *,
        store: str | None = None,
        key: Any = None,
        found: int = 0,
        expected: int = 0,
    ) -> None:
        super().__init__(message, store=store, key=key)
        self.found = found
        """Version it is at; 0 when there is none."""
        self.expected = expected


class UntrustedPickleError(SopasyncError):
    """A pickle was not loaded, because nobody said that it can be trusted."""


class VectorError(StoreError, ValueError):
    """A vector or payload that the vector store does not take: its dimension, type, or elements."""


class StorageError(SopasyncError, OSError):
    """The operating system refused a file operation."""

    def __init__(
        self,
        message: str = "",
        *,
        file: str | None = None,
        operation: str | None = None,
        errno: int | None = None,
    ) -> None:
        super().__init__(message)
        self.file = file
        self.operation = operation
        self.errno = errno

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError keeps errno outside the instance's dictionary.
        return _rebuild, (type(self), self.message, {**self.__dict__, "errno": self.errno})


class CorruptionError(SopasyncError):
    """Stored bytes are not what was written; restore from a backup."""

    def __init__(
        self,
        message: str = "",
        *,
        file: str | None = None,
        offset: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.file = file
        """Name of the damaged file."""
        self.offset = offset
        """Byte at which the damage was found."""
        self.reason = reason


class DatabaseLockedError(SopasyncError):
    """Another process owns the database; close it there, or open it read-only here."""

    def __init__(self, message: str = "", *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class UnsupportedFormatError(SopasyncError):
    """The files were written by a version this one does not know."""

    def __init__(
        self,
        message: str = "",
        *,
        file: str | None = None,
        found: int | None = None,
        supported: int | None = None,
    ) -> None:
        super().__init__(message)
        self.file = file
        self.found = found
        self.supported = supported


class InvalidArgumentError(SopasyncError, ValueError):
    """An argument outside what the call accepts."""


class QueryError(InvalidArgumentError):
    """A search query that cannot be understood."""

    def __init__(self, message: str = "", *, query: str | None = None, position: int | None = None) -> None:
        super().__init__(message)
        self.query = query
        """What was asked, when it was a text."""
        self.position = position
        """Where in `query` the trouble begins, in characters from 0; ``None`` in an expression."""


class UnsupportedError(SopasyncError, NotImplementedError):
    """Something this version, or this database, does not offer."""
