"""A blob store as an fsspec filesystem, so that pandas, Arrow, zarr, dask and others read and write it.

Needs the package ``fsspec``, which ``sopasync[fsspec]`` brings.

Example:
    ```python
    fs = fsspec.filesystem("sopasync", database="data/shop", store="files")
    frame.to_parquet("sopasync://reports/2026.parquet", storage_options={"database": "data/shop", "store": "files"})
    ```

Paths are names of blobs; folders are there as long as a blob lies in them. Each call is a transaction of its own:
a file that is being written shows when it is closed, all of it at once.
"""

# fsspec has no types, hands further arguments to every method, and the two classes know each other.
# ruff: noqa: ARG002
# pyright: reportPrivateUsage=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright: reportMissingTypeStubs=false, reportUntypedBaseClass=false, reportUnknownParameterType=false

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
import weakref
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Final

import anyio
from fsspec.asyn import AsyncFileSystem, iothread, sync
from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.spec import AbstractBufferedFile

from ._database import Database
from ._exceptions import InvalidArgumentError, KeyNotFound, StoreNotFoundError
from ._options import TransactionMode

if TYPE_CHECKING:
    from ._blob_rows import BlobInfo
    from ._blob_writer import BlobWriter
    from ._blobs import BlobStore
    from ._transaction import Transaction

__all__ = ("BlobFile", "BlobFileSystem")

CLOSE_SECONDS_MAX: Final = 10
"""How long the end of a file system nobody closed waits for its database."""


