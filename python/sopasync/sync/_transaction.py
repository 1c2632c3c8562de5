"""`Transaction`: one snapshot to read, a set of writes, and the way they end."""

# A part of the package that blocks where `sopasync` awaits; what they share is nobody else's.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final, overload

from sopasync._blocking import drive
from sopasync._transaction import Transaction as AsyncTransaction

from ._blobs import BlobStore
from ._btree import BtreeStore
from ._calls import Blocking
from ._index import Join, Related
from ._models import ModelStore
from ._search import SearchStore
from ._vector import VectorStore

if TYPE_CHECKING:
    from types import TracebackType

    from sopasync._blob_rows import BlobConfig
    from sopasync._btree_options import BtreeOptions, IndexSpecification, Relation
    from sopasync._item import Item
    from sopasync._joins import How
    from sopasync._options import Isolation, TransactionMode
    from sopasync._savepoint import Savepoint as AsyncSavepoint
    from sopasync._search_config import SearchConfig
    from sopasync._statistics import StoreDescription
    from sopasync._transaction import TransactionOutcome, TransactionState
    from sopasync._vector_config import VectorConfig

K = TypeVar("K")
V = TypeVar("V")
OK = TypeVar("OK")
OV = TypeVar("OV")


@final
class Transaction:
    """A transaction, made by `Database.begin_transaction`. Belongs to one thread at a time.

    Use it as ``with``: it commits when the block is left normally and rolls back when an exception leaves
    it. Or call `begin`, and then `commit` or `rollback`. Inside the block a manual `commit` is refused;
    `rollback` ends the transaction early and the block then ends quietly.
    """

    __slots__ = ("_transaction",)

    def __init__(self, transaction: AsyncTransaction) -> None:
        self._transaction = transaction

    def __repr__(self) -> str:
        return repr(self._transaction).replace("sopasync.", "sopasync.sync.", 1)

    @property
    def state(self) -> TransactionState:
        """Where the transaction is in its life."""
        return self._transaction.state

    @property
    def outcome(self) -> TransactionOutcome | None:
        """How it ended; ``None`` while it has not."""
        return self._transaction.outcome

    @property
    def commit_seq(self) -> int | None:
        """Position of its commit among all commits; ``None`` unless it has written and committed."""
        return self._transaction.commit_seq

    @property
    def snapshot_seq(self) -> int:
        """The last commit this transaction sees."""
        return self._transaction.snapshot_seq

    @property
    def mode(self) -> TransactionMode:
        """What the transaction may do."""
        return self._transaction.mode

    @property
    def isolation(self) -> Isolation:
        """How strictly the commit is checked."""
        return self._transaction.isolation

    def begin(self) -> None:
        """Take the snapshot; see `sopasync.Transaction.begin`."""
        self._transaction.begin()

    def __enter__(self) -> Transaction:
        drive(self._transaction.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        drive(self._transaction.__aexit__(kind, error, trace))

    def commit(self) -> None:
        """Make every change of the transaction durable and visible, or none. Waits for the log.

        Raises:
            ConflictError: Another transaction committed first; nothing was applied.
            CommitUnknownError: The log failed in between.
            TransactionStateError: Inside ``with``, or not begun.
            TransactionClosedError: It has ended already.
        """
        drive(self._transaction.commit())

    def rollback(self) -> None:
        """Forget every change; does nothing when the transaction has ended."""
        self._transaction.rollback()

    def savepoint(self) -> Savepoint:
        """A part of the transaction that is undone when an exception leaves it: ``with tx.savepoint()``."""
        return Savepoint(self._transaction.savepoint())

    def stores(self) -> list[StoreDescription]:
        """List the stores there are at this snapshot, the ones made here included."""
        return drive(self._transaction.stores())

    @overload
    def new_btree(
        self,
        name: str,
        options: BtreeOptions | None = None,
        *,
        index_spec: IndexSpecification | None = None,
        key_type: type[K],
        value_type: type[V],
    ) -> BtreeStore[K, V]: ...
    @overload
    def new_btree(
        self,
        name: str,
        options: BtreeOptions | None = None,
        *,
        index_spec: IndexSpecification | None = None,
        value_type: type[V],
    ) -> BtreeStore[Any, V]: ...
    @overload
    def new_btree(
        self,
        name: str,
        options: BtreeOptions | None = None,
        *,
        index_spec: IndexSpecification | None = None,
        key_type: type[K],
    ) -> BtreeStore[K, Any]: ...
    @overload
    def new_btree(
        self, name: str, options: BtreeOptions | None = None, *, index_spec: IndexSpecification | None = None
    ) -> BtreeStore[Any, Any]: ...
    def new_btree(
        self,
        name: str,
        options: BtreeOptions | None = None,
        *,
        index_spec: IndexSpecification | None = None,
        key_type: Any = None,
        value_type: Any = None,
    ) -> BtreeStore[Any, Any]:
        """Make a B-tree store, or open the one that is there with the same options.

        The arguments are those of `sopasync.Transaction.new_btree`.

        Raises:
            StoreExistsError: It is there with other options.
            ReadOnlyError: The transaction only reads.
        """
        made = self._transaction.new_btree(
            name, options, index_spec=index_spec, key_type=key_type, value_type=value_type
        )
        return BtreeStore(drive(made))

    @overload
    def open_btree(self, name: str, *, key_type: type[K], value_type: type[V]) -> BtreeStore[K, V]: ...
    @overload
    def open_btree(self, name: str, *, value_type: type[V]) -> BtreeStore[Any, V]: ...
    @overload
    def open_btree(self, name: str, *, key_type: type[K]) -> BtreeStore[K, Any]: ...
    @overload
    def open_btree(self, name: str) -> BtreeStore[Any, Any]: ...
    def open_btree(self, name: str, *, key_type: Any = None, value_type: Any = None) -> BtreeStore[Any, Any]:
        """Open a B-tree store; its options come from the catalogue.

        Raises:
            StoreNotFoundError: There is none of that name at this snapshot.
        """
        return BtreeStore(drive(self._transaction.open_btree(name, key_type=key_type, value_type=value_type)))

    def remove_btree(self, name: str) -> None:
        """Remove a B-tree store and everything in it, when this transaction commits.

        Raises:
            StoreNotFoundError: There is none of that name at this snapshot.
            ReadOnlyError: The transaction only reads.
        """
        drive(self._transaction.remove_btree(name))

    def open_blob_store(self, name: str, config: BlobConfig | None = None) -> BlobStore:
        """Open a blob store; a transaction that writes makes it. See `sopasync.Transaction.open_blob_store`."""
        return BlobStore(drive(self._transaction.open_blob_store(name, config)))

    def open_model_store(self, name: str, *, description: str = "") -> ModelStore:
        """Open a model store; a transaction that writes makes it. See `sopasync.Transaction.open_model_store`."""
        return ModelStore(drive(self._transaction.open_model_store(name, description=description)))

    @overload
    def open_vector_store(
        self, name: str, config: VectorConfig | None = None, *, payload_type: type[V]
    ) -> VectorStore[Any, V]: ...
    @overload
    def open_vector_store(self, name: str, config: VectorConfig | None = None) -> VectorStore[Any, Any]: ...
    def open_vector_store(
        self, name: str, config: VectorConfig | None = None, *, payload_type: Any = None
    ) -> VectorStore[Any, Any]:
        """Open a vector store; with a config, make it. See `sopasync.Transaction.open_vector_store`."""
        opening = self._transaction.open_vector_store(name, config, payload_type=payload_type)
        return VectorStore(drive(opening))

    def open_search(self, name: str, config: SearchConfig | None = None) -> SearchStore:
        """Open a search store; with a config, make it. See `sopasync.Transaction.open_search`."""
        return SearchStore(drive(self._transaction.open_search(name, config)))

    remove_blob_store = Blocking(AsyncTransaction.remove_blob_store)
    remove_model_store = Blocking(AsyncTransaction.remove_model_store)
    remove_vector_store = Blocking(AsyncTransaction.remove_vector_store)
    remove_search = Blocking(AsyncTransaction.remove_search)
    describe = Blocking(AsyncTransaction.describe)
    create_index = Blocking(AsyncTransaction.create_index)
    drop_index = Blocking(AsyncTransaction.drop_index)
    create_relation = Blocking(AsyncTransaction.create_relation)
    drop_relation = Blocking(AsyncTransaction.drop_relation)

    @property
    def awaited(self) -> AsyncTransaction:
        """The transaction whose calls are awaited."""
        return self._transaction

    def join(
        self,
        left: BtreeStore[K, V],
        right: BtreeStore[OK, OV],
        *,
        relation: Relation | None = None,
        through: BtreeStore[Any, Any] | None = None,
        how: How = "inner",
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> Join[Item[K, V], Item[OK, OV]]:
        """Iterate over the items of two stores that belong together; see `sopasync.Transaction.join`."""
        return Join(
            self._transaction.join(
                left._store,
                right._store,
                relation=relation,
                through=None if through is None else through._store,
                how=how,
                prefix=prefix,
                start=start,
                stop=stop,
                reverse=reverse,
            )
        )

    def related(
        self,
        store: BtreeStore[K, V],
        item: Item[K, V] | K,
        other: BtreeStore[OK, OV],
        *,
        relation: Relation | None = None,
        through: BtreeStore[Any, Any] | None = None,
    ) -> Related[Item[OK, OV]]:
        """Iterate over the items of another store that belong to one; see `sopasync.Transaction.related`."""
        link = None if through is None else through._store
        return Related(
            self._transaction.related(store._store, item, other._store, relation=relation, through=link)
        )


@final
class Savepoint:
    """Made by `Transaction.savepoint`; an exception that leaves its block undoes the block and goes on."""

    __slots__ = ("_savepoint",)

    def __init__(self, savepoint: AsyncSavepoint) -> None:
        self._savepoint = savepoint

    def __enter__(self) -> Savepoint:
        drive(self._savepoint.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        drive(self._savepoint.__aexit__(kind, error, trace))

    def rollback(self) -> None:
        """Undo what the block has done so far, and stay in it."""
        self._savepoint.rollback()
