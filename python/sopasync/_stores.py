"""`TransactionStores`: how a transaction opens, makes and removes stores of every kind."""

# A part of `Transaction`, in a file of its own; what they share is nobody else's.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._blob_rows import BlobConfig
from ._blobs import BlobStore
from ._btree import BtreeStore
from ._btree_actor import BtreeActor
from ._core import SearchSchema as NativeSchema
from ._core import has_made
from ._enforced import make_relations, relations_of
from ._exceptions import ReadOnlyError, StoreExistsError, StoreNotFoundError, UnsupportedError
from ._indexes import make_or_compare
from ._kinds import Kind, label_of
from ._model_rows import model_options
from ._models import ModelStore
from ._options import TransactionMode
from ._relations import TransactionRelations
from ._rows import RowsActor, open_rows
from ._schema import schema_of
from ._search import SearchStore
from ._search_actor import SearchActor
from ._search_config import SearchConfig, SearchSchema
from ._statistics import StoreDescription
from ._vector import VectorStore
from ._vector_actor import VectorActor

if TYPE_CHECKING:
    from ._btree_options import BtreeOptions, IndexSpecification
    from ._core import StoreInfo
    from ._core import Transaction as Native
    from ._database import Database
    from ._turns import Turns
    from ._vector_config import VectorConfig

K = TypeVar("K")
V = TypeVar("V")