class BlobFileSystem(AsyncFileSystem):  # type: ignore[misc]
    """The blobs of one store as files.

    Args:
        database: Folder of the database, which is opened at the first use.
        store: Name of the blob store, which is made when something is written to it first.
        read_only: Only read; another process may own the database.
    """

    protocol = "sopasync"
    cachable = True
    root_marker = ""
    mirror_sync_methods = True

    def __init__(
        self, database: str | os.PathLike[str], store: str, *, read_only: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._path = os.fspath(database)
        self._store = store
        self._read_only = read_only
        self._opening = asyncio.Lock()
        self._database: Database | None = None

    @property
    def fsid(self) -> str:
        """What tells this file system from others."""
        return f"sopasync-{os.path.realpath(self._path)}-{self._store}"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        name: str = os.fspath(path)
        return name.removeprefix("sopasync://").removeprefix("sopasync:").strip("/")

    async def _db(self) -> Database:
        async with self._opening:
            if self._database is None:
                database = await Database(self._path, read_only=self._read_only).open()
                weakref.finalize(self, _close, self.loop, database)
                self._database = database
            return self._database

    async def _close(self) -> None:
        """Close the database; it is opened again at the next use."""
        database, self._database = self._database, None
        if database is not None:
            await database.aclose()

    def close(self) -> None:
        """Close the database; it is opened again at the next use."""
        sync(self.loop, self._close)

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncGenerator[BlobStore | None]:
        """The store at a snapshot; ``None`` when there is none yet."""
        database = await self._db()
        async with database.begin_transaction(TransactionMode.FOR_READING) as tx:
            try:
                store = await tx.open_blob_store(self._store)
            except StoreNotFoundError:
                store = None
            yield store

    async def _writing(self, change: Any) -> None:
        """Run ``change(store)`` in a transaction, again while it conflicts."""

        async def run(tx: Transaction) -> None:
            await change(await tx.open_blob_store(self._store))

        await (await self._db()).run(run)

    # -- reading ----------------------------------------------------------------------------------

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        name = self._strip_protocol(path)
        async with self._reading() as store:
            if store is not None and name:
                with contextlib.suppress(KeyNotFound):
                    return _file(await store.stat(name))
                blobs, folders = await store.list_level(f"{name}/")
                if blobs or folders:
                    return _folder(name)
        if not name:
            return _folder(name)
        raise FileNotFoundError(path)

    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        name = self._strip_protocol(path)
        found: list[dict[str, Any]] = []
        async with self._reading() as store:
            if store is not None:
                blobs, folders = await store.list_level(f"{name}/" if name else "")
                found = [_folder(folder.rstrip("/")) for folder in folders] + [_file(blob) for blob in blobs]
                if not found and name:
                    with contextlib.suppress(KeyNotFound):
                        found = [_file(await store.stat(name))]
        if not found and name:
            raise FileNotFoundError(path)
        found.sort(key=lambda entry: entry["name"])
        return found if detail else [entry["name"] for entry in found]

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        async with self._reading() as store:
            try:
                return await _there(store, path).read(self._strip_protocol(path), start or 0, end)
            except KeyNotFound:
                raise FileNotFoundError(path) from None

    async def _read_unchanged(self, path: str, modified: Any, start: int, end: int) -> bytes:
        """Read a part of a file that has to be the one it was when it was opened."""
        name = self._strip_protocol(path)
        async with self._reading() as store:
            with contextlib.suppress(KeyNotFound):
                if store is not None and (await store.stat(name)).modified_at == modified:
                    return await store.read(name, start, end)
        raise OSError(errno.ESTALE, "the file was written again or removed while it was open", path)

    async def _get_file(
        self, rpath: str, lpath: str, callback: Callback = DEFAULT_CALLBACK, **kwargs: Any
    ) -> None:
        if await self._isdir(rpath):
            await anyio.Path(lpath).mkdir(parents=True, exist_ok=True)
            return
        await anyio.Path(lpath).parent.mkdir(parents=True, exist_ok=True)
        async with self._reading() as store:
            name = self._strip_protocol(rpath)
            try:
                size = await _there(store, rpath).download(name, lpath)
            except KeyNotFound:
                raise FileNotFoundError(rpath) from None
        callback.set_size(size)
        callback.absolute_update(size)

    # -- writing ----------------------------------------------------------------------------------

    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        name = self._strip_protocol(path)

        async def change(store: BlobStore) -> None:
            if mode == "create" and await store.exists(name):
                raise FileExistsError(path)
            await store.write(name, value)

        await self._writing(change)

    async def _put_file(
        self,
        lpath: str,
        rpath: str,
        callback: Callback = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        if await anyio.Path(lpath).is_dir():
            return
        name = self._strip_protocol(rpath)

        async def change(store: BlobStore) -> None:
            if mode == "create" and await store.exists(name):
                raise FileExistsError(rpath)
            async with store.create(name, replace=True) as writer:
                callback.set_size(await writer.write_from(lpath))
                callback.absolute_update(writer.size)

        await self._writing(change)

    async def _cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        if await self._isdir(source):
            return

        async def change(store: BlobStore) -> None:
            try:
                info = await store.stat(source)
            except KeyNotFound:
                raise FileNotFoundError(path1) from None
            async with store.create(
                target, replace=True, content_type=info.content_type, metadata=info.metadata
            ) as writer:
                await writer.write_from(store.stream(source))

        if source != target:
            await self._writing(change)

    async def _rm_file(self, path: str, **kwargs: Any) -> None:
        await self._rm(path)

    async def _rm(
        self, path: Any, recursive: bool = False, batch_size: int | None = None, **kwargs: Any
    ) -> None:
        names = self._strip_protocol(await self._expand_path(path, recursive=recursive))

        async def change(store: BlobStore) -> None:
            removed = [await store.discard(name) for name in names if name]
            if not any(removed):
                raise FileNotFoundError(path)

        await self._writing(change)

    async def _mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Folders need not be made."""

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Folders need not be made."""

    async def _rmdir(self, path: str) -> None:
        """A folder goes with its last file."""

    def created(self, path: str) -> Any:
        """When a file was first written."""
        return self.info(path)["created"]

    def modified(self, path: str) -> Any:
        """When a file was last written."""
        return self.info(path)["mtime"]

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any) -> BlobFile:
        if mode not in ("rb", "wb", "xb", "ab"):
            raise InvalidArgumentError(
                f"mode {mode!r}: files of a blob store are opened as 'rb', 'wb', 'xb' or 'ab'"
            )
        if mode == "xb" and self.exists(path):
            raise FileExistsError(path)
        return BlobFile(self, path, mode, block_size or "default", **kwargs)


class BlobFile(AbstractBufferedFile):  # type: ignore[misc]
    """An open file of a `BlobFileSystem`. What is written shows when it is closed."""

    fs: BlobFileSystem

    def __init__(self, fs: BlobFileSystem, path: str, mode: str, block_size: Any, **kwargs: Any) -> None:
        self._transaction: Transaction | None = None
        self._writer: BlobWriter | None = None
        super().__init__(fs, path, mode, block_size, **kwargs)

    def _fetch_range(self, start: int, end: int) -> bytes:
        return sync(  # type: ignore[no-any-return]
            self.fs.loop, self.fs._read_unchanged, self.path, self.details["mtime"], start, end
        )

    def _initiate_upload(self) -> None:
        sync(self.fs.loop, self._begin)

    def _upload_chunk(self, final: bool = False) -> bool:
        self.buffer.seek(0)
        sync(self.fs.loop, self._write, self.buffer.read())
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self) -> None:
        """Make what was written the file's content.

        Raises:
            ConflictError: Another writer of the same file was first.
        """
        sync(self.fs.loop, self._commit)

    def discard(self) -> None:
        """Forget what was written."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.rollback()

    async def _begin(self) -> None:
        transaction = (await self.fs._db()).begin_transaction()
        transaction.begin()
        self._transaction = transaction
        store = await transaction.open_blob_store(self.fs._store)
        self._writer = await store.create(self.fs._strip_protocol(self.path), replace=True).__aenter__()
        if "a" in self.mode and await store.exists(self.fs._strip_protocol(self.path)):
            await self._writer.write_from(store.stream(self.fs._strip_protocol(self.path)))

    async def _write(self, data: bytes) -> None:
        if self._writer is not None:
            await self._writer.write(data)

    async def _commit(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None and self._writer is not None:
            await self._writer.__aexit__(None, None, None)
            await transaction.commit()


def _file(info: BlobInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "size": info.size,
        "type": "file",
        "created": info.created_at,
        "mtime": info.modified_at,
        "content_type": info.content_type,
        "metadata": dict(info.metadata),
    }


def _folder(name: str) -> dict[str, Any]:
    return {"name": name, "size": 0, "type": "directory"}


def _there(store: BlobStore | None, path: str) -> BlobStore:
    if store is None:
        raise FileNotFoundError(path)
    return store


def _close(loop: asyncio.AbstractEventLoop | None, database: Database) -> None:
    """Close the database of a file system that is gone; the garbage collector may call from any thread."""
    if loop is None or not loop.is_running():
        return
    closing = asyncio.run_coroutine_threadsafe(database.aclose(), loop)
    loop_thread: Any = iothread[0]
    if threading.current_thread() is not loop_thread:
        with contextlib.suppress(TimeoutError):
            closing.result(CLOSE_SECONDS_MAX)
