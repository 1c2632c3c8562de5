"""`BlobStore`: contents of any size under names, written and read as streams, as one transaction sees them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, cast, final, overload

import msgspec

from ._blob_reads import ReadAhead
from ._blob_rows import (
    BlobConfig,
    BlobInfo,
    BlobRow,
    UploadInfo,
    UploadRow,
    blob_key,
    check_metadata,
    chunk_key,
    upload_key,
)
from ._blob_writer import BlobWriter
from ._core import prefix_end
from ._exceptions import CorruptionError, DuplicateKeyError, InvalidArgumentError, KeyNotFound
from ._opening import on_thread, shielded
from ._rows import RawRows, RowsTurn, decode_row, encode_row
from ._scan import KeyRange, KeyScan

if TYPE_CHECKING:
    from ._core import KeptValue, MappedBytes

    Chunk = TypeVar("Chunk", KeptValue, MappedBytes)

Piece = TypeVar("Piece", bound=bytes | memoryview)

# Named outside the class, where `list` is a method.
Names = list[str]
Infos = list[BlobInfo]
Uploads = list[UploadInfo]

NAMES_AT_ONCE: Final = 256
"""Rows a listing reads at a time."""


@final
class BlobStore:
    """A blob store, opened by `Transaction.open_blob_store`.

    Writing holds one chunk in memory, whatever the size of the blob, and reading at most four: engine threads
    read ahead of a stream of copies. A chunk is verified against its checksum when it is read for the first time
    since the database was opened (and by `Database.check`); damage raises `CorruptionError`, and no byte of it is
    given out.
    """

    __slots__ = ("_config", "_rows")

    def __init__(self, rows: RawRows, config: BlobConfig) -> None:
        self._rows = rows
        self._config = config

    def __repr__(self) -> str:
        return f"<sopasync.BlobStore {self.name!r}, {id(self):#x}>"

    @property
    def name(self) -> str:
        """Name of the store."""
        return self._rows.name

    @property
    def config(self) -> BlobConfig:
        """How the store was made."""
        return self._config

    def create(
        self,
        name: str,
        *,
        replace: bool = False,
        content_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        sha256: bool = False,
    ) -> BlobWriter:
        """Make a writer of a new blob, for ``async with store.create(name) as writer``.

        Args:
            name: Name of the blob, 1 to 1024 characters. Slashes mean nothing to the store.
            replace: Take the place of a blob of that name. Otherwise entering the block, or leaving it, raises
                `DuplicateKeyError` when there is one.
            content_type: Media type, for whoever reads it.
            metadata: Anything else worth keeping: a dict of what msgpack can hold, 64 KiB packed at most.
            sha256: Compute and keep the SHA-256 of the content.
        """
        return BlobWriter(
            self._rows,
            name,
            self._config.chunk_bytes,
            replace=replace,
            content_type=content_type,
            metadata=metadata,
            sha256=sha256,
        )

    async def write(
        self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = True
    ) -> BlobInfo:
        """Write a whole blob at once."""
        async with self.create(name, replace=replace) as writer:
            await writer.write(data)
        return await self.stat(name)

    async def exists(self, name: str) -> bool:
        """Tell whether there is a blob of that name."""
        return await self._rows.contains(blob_key(name))

    async def stat(self, name: str) -> BlobInfo:
        """Return what is known about a blob, without reading its content.

        Raises:
            KeyNotFound: There is none of that name.
        """
        return (await self.row(name)).info(name)

    async def count(self) -> int:
        """Count the blobs."""
        return len(await self._names(""))

    async def list(self, prefix: str = "") -> Infos:
        """List the blobs whose names begin with `prefix`, in the order of their names."""
        return await self._infos(await self._names(prefix))

    async def _infos(self, names: Names) -> Infos:
        found: Infos = []
        for start in range(0, len(names), NAMES_AT_ONCE):
            piece = names[start : start + NAMES_AT_ONCE]
            rows = await self._rows.get_many([blob_key(name) for name in piece])
            # A task beside this one, in the same transaction, may have taken one away.
            found += [
                self._decode(name, row).info(name)
                for name, row in zip(piece, rows, strict=True)
                if row is not None
            ]
        return found

    async def list_level(self, prefix: str = "", delimiter: str = "/") -> tuple[Infos, Names]:
        """List what lies directly below `prefix`, as if names were paths.

        Skips from one folder to the next, however many blobs lie in them.

        Returns:
            The blobs whose names hold no `delimiter` after the prefix, and the beginnings, up to and with the
            delimiter, of all others.
        """
        if not delimiter:
            raise InvalidArgumentError("a delimiter has at least one character")
        blobs: Names = []
        folders: Names = []
        prefix_of = self._rows.actor.codec.prefix
        low: bytes | None = prefix_of(("n", prefix), open_end=True)
        end = prefix_end(prefix_of(("n", prefix), open_end=True))
        while low is not None:
            scan = KeyScan(self._rows, KeyRange(low, end), reverse=False)
            low = None
            async for _, name in scan:
                place = name.find(delimiter, len(prefix))
                if place < 0:
                    blobs.append(name)
                    continue
                folder = name[: place + len(delimiter)]
                folders.append(folder)
                low = prefix_end(prefix_of(("n", folder), open_end=True))
                break
        return await self._infos(blobs), folders

    @overload
    def stream(
        self, name: str, start: int = 0, stop: int | None = None, *, copy: Literal[True] = True
    ) -> BlobStream[bytes]: ...
    @overload
    def stream(
        self, name: str, start: int = 0, stop: int | None = None, *, copy: Literal[False]
    ) -> BlobStream[memoryview]: ...
    def stream(
        self, name: str, start: int = 0, stop: int | None = None, *, copy: bool = True
    ) -> BlobStream[bytes] | BlobStream[memoryview]:
        """Iterate over a blob in pieces of bytes, at most a chunk long: ``async for piece in store.stream(name)``.

        Args:
            name: Name of the blob.
            start: First byte; negative counts from the end, as in a slice.
            stop: First byte that is left out.
            copy: When false, pieces are read-only memoryviews, where it can be of the page file itself. They stay as
                they are as long as they are used.

        Raises, at the first piece:
            KeyNotFound: There is none of that name.
        """
        stream = BlobStream[Any](self, name, start, stop, bytes if copy else memoryview)
        return cast("BlobStream[bytes] | BlobStream[memoryview]", stream)

    async def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Read a blob, or a part of it, into memory."""
        return b"".join([piece async for piece in self.stream(name, start, stop, copy=False)])

    async def download(self, name: str, path: str | os.PathLike[str]) -> int:
        """Write a blob to a file, which appears under its name when it is complete. Returns its size.

        The file is not synced: it is a copy, the database has the blob.
        """
        target = Path(path)
        partial = Path(f"{target}.{os.getpid()}.{id(self):x}.partial")
        size = 0
        try:
            file = await on_thread(lambda: partial.open("wb"))
            with file:
                async for piece in self.stream(name, copy=False):
                    size += await on_thread(functools.partial(file.write, piece))
            await on_thread(lambda: partial.replace(target))
        except BaseException:
            with shielded():
                await on_thread(lambda: partial.unlink(missing_ok=True))
            raise
        return size

    async def delete(self, name: str) -> None:
        """Remove a blob; its space is free again once no transaction can see it.

        Raises:
            KeyNotFound: There is none of that name.
        """
        if not await self.discard(name):
            raise self._missing(name)

    async def discard(self, name: str) -> bool:
        """Remove a blob when it is there; returns whether it was."""
        key = blob_key(name)
        async with RowsTurn(self._rows) as turn:
            data = await turn.get(key)
            if data is None:
                return False
            await turn.remove([key, *self._decode(name, data).chunk_keys()])
        return True

    async def rename(self, name: str, new_name: str, *, replace: bool = False) -> None:
        """Give a blob another name; its content is not touched.

        Raises:
            KeyNotFound: There is none of that name.
            DuplicateKeyError: There is one of the new name, and `replace` is false.
        """
        key, new_key = blob_key(name), blob_key(new_name)
        async with RowsTurn(self._rows) as turn:
            data = await turn.get(key)
            if data is None:
                raise self._missing(name)
            if key == new_key:
                return
            before = await turn.get(new_key)
            if before is not None:
                if not replace:
                    raise DuplicateKeyError(
                        f"blob '{new_name}' is in store '{self.name}' already: give rename() replace=True",
                        store=self.name,
                        key=new_name,
                    )
                await turn.remove(self._decode(new_name, before).chunk_keys())
            row = msgspec.structs.replace(self._decode(name, data), modified_at=datetime.now(UTC))
            await turn.remove([key])
            await turn.put(new_key, encode_row(row))

    async def set_metadata(
        self, name: str, metadata: Mapping[str, Any], *, content_type: str | None = None
    ) -> BlobInfo:
        """Replace the metadata of a blob, and its media type when one is given.

        Raises:
            KeyNotFound: There is none of that name.
        """
        checked = check_metadata(metadata)
        key = blob_key(name)
        async with RowsTurn(self._rows) as turn:
            data = await turn.get(key)
            if data is None:
                raise self._missing(name)
            row = self._decode(name, data)
            row = msgspec.structs.replace(
                row,
                metadata=checked,
                content_type=row.content_type if content_type is None else content_type,
                modified_at=datetime.now(UTC),
            )
            await turn.put(key, encode_row(row))
        return row.info(name)

    async def uploads(self) -> Uploads:
        """List the uploads that `Database.upload_blob` has begun and not finished, the oldest first."""
        found: Uploads = []
        for name in await self._names("", "u"):
            data = await self._rows.get(upload_key(name))
            if data is not None:
                found.append(self._decode_upload(name, data).info(name))
        return sorted(found, key=lambda upload: upload.started_at)

    async def abort_upload(self, name: str) -> None:
        """Drop what an unfinished upload has brought so far.

        Raises:
            KeyNotFound: There is no unfinished upload of that name.
        """
        key = upload_key(name)
        async with RowsTurn(self._rows) as turn:
            data = await turn.get(key)
            if data is None:
                raise KeyNotFound(
                    f"there is no unfinished upload of '{name}' in store '{self.name}'",
                    store=self.name,
                    key=name,
                )
            await turn.remove([key, *self._decode_upload(name, data).chunk_keys()])

    # -- for the modules beside this one ----------------------------------------------------------

    @property
    def rows(self) -> RawRows:
        """The rows of the store."""
        return self._rows

    async def mapped_chunk(self, row: BlobRow, name: str, index: int) -> MappedBytes:
        """One chunk, where it lies."""
        rows = self._rows
        map_chunk = functools.partial(rows.participant.map, verify=False)
        data: MappedBytes | None = await rows.call(map_chunk, chunk_key(row.id, index))
        return self._whole(data, row, name, index)

    async def kept_chunk(self, row: BlobRow, name: str, index: int) -> KeptValue:
        """One chunk, to be read later."""
        rows = self._rows
        data: KeptValue | None = await rows.call(rows.participant.keep, chunk_key(row.id, index))
        return self._whole(data, row, name, index)

    def _whole(self, data: Chunk | None, row: BlobRow, name: str, index: int) -> Chunk:
        expected = min(row.chunk_bytes, row.size - index * row.chunk_bytes)
        if data is None or len(data) != expected:
            found = "is missing" if data is None else f"has {len(data)} bytes"
            raise CorruptionError(
                f"store '{self.name}': chunk {index} of blob '{name}' {found} where {expected} bytes were written: "
                "restore it from a backup"
            )
        return data

    async def row(self, name: str) -> BlobRow:
        """Read the row of a blob; raises `KeyNotFound`."""
        data = await self._rows.get(blob_key(name))
        if data is None:
            raise self._missing(name)
        return self._decode(name, data)

    def _decode(self, name: str, data: bytes) -> BlobRow:
        return decode_row(self.name, f"blob '{name}'", data, BlobRow)

    def _decode_upload(self, name: str, data: bytes) -> UploadRow:
        return decode_row(self.name, f"the upload of blob '{name}'", data, UploadRow)

    async def _names(self, prefix: str, family: str = "n") -> Names:
        if not isinstance(prefix, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError(f"a prefix is a str, not {type(prefix).__name__} {prefix!r}")
        low = self._rows.actor.codec.prefix((family, prefix), open_end=True)
        scan = KeyScan(self._rows, KeyRange(low, prefix_end(low)), reverse=False)
        return [name async for _, name in scan]

    def _missing(self, name: str) -> KeyNotFound:
        return KeyNotFound(f"there is no blob '{name}' in store '{self.name}'", store=self.name, key=name)


@final
class BlobStream(Generic[Piece]):
    """The bytes of a blob in pieces, for ``async for``; made by `BlobStore.stream`."""

    __slots__ = ("_ahead", "_made", "_name", "_position", "_row", "_start", "_stop", "_store")

    def __init__(
        self,
        store: BlobStore,
        name: str,
        start: int,
        stop: int | None,
        made: Callable[[memoryview], Piece],
    ) -> None:
        self._store = store
        self._name = name
        self._start = start
        self._stop = stop
        self._made = made
        self._position = 0
        self._row: BlobRow | None = None
        self._ahead: ReadAhead | None = None
        """The chunks that are wanted whole, when they are to be copies."""

    def __aiter__(self) -> BlobStream[Piece]:
        return self

    async def __anext__(self) -> Piece:
        row = self._row
        if row is None:
            row = await self._store.row(self._name)
            self._start, self._stop, _ = slice(self._start, self._stop).indices(row.size)
            self._position = self._start
            self._row = row
        assert self._stop is not None
        if self._position >= self._stop:
            raise StopAsyncIteration
        index, first = divmod(self._position, row.chunk_bytes)
        end = min((index + 1) * row.chunk_bytes, row.size)
        if self._made is bytes and first == 0 and end <= self._stop:
            piece = await self._whole(row, index, self._stop)
            self._position = end
            return cast("Piece", piece)
        data = memoryview(await self._store.mapped_chunk(row, self._name, index))
        last = min(self._stop - index * row.chunk_bytes, len(data))
        self._position += last - first
        return self._made(data[first:last])

    async def _whole(self, row: BlobRow, index: int, stop: int) -> bytes:
        if self._ahead is None:
            chunks = -(-row.size // row.chunk_bytes) if stop == row.size else stop // row.chunk_bytes
            keep = functools.partial(self._store.kept_chunk, row, self._name)
            self._ahead = ReadAhead(self._store.rows, keep, index, chunks)
        return await self._ahead.take()
