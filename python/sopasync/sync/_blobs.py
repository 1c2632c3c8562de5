"""`BlobStore`: contents of any size under names, written and read as streams, as one transaction sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, final, overload

from sopasync._blob_writer import BlobWriter as AsyncBlobWriter
from sopasync._blobs import BlobStore as AsyncBlobStore

from ._calls import Blocking, Standing, StandingStore, drive_aside

if TYPE_CHECKING:
    from types import TracebackType

    from sopasync._blob_rows import BlobConfig
    from sopasync._blobs import BlobStream as AsyncBlobStream

Piece = TypeVar("Piece", bound=bytes | memoryview)


@final
class BlobWriter(Standing[AsyncBlobWriter]):
    """Writes a new blob; made by `BlobStore.create`, for ``with``. See `sopasync.BlobWriter`."""

    __slots__ = ()

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self.awaited.size

    def __enter__(self) -> BlobWriter:
        drive_aside(self.awaited.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        drive_aside(self.awaited.__aexit__(kind, error, trace))

    write = Blocking(AsyncBlobWriter.write)
    write_from = Blocking(AsyncBlobWriter.write_from)


@final
class BlobStream(Generic[Piece]):
    """The bytes of a blob in pieces, for ``for``; made by `BlobStore.stream`."""

    __slots__ = ("_stream",)

    def __init__(self, stream: AsyncBlobStream[Piece]) -> None:
        self._stream = stream

    def __iter__(self) -> BlobStream[Piece]:
        return self

    def __next__(self) -> Piece:
        try:
            return drive_aside(self._stream.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None


@final
class BlobStore(StandingStore[AsyncBlobStore]):
    """A blob store, opened by `Transaction.open_blob_store`.

    What the calls take, do, return and raise is told by the calls of the same names of `sopasync.BlobStore`.
    """

    __slots__ = ()

    @property
    def config(self) -> BlobConfig:
        """How the store was made."""
        return self.awaited.config

    def create(
        self,
        name: str,
        *,
        replace: bool = False,
        content_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        sha256: bool = False,
    ) -> BlobWriter:
        """Make a writer of a new blob, for ``with store.create(name) as writer``."""
        return BlobWriter(
            self.awaited.create(
                name, replace=replace, content_type=content_type, metadata=metadata, sha256=sha256
            )
        )

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
        """Iterate over a blob in pieces, at most a chunk long: ``for piece in store.stream(name)``."""
        if copy:
            return BlobStream(self.awaited.stream(name, start, stop))
        return BlobStream(self.awaited.stream(name, start, stop, copy=False))

    write = Blocking(AsyncBlobStore.write)
    exists = Blocking(AsyncBlobStore.exists)
    stat = Blocking(AsyncBlobStore.stat)
    count = Blocking(AsyncBlobStore.count)
    list = Blocking(AsyncBlobStore.list)
    list_level = Blocking(AsyncBlobStore.list_level)
    read = Blocking(AsyncBlobStore.read)
    download = Blocking(AsyncBlobStore.download)
    delete = Blocking(AsyncBlobStore.delete)
    discard = Blocking(AsyncBlobStore.discard)
    rename = Blocking(AsyncBlobStore.rename)
    set_metadata = Blocking(AsyncBlobStore.set_metadata)
    uploads = Blocking(AsyncBlobStore.uploads)
    abort_upload = Blocking(AsyncBlobStore.abort_upload)
