"""`DatabaseStores`: what a database does with whole stores, in transactions of its own."""

# A part of `Database`, in a file of its own; what they share is nobody else's.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import abc
import functools
import weakref
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ._blob_upload import Upload, UploadSource
from ._bulk import BulkLoad, Rows, refuse_indexed
from ._core import list_indexes
from ._opening import on_thread
from ._options import TransactionMode
from ._schema import schema_of
from ._transaction import Transaction
from ._watch import Stores as WatchedStores
from ._watch import Watch

if TYPE_CHECKING:
    from ._blob_rows import BlobInfo
    from ._btree_options import BtreeOptions, IndexSpecification
    from ._core import Engine
    from ._wakeup import Wakeup

R = TypeVar("R")


class DatabaseStores(abc.ABC):
    """The part of `Database` about whole stores."""

    _wakeup: Wakeup
    _watches: weakref.WeakSet[Watch]

    @abc.abstractmethod
    async def run(self, function: Callable[..., Awaitable[R]], *args: Any) -> R: ...

    @abc.abstractmethod
    def begin_transaction(self, mode: TransactionMode = ..., *, max_time: float = ...) -> Transaction: ...

    @abc.abstractmethod
    async def refresh(self) -> int: ...

    @property
    @abc.abstractmethod
    def read_only(self) -> bool: ...

    @abc.abstractmethod
    def _require_open(self) -> Engine: ...

    async def remove_btree(self, name: str) -> None:
        """Remove a B-tree store and everything in it, in a transaction of its own.

        Raises:
            StoreNotFoundError: There is none of that name.
        """
        await self.run(Transaction.remove_btree, name)

    async def remove_blob_store(self, name: str) -> None:
        """Remove a blob store and everything in it, in a transaction of its own.

        Raises:
            StoreNotFoundError: There is none of that name.
        """
        await self.run(Transaction.remove_blob_store, name)

    async def remove_model_store(self, name: str) -> None:
        """Remove a model store and everything in it, in a transaction of its own.

        Raises:
            StoreNotFoundError: There is none of that name.
        """
        await self.run(Transaction.remove_model_store, name)

    async def remove_vector_store(self, name: str) -> None:
        """Remove a vector store and everything in it, in a transaction of its own.

        Raises:
            StoreNotFoundError: There is none of that name.
        """
        await self.run(Transaction.remove_vector_store, name)

    async def remove_search(self, name: str) -> None:
        """Remove a search store and everything in it, in a transaction of its own.

        Raises:
            StoreNotFoundError: There is none of that name.
        """
        await self.run(Transaction.remove_search, name)

    async def settle(self, name: str) -> None:
        """Wait until everything committed so far to a store is indexed, and nothing is left to merge or purge.

        Queries need no such wait: they see every commit at once. A benchmark may, or a job that ends. An index that was
        added to a B-tree store is used once it is complete, so whoever added it waits here.

        Raises:
            StoreNotFoundError: There is none of that name.
        """
        engine = self._require_open()
        async with self.begin_transaction(TransactionMode.FOR_READING) as transaction:
            found = await transaction.describe(name)
            parts = [found.store_id]
            if found.kind == "btree":
                parts += [number for number, _ in list_indexes(transaction._native, found.store_id)]
        for part in parts:
            await on_thread(functools.partial(engine.settle, part))

    async def upload_blob(
        self,
        store: str,
        name: str,
        source: UploadSource,
        *,
        replace: bool = False,
        content_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> BlobInfo:
        """Upload a file, or any seekable binary stream, into a blob; an interrupted upload goes on where it was.

        It commits as it goes, in transactions of its own. Nothing shows before the last of them. Called again
        with the same names and source after a crash, a cancellation or an error, it goes on with what is
        there; with another source, it begins anew. What is never finished is listed by
        `BlobStore.uploads` and dropped by `BlobStore.abort_upload`.

        Args:
            store: Name of the blob store; made when it is not there.
            name: Name of the blob.
            source: A path, or a binary file that can seek.
            replace: Take the place of a blob of that name.
            content_type: Media type.
            metadata: As in `BlobStore.create`.
            progress: Called with bytes done and bytes in all, first of all with those of an earlier try.

        Raises:
            DuplicateKeyError: There is a blob of that name, and `replace` is false.
        """
        upload = Upload(self.run, store, name, replace=replace, content_type=content_type, metadata=metadata)
        return await upload.run(source, progress)

    async def bulk_load(
        self,
        name: str,
        rows: Rows,
        options: BtreeOptions | None = None,
        *,
        index_spec: IndexSpecification | None = None,
        key_type: Any = None,
        value_type: Any = None,
        refuse_duplicates: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Fill a new or empty store in one commit, several times faster than transactions do.

        The rows may come in any order and be more than fits into memory. Nothing shows before the
        end; cancelled or failing, nothing is left.

        Args:
            name: Name of the store.
            rows: Items or (key, value) tuples, from any iterable or async iterable.
            options: How to make the store, as in `Transaction.new_btree`.
            index_spec: Order of record keys.
            key_type: What keys are.
            value_type: What values are.
            refuse_duplicates: Fail when a key comes twice; otherwise the last one holds.
            progress: Called with the number of rows so far.

        Returns:
            How many rows there were.

        Raises:
            StoreExistsError: The store is there with other options.
            InvalidArgumentError: The store is not empty.
        """
        engine = self._require_open()
        schema = schema_of(name, options, index_spec, key_type)
        async with self.begin_transaction(TransactionMode.FOR_READING) as transaction:
            existing = transaction._native.find_store(name)
            refuse_indexed(name, schema, options, existing, transaction._native)
        load = BulkLoad(engine, name, schema, existing, (key_type, value_type))
        return await load.run(rows, refuse_duplicates=refuse_duplicates, progress=progress)

    def watch(
        self,
        stores: WatchedStores | None = None,
        *,
        since: int | None = None,
        snapshot: bool = False,
    ) -> Watch:
        """Watch committed changes, in the order of commits: ``async for change in db.watch(["users"])``.

        Costs commits nothing: changes are read from the log. Works in read-only handles too, which follow the owner.
        How far back changes are kept is `DatabaseOptions.changes_kept_bytes`.

        Args:
            stores: Names of the stores to watch, or a dict from names to the types of their values; without it, all.
            since: Begin after this commit; without it, after the newest one there is now.
            snapshot: Begin with what the stores hold, as changes of kind ``"snapshot"``, and go on from there.

        Raises, while iterating:
            ChangesLostError: The changes after `since` are no longer kept, or the reader was overtaken.
        """
        engine = self._require_open()
        self._wakeup.check_loop()
        watch = Watch(self, engine, self._wakeup, stores, since, snapshot=snapshot)
        self._watches.add(watch)
        return watch
