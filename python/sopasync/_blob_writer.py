"""`BlobWriter`: the content of one blob, chunk by chunk, into a transaction."""

from __future__ import annotations

import enum
import hashlib
import os
import uuid
from collections.abc import AsyncIterable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from ._blob_rows import BlobRow, blob_key, check_metadata, check_name, chunk_key, chunk_keys, put_blob
from ._exceptions import DuplicateKeyError, InvalidArgumentError, TransactionStateError
from ._opening import on_thread, shielded
from ._rows import RawRows, RowsTurn

if TYPE_CHECKING:
    from types import TracebackType

Source = str | os.PathLike[str] | AsyncIterable[bytes] | Iterable[bytes]
"""Where content comes from: a path, or pieces of any length, asynchronous or not."""


class _State(enum.Enum):
    NEW = "not begun"
    OPEN = "open"
    BROKEN = "broken off"
    DONE = "finished"


@final
class BlobWriter:
    """Writes a new blob; made by `BlobStore.create`, for ``async with``.

    When the block is left normally the blob is there, for this transaction at once and for others after its
    commit; when an exception leaves it nothing of it is. It holds one chunk in memory. Chunks go to the disk
    as they fill, before the commit, which then only has to sync them.
    """

    __slots__ = (
        "_buffer",
        "_chunk_bytes",
        "_chunks",
        "_content_type",
        "_hash",
        "_id",
        "_metadata",
        "_name",
        "_replace",
        "_rows",
        "_size",
        "_state",
    )

    def __init__(
        self,
        rows: RawRows,
        name: str,
        chunk_bytes: int,
        *,
        replace: bool,
        content_type: str | None,
        metadata: Mapping[str, Any] | None,
        sha256: bool,
    ) -> None:
        self._rows = rows
        self._name = check_name(name)
        self._replace = replace
        self._content_type = content_type
        self._metadata = check_metadata(metadata)
        self._hash = hashlib.sha256() if sha256 else None
        self._id = uuid.uuid4().bytes
        self._chunk_bytes = chunk_bytes
        self._chunks = 0
        self._size = 0
        self._buffer = bytearray()
        self._state = _State.NEW

    def __repr__(self) -> str:
        return f"<sopasync.BlobWriter {self._name!r}, {self._size} bytes, {self._state.value}>"

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    async def __aenter__(self) -> BlobWriter:
        if self._state is not _State.NEW:
            raise TransactionStateError(f"this writer is {self._state.value}: make another one with create()")
        if not self._replace and await self._rows.contains(blob_key(self._name)):
            raise self._exists()
        self._state = _State.OPEN
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._require_open()
                await self._finish()
                self._state = _State.DONE
        finally:
            if self._state is not _State.DONE:
                self._state = _State.BROKEN
                await self._discard()

    async def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append bytes; waits for the disk whenever a chunk is full. Returns how many.

        Cancelled or failing, it leaves the writer broken off: nothing of the blob will be stored.
        """
        self._require_open()
        try:
            view = memoryview(data).cast("B")
        except TypeError as error:
            raise InvalidArgumentError(
                f"a blob is written from bytes, not from {type(data).__name__}: {error}"
            ) from None
        self._state = _State.BROKEN
        await self._append(view)
        self._state = _State.OPEN
        return len(view)

    async def write_from(self, source: Source) -> int:
        """Append everything a path or an iterator of pieces of bytes gives. Returns how many bytes."""
        before = self._size
        if isinstance(source, (str, os.PathLike)):
            path = Path(source)
            file = await on_thread(lambda: path.open("rb"))
            with file:
                while data := await on_thread(lambda: file.read(self._chunk_bytes)):
                    await self.write(data)
        elif isinstance(source, AsyncIterable):
            async for data in source:
                await self.write(data)
        else:
            for data in source:
                await self.write(data)
        return self._size - before

    def _require_open(self) -> None:
        if self._state is not _State.OPEN:
            raise TransactionStateError(
                f"this writer is {self._state.value}: write inside `async with store.create(...) as writer`, "
                "and begin again with create() after a write that failed"
            )

    async def _append(self, view: memoryview) -> None:
        size = len(view)
        position = 0
        while position < size:
            if not self._buffer and size - position >= self._chunk_bytes:
                await self._flush(view[position : position + self._chunk_bytes])
                position += self._chunk_bytes
                continue
            taken = min(self._chunk_bytes - len(self._buffer), size - position)
            self._buffer += view[position : position + taken]
            position += taken
            if len(self._buffer) == self._chunk_bytes:
                await self._flush_buffer()
        self._size += size

    async def _flush_buffer(self) -> None:
        # Not emptied but left behind: after a cancellation an engine thread may still write from it.
        chunk, self._buffer = self._buffer, bytearray()
        await self._flush(chunk)

    async def _flush(self, chunk: memoryview | bytearray) -> None:
        if self._hash is not None:
            digest = self._hash
            await on_thread(lambda: digest.update(chunk))
        await self._rows.call(
            self._rows.participant.upsert_parts, chunk_key(self._id, self._chunks), (chunk,)
        )
        self._chunks += 1

    async def _finish(self) -> None:
        if self._buffer:
            await self._flush_buffer()
        async with RowsTurn(self._rows) as turn:
            row = BlobRow.of_now(
                self._id,
                self._size,
                self._chunk_bytes,
                content_type=self._content_type,
                metadata=self._metadata,
                sha256=None if self._hash is None else self._hash.hexdigest(),
            )
            if not await put_blob(turn, self._rows.name, self._name, row, replace=self._replace):
                raise self._exists()

    async def _discard(self) -> None:
        """Take back the chunks that were written; the engine gives their space back."""
        if self._chunks == 0 or self._rows.turns.ended:
            return
        with shielded():
            async with RowsTurn(self._rows) as turn:
                await turn.remove(chunk_keys(self._id, self._chunks))

    def _exists(self) -> DuplicateKeyError:
        return DuplicateKeyError(
            f"blob '{self._name}' is in store '{self._rows.name}' already: give create() replace=True to write "
            "it anew, or delete() it first",
            store=self._rows.name,
            key=self._name,
        )
