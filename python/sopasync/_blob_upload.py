"""`Upload`: a file into a blob by many commits, so that an interrupted upload can go on where it was.

Invariants:
- U1 a chunk's row and the upload's row that counts it are written by one commit.
- U2 the upload's row goes in the commit that makes the blob's row with the same id, which takes the chunks over.
- U3 an upload goes on only with the source it began with; told by path, size and time of change.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from ._blob_rows import (
    BlobInfo,
    BlobRow,
    UploadRow,
    blob_key,
    check_metadata,
    chunk_key,
    put_blob,
    upload_key,
)
from ._exceptions import DuplicateKeyError, InvalidArgumentError, StoreError
from ._opening import on_thread
from ._rows import RowsTurn, decode_row, encode_row

if TYPE_CHECKING:
    from ._blobs import BlobStore
    from ._transaction import Transaction

UploadSource = str | os.PathLike[str] | IO[bytes]

COMMIT_BYTES: Final = 64 * 1024 * 1024
"""How much of an upload one commit takes."""

Progress = Callable[[int, int], object]

Run = Callable[..., Awaitable[Any]]
"""`Database.run`."""


class Upload:
    """One upload."""

    def __init__(
        self,
        run: Run,
        store: str,
        name: str,
        *,
        replace: bool,
        content_type: str | None,
        metadata: Mapping[str, Any] | None,
    ) -> None:
        self._in_transaction = run
        self._store = store
        self._name = name
        self._key = upload_key(name)
        self._replace = replace
        self._content_type = content_type
        self._metadata = check_metadata(metadata)

    async def run(self, source: UploadSource, progress: Progress | None) -> BlobInfo:
        """Upload everything that is not there yet."""
        if isinstance(source, (str, os.PathLike)):
            path = Path(source)
            file: IO[bytes] = await on_thread(lambda: path.open("rb"))
            try:
                return await self._run(file, _identity(file, path), progress)
            finally:
                file.close()
        if not (hasattr(source, "read") and hasattr(source, "seek")):
            raise InvalidArgumentError(
                f"an upload takes a path or a binary file that can seek, not {type(source).__name__}: "
                "give pieces of bytes to BlobWriter.write_from()"
            )
        return await self._run(source, "", progress)

    async def _run(self, file: IO[bytes], identity: str, progress: Progress | None) -> BlobInfo:
        size = await on_thread(lambda: file.seek(0, os.SEEK_END))
        identity = identity or f"a stream of {size} bytes"
        row: UploadRow = await self._in_transaction(self._begin, identity)
        if progress is not None:
            progress(row.received, size)
        await on_thread(lambda: file.seek(row.received))
        while True:
            pieces = await self._read(file, row.chunk_bytes)
            ended = not pieces or len(pieces[-1]) < row.chunk_bytes
            if ended:
                total = row.received + sum(map(len, pieces))
                info: BlobInfo = await self._in_transaction(self._finish, row, pieces, total)
                if progress is not None:
                    progress(total, total)
                return info
            row = await self._in_transaction(self._add, row, pieces)
            if progress is not None:
                progress(row.received, max(size, row.received))

    async def _read(self, file: IO[bytes], chunk_bytes: int) -> list[bytes]:
        """The next chunks, as many as one commit takes; fewer, or a shorter one, at the end only."""
        pieces: list[bytes] = []
        for _ in range(max(1, COMMIT_BYTES // chunk_bytes)):
            piece = await on_thread(lambda: _read_fully(file, chunk_bytes))
            if piece:
                pieces.append(piece)
            if len(piece) < chunk_bytes:
                break
        return pieces

    async def _open(self, transaction: Transaction) -> BlobStore:
        return await transaction.open_blob_store(self._store)

    async def _begin(self, transaction: Transaction, identity: str) -> UploadRow:
        store = await self._open(transaction)
        async with RowsTurn(store.rows) as turn:
            if not self._replace and await turn.get(blob_key(self._name)) is not None:
                raise self._exists()
            data = await turn.get(self._key)
            if data is not None:
                row = self._decode(data)
                if row.source == identity:
                    return row
                await turn.remove(row.chunk_keys())
            now = datetime.now(UTC)
            row = UploadRow(
                id=uuid.uuid4().bytes,
                received=0,
                chunk_bytes=store.config.chunk_bytes,
                source=identity,
                started_at=now,
                modified_at=now,
            )
            await turn.put(self._key, encode_row(row))
        return row

    async def _add(self, transaction: Transaction, row: UploadRow, pieces: list[bytes]) -> UploadRow:
        store = await self._open(transaction)
        async with RowsTurn(store.rows) as turn:
            await self._require_ours(turn, row)
            first = row.received // row.chunk_bytes
            for index, piece in enumerate(pieces, first):
                await turn.put_parts(chunk_key(row.id, index), (piece,))
            row = msgspec.structs.replace(
                row, received=row.received + sum(map(len, pieces)), modified_at=datetime.now(UTC)
            )
            await turn.put(self._key, encode_row(row))
        return row

    async def _finish(
        self, transaction: Transaction, row: UploadRow, pieces: list[bytes], size: int
    ) -> BlobInfo:
        store = await self._open(transaction)
        async with RowsTurn(store.rows) as turn:
            await self._require_ours(turn, row)
            for index, piece in enumerate(pieces, row.received // row.chunk_bytes):
                await turn.put_parts(chunk_key(row.id, index), (piece,))
            blob = BlobRow.of_now(
                row.id, size, row.chunk_bytes, content_type=self._content_type, metadata=self._metadata
            )
            if not await put_blob(turn, self._store, self._name, blob, replace=self._replace):
                raise self._exists()
            await turn.remove([self._key])
        return blob.info(self._name)

    async def _require_ours(self, turn: RowsTurn, row: UploadRow) -> None:
        """U1: nobody else went on with this upload, finished or aborted it."""
        data = await turn.get(self._key)
        found = None if data is None else self._decode(data)
        if found is None or (found.id, found.received) != (row.id, row.received):
            raise StoreError(
                f"the upload of blob '{self._name}' to store '{self._store}' was taken over or aborted by another "
                "call: begin it again",
                store=self._store,
            )

    def _decode(self, data: bytes) -> UploadRow:
        return decode_row(self._store, f"the upload of blob '{self._name}'", data, UploadRow)

    def _exists(self) -> DuplicateKeyError:
        return DuplicateKeyError(
            f"blob '{self._name}' is in store '{self._store}' already: give upload_blob() replace=True",
            store=self._store,
            key=self._name,
        )


def _identity(file: IO[bytes], path: Path) -> str:
    status = os.fstat(file.fileno())
    return f"{path.resolve()} of {status.st_size} bytes, changed at {status.st_mtime_ns} ns"


def _read_fully(file: IO[bytes], size: int) -> bytes:
    """Read `size` bytes, or up to the end."""
    data = file.read(size)
    if len(data) == size or not data:
        return data
    parts = [data]
    missing = size - len(data)
    while missing and (data := file.read(missing)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)