class TransactionStores(TransactionRelations):
    """The part of `Transaction` that opens stores."""

    __slots__ = ()

    _database: Database
    _mode: TransactionMode
    _native: Native
    _turns: Turns

    async def stores(self) -> list[StoreDescription]:
        """List the stores there are at this snapshot, the ones made here included."""
        await self._turn()
        return [StoreDescription.of(info, self._native) for info in self._native.stores()]

    async def describe(self, name: str) -> StoreDescription:
        """Describe a store of any kind.

        Raises:
            StoreNotFoundError: There is none of that name at this snapshot.
        """
        await self._turn()
        info = self._native.find_store(name)
        if info is None:
            raise StoreNotFoundError(
                f"there is no store '{name}': stores() lists those there are", store=name
            )
        return StoreDescription.of(info, self._native)

    @overload
    async def new_btree(
        self,
        name: str,
        options: BtreeOptions | None = None,
        *,
        index_spec: IndexSpecification | None = None,
        key_type: type[K],
        value_type: type[V],
    ) -> BtreeStore[K, V]: ...
    @overload
    async def new_btree(
        self,
        name: str,
        options: BtreeOptions | None = None,
        *,
        index_spec: IndexSpecification | None = None,
        value_type: type[V],
    ) -> BtreeStore[Any, V]: ...
    @overload
    async def new_btree(
        self,
        name: str,
        options: BtreeOptions | None = None,
        *,
        index_spec: IndexSpecification | None = None,
        key_type: type[K],
    ) -> BtreeStore[K, Any]: ...
    @overload
    async def new_btree(
        self, name: str, options: BtreeOptions | None = None, *, index_spec: IndexSpecification | None = None
    ) -> BtreeStore[Any, Any]: ...
    async def new_btree(
        self,
        name: str,
        options: BtreeOptions | None = None,
        *,
        index_spec: IndexSpecification | None = None,
        key_type: Any = None,
        value_type: Any = None,
    ) -> BtreeStore[Any, Any]:
        """Make a B-tree store, or open the one that is there with the same options.

        Args:
            name: Name of the store.
            options: Uniqueness, description, relations; see `BtreeOptions`.
            index_spec: Which fields of record keys decide their order.
            key_type: What keys are: checked on the way in, made on the way out. A dataclass, Struct or
                TypedDict makes a store of record keys, ordered by `index_spec` or else by all its fields.
            value_type: What values are: checked on the way in, made on the way out.

        Raises:
            StoreExistsError: It is there with other options.
            ReadOnlyError: The transaction only reads.
        """
        wanted = schema_of(name, options, index_spec, key_type)
        await self._turn()
        indexes = [] if options is None else list(options.indexes)
        before = self._native.savepoint() if indexes or wanted.relations else None
        info = self._find_or_create(name, Kind.BTREE, wanted.to_bytes())
        actor = self._database._actor(info, BtreeActor)
        made_here = has_made(self._native, info.id)  # then its relations come below
        relations = actor.schema.relations if made_here else relations_of(self._native, actor.schema, info.id)
        differences = actor.schema.differences(wanted, relations)
        if differences:
            raise exists_otherwise(name, Kind.BTREE, differences)
        try:
            make_or_compare(self._native, name, wanted, info.id, indexes)
            make_relations(self._native, name, wanted, info.id)
        except BaseException:
            if before is not None:
                self._native.rollback_to(before)
            raise
        return BtreeStore(self._turns, self._native, info.id, actor, actor.typed(key_type, value_type))

    @overload
    async def open_btree(self, name: str, *, key_type: type[K], value_type: type[V]) -> BtreeStore[K, V]: ...
    @overload
    async def open_btree(self, name: str, *, value_type: type[V]) -> BtreeStore[Any, V]: ...
    @overload
    async def open_btree(self, name: str, *, key_type: type[K]) -> BtreeStore[K, Any]: ...
    @overload
    async def open_btree(self, name: str) -> BtreeStore[Any, Any]: ...
    async def open_btree(
        self, name: str, *, key_type: Any = None, value_type: Any = None
    ) -> BtreeStore[Any, Any]:
        """Open a B-tree store; its options come from the catalogue.

        Raises:
            StoreNotFoundError: There is none of that name at this snapshot.
        """
        self._require_begun()
        if not self._turns.ready():
            await self._turn()
        # Most transactions open stores this handle has seen before, and need not be told again what those are like.
        store_id = self._native.store_id(name)
        actor = self._database._btrees_by_id.get(store_id)
        if store_id is None or actor is None:
            info = self._find(name, Kind.BTREE)
            store_id, actor = info.id, self._database._actor(info, BtreeActor)
            self._database._remember(store_id, actor)
        return BtreeStore(self._turns, self._native, store_id, actor, actor.typed(key_type, value_type))

    async def remove_btree(self, name: str) -> None:
        """Remove a B-tree store and everything in it, when this transaction commits.

        Raises:
            StoreNotFoundError: There is none of that name at this snapshot.
            ReadOnlyError: The transaction only reads.
        """
        await self._remove(name, Kind.BTREE)

    async def open_blob_store(self, name: str, config: BlobConfig | None = None) -> BlobStore:
        """Open a blob store; a transaction that writes makes it when it is not there.

        Args:
            name: Name of the store.
            config: How to make it. When it is there already, it must have been made so.

        Raises:
            StoreNotFoundError: There is none of that name, and the transaction only reads.
            StoreExistsError: It was made with another config.
        """
        await self._turn()
        if self._mode is TransactionMode.FOR_READING:
            info = self._find(name, Kind.BLOB)
        else:
            info = self._find_or_create(name, Kind.BLOB, (config or BlobConfig()).to_bytes())
        actor = self._database._actor(info, RowsActor)
        found = BlobConfig.of_options(actor.options)
        if config is not None and found != config:
            raise exists_otherwise(name, Kind.BLOB, f"it was made with {found}")
        return BlobStore(open_rows(self._turns, self._native, info.id, actor), found)

    async def remove_blob_store(self, name: str) -> None:
        """Remove a blob store and everything in it, when this transaction commits.

        Raises:
            StoreNotFoundError: There is none of that name at this snapshot.
            ReadOnlyError: The transaction only reads.
        """
        await self._remove(name, Kind.BLOB)

    async def open_model_store(self, name: str, *, description: str = "") -> ModelStore:
        """Open a model store; a transaction that writes makes it when it is not there.

        Args:
            name: Name of the store.
            description: What it is for, when it is made now.

        Raises:
            StoreNotFoundError: There is none of that name, and the transaction only reads.
        """
        await self._turn()
        if self._mode is TransactionMode.FOR_READING:
            info = self._find(name, Kind.MODEL)
        else:
            info = self._find_or_create(name, Kind.MODEL, model_options(description))
        actor = self._database._actor(info, RowsActor)
        return ModelStore(open_rows(self._turns, self._native, info.id, actor))

    async def remove_model_store(self, name: str) -> None:
        """Remove a model store and everything in it, when this transaction commits.

        Raises:
            StoreNotFoundError: There is none of that name at this snapshot.
            ReadOnlyError: The transaction only reads.
        """
        await self._remove(name, Kind.MODEL)

    @overload
    async def open_vector_store(
        self, name: str, config: VectorConfig | None = None, *, payload_type: type[V]
    ) -> VectorStore[Any, V]: ...
    @overload
    async def open_vector_store(
        self, name: str, config: VectorConfig | None = None
    ) -> VectorStore[Any, Any]: ...
    async def open_vector_store(
        self, name: str, config: VectorConfig | None = None, *, payload_type: Any = None
    ) -> VectorStore[Any, Any]:
        """Open a vector store; with a config, a transaction that writes makes it when it is not there.

        Args:
            name: Name of the store.
            config: How to make it. When it is there already, it must have been made so.
            payload_type: What payloads are, when not dicts: a dataclass, Struct or TypedDict.

        Raises:
            StoreNotFoundError: There is none of that name, and no config was given or the transaction only reads.
            StoreExistsError: It was made with another config.
        """
        await self._turn()
        if config is None or self._mode is TransactionMode.FOR_READING:
            info = self._find(name, Kind.VECTOR)
        else:
            info = self._find_or_create(name, Kind.VECTOR, config.to_bytes())
        actor = self._database._actor(info, VectorActor)
        differences = "" if config is None else actor.config.differences(config)
        if differences:
            raise exists_otherwise(name, Kind.VECTOR, differences)
        store = VectorStore[Any, Any](self._turns, self._native, actor, actor.payload(payload_type))
        self._turns.join(store)
        return store

    async def remove_vector_store(self, name: str) -> None:
        """Remove a vector store and everything in it, when this transaction commits.

        Raises:
            StoreNotFoundError: There is none of that name at this snapshot.
            ReadOnlyError: The transaction only reads.
        """
        await self._remove(name, Kind.VECTOR)

    async def open_search(self, name: str, config: SearchConfig | None = None) -> SearchStore:
        """Open a search store; with a `config`, make it when it is not there, or change it to that.

        A config that only weighs otherwise (boosts, ``k1``, ``b``, the description) is in force at once. One that makes
        other terms of texts has the index made anew in the background, of the texts that are kept: searches go by the
        old rules until it is complete. `Database.settle` waits for that.

        Raises:
            StoreNotFoundError: There is none of that name at this snapshot, and no config to make it by.
            StoreExistsError: It is there with other fields, or with a config it cannot be changed from: it keeps no
                texts, or the transaction only reads.
            ReadOnlyError: It would have to be made, and the transaction only reads.
        """
        options = None if config is None else config.to_bytes()
        if options is not None:
            NativeSchema(options)  # refuses what makes no sense before anything is made
        await self._turn()
        info = (
            self._find(name, Kind.SEARCH)
            if options is None
            else self._find_or_create(name, Kind.SEARCH, options)
        )
        actor = self._database._actor(info, SearchActor)
        store = SearchStore(self._turns, self._native, actor)
        if options is not None:
            self._change_search(store, options)
        self._turns.join(store)
        return store

    def _change_search(self, store: SearchStore, options: bytes) -> None:
        """Make a search store one of these options, if it is none."""
        in_force, wanted = store.participant.options()
        now = SearchSchema.from_bytes(store.name, wanted or in_force)
        asked = SearchSchema.from_bytes(store.name, options)
        differences = now.differences(asked)
        if not differences:
            return
        if self._mode is TransactionMode.FOR_READING or not now.can_become(asked):
            raise exists_otherwise(store.name, Kind.SEARCH, differences)
        store.participant.change(now.changed_to(asked))

    async def remove_search(self, name: str) -> None:
        """Remove a search store and everything in it, when this transaction commits.

        Raises:
            StoreNotFoundError: There is none of that name at this snapshot.
            ReadOnlyError: The transaction only reads.
        """
        await self._remove(name, Kind.SEARCH)

    # -- for stores of every kind -------------------------------------------------------------------

    async def _turn(self) -> None:
        """Wait until what follows, which cannot suspend, may run."""
        self._require_begun()
        if not self._turns.ready():
            async with self._turns.turn():
                pass

    def _require_begun(self) -> None:
        raise NotImplementedError

    def _find(self, name: str, kind: Kind) -> StoreInfo:
        """Look a store up that must be there, and of this kind."""
        info = self._native.find_store(name)
        if info is None:
            raise _not_found(name, kind)
        _require_kind(info, kind)
        return info

    def _find_or_create(self, name: str, kind: Kind, options: bytes) -> StoreInfo:
        """Make a store; or the one that is there, of this kind but perhaps with other options."""
        if self._mode is not TransactionMode.FOR_READING:
            # Not looked for first: the commit would then depend on its absence, and two tasks that
            # make the same store at once would conflict instead of sharing it.
            with contextlib.suppress(StoreExistsError):
                return self._native.create_store(name, kind, options)
        info = self._native.find_store(name)
        if info is None:
            self._require_writing(f"make {kind.label} '{name}'")
            raise _not_found(name, kind)
        _require_kind(info, kind)
        return info

    async def _remove(self, name: str, kind: Kind) -> None:
        """Remove a store of this kind."""
        await self._turn()
        self._require_writing(f"remove {kind.label} '{name}'")
        self._native.remove_store(self._find(name, kind).id)

    def _require_writing(self, what: str) -> None:
        if self._mode is TransactionMode.FOR_READING:
            raise ReadOnlyError(
                f"cannot {what}: this transaction only reads. Begin one with TransactionMode.FOR_WRITING"
            )


def exists_otherwise(name: str, kind: Kind, differences: str) -> StoreExistsError:
    """The store is there, but not as it was asked for."""
    return StoreExistsError(
        f"store '{name}' exists already, otherwise than asked for: {differences}. "
        f"Open it with {kind.opened_by}, or remove it first",
        store=name,
    )


def _not_found(name: str, kind: Kind) -> StoreNotFoundError:
    remedies = {
        Kind.BTREE: "make it with new_btree()",
        Kind.MODEL: "a transaction that writes makes it when it opens it",
        Kind.BLOB: "a transaction that writes makes it when it opens it",
    }
    remedy = remedies.get(kind, f"give {kind.opened_by} a config to make it")
    return StoreNotFoundError(f"there is no store '{name}': {remedy}", store=name)


def _require_kind(info: StoreInfo, kind: Kind) -> None:
    if info.kind != kind:
        raise UnsupportedError(
            f"store '{info.name}' is not a {kind.label} but a {label_of(info.kind)}: "
            "open it with the method of its kind"
        )
