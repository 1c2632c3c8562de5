"""What a blob store keeps: its options, a row for each blob, rows of chunks, rows of interrupted uploads.

    ("n", name)      -> BlobRow       a blob that is there
    ("c", id, index) -> bytes         chunk `index` of the blob `id`: `chunk_bytes` long, the last one shorter
    ("u", name)      -> UploadRow     an upload that has not been finished

A chunk belongs to the one blob or upload whose row has its id. Chunks of 64 KiB and more lie in extents of the
page file that are written before the commit, each with a checksum that is verified when it is first read.
"""

# Annotations are evaluated here: users see these classes in `sopasync`, where their names mean nothing.
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

import msgspec

from ._exceptions import InvalidArgumentError
from ._rows import OPTIONS_FORMAT, RowsTurn, decode_row, encode_row

CHUNK_BYTES_DEFAULT: Final = 2 * 1024 * 1024
CHUNK_BYTES_MIN: Final = 64 * 1024
CHUNK_BYTES_MAX: Final = 64 * 1024 * 1024

NAME_CHARACTERS_MAX: Final = 1024
METADATA_BYTES_MAX: Final = 64 * 1024

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class BlobConfig:
    """How a blob store is made.

    Args:
        chunk_bytes: Size of the pieces a blob is kept in: what a reader or writer holds in memory, and the least
            that is read from the disk at a time. From 64 KiB to 64 MiB.
        description: What the store is for.
    """

    chunk_bytes: int = CHUNK_BYTES_DEFAULT
    description: str = ""

    def __post_init__(self) -> None:
        if not CHUNK_BYTES_MIN <= self.chunk_bytes <= CHUNK_BYTES_MAX:
            raise InvalidArgumentError(
                f"chunk_bytes={self.chunk_bytes}: give between {CHUNK_BYTES_MIN} and {CHUNK_BYTES_MAX} bytes"
            )

    def to_bytes(self) -> bytes:
        """Pack into the catalogue's form."""
        return msgspec.msgpack.encode(
            {"format": OPTIONS_FORMAT, "chunk_bytes": self.chunk_bytes, "description": self.description}
        )

    @classmethod
    def of_options(cls, options: Mapping[str, Any]) -> Self:
        """What the catalogue keeps."""
        return cls(options["chunk_bytes"], options["description"])


class BlobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a blob."""

    name: str
    size: int
    """Length in bytes."""
    created_at: datetime
    modified_at: datetime
    """When its content, name or metadata last changed."""
    content_type: str | None = None
    metadata: Mapping[str, Any] = {}
    sha256: str | None = None
    """Of the content, in hexadecimal, when the writer was asked for it."""


class UploadInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that has not been finished."""

    name: str
    received: int
    """Bytes that are there."""
    source: str
    started_at: datetime
    modified_at: datetime


class BlobRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A blob as it is stored."""

    id: bytes
    size: int
    chunk_bytes: int
    created_at: datetime
    modified_at: datetime
    content_type: str | None = None
    metadata: dict[str, Any] = {}
    sha256: str | None = None

    @classmethod
    def of_now(
        cls,
        blob_id: bytes,
        size: int,
        chunk_bytes: int,
        *,
        content_type: str | None,
        metadata: dict[str, Any],
        sha256: str | None = None,
    ) -> Self:
        """The row of a blob whose content has just been written."""
        now = datetime.now(UTC)
        return cls(
            id=blob_id,
            size=size,
            chunk_bytes=chunk_bytes,
            created_at=now,
            modified_at=now,
            content_type=content_type,
            metadata=metadata,
            sha256=sha256,
        )

    def info(self, name: str) -> BlobInfo:
        """What users see of it."""
        return BlobInfo(
            name=name,
            size=self.size,
            created_at=self.created_at,
            modified_at=self.modified_at,
            content_type=self.content_type,
            metadata=self.metadata,
            sha256=self.sha256,
        )

    def chunk_keys(self) -> list[Key]:
        """Keys of its chunks."""
        return chunk_keys(self.id, -(-self.size // self.chunk_bytes))


class UploadRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An upload that has not been finished: `received` bytes of it are there, in whole chunks."""

    id: bytes
    received: int
    chunk_bytes: int
    source: str
    """Tells one source from another, so that an upload goes on with the bytes it began with."""
    started_at: datetime
    modified_at: datetime

    def info(self, name: str) -> UploadInfo:
        """What users see of it."""
        return UploadInfo(
            name=name,
            received=self.received,
            source=self.source,
            started_at=self.started_at,
            modified_at=self.modified_at,
        )

    def chunk_keys(self) -> list[Key]:
        """Keys of its chunks."""
        return chunk_keys(self.id, self.received // self.chunk_bytes)


def chunk_keys(blob_id: bytes, count: int) -> list[Key]:
    """Keys of the first `count` chunks."""
    return [chunk_key(blob_id, index) for index in range(count)]


def chunk_key(blob_id: bytes, index: int) -> Key:
    """Key of one chunk."""
    return ("c", blob_id, index)


def blob_key(name: str) -> Key:
    """Key of a blob's row."""
    return ("n", check_name(name))


def upload_key(name: str) -> Key:
    """Key of an upload's row."""
    return ("u", check_name(name))


def check_name(name: str) -> str:
    """Refuse what cannot name a blob."""
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(f"a blob is named by a str, not by {type(name).__name__} {name!r}")
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise InvalidArgumentError(
            f"a blob's name has between 1 and {NAME_CHARACTERS_MAX} characters; this one has {len(name)}"
        )
    return name


def check_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Refuse metadata that cannot be stored, and give back a copy."""
    try:
        given = dict(metadata or {})
        data = msgspec.msgpack.encode(given)
        if len(data) > METADATA_BYTES_MAX:
            raise InvalidArgumentError(
                f"metadata of a blob takes at most {METADATA_BYTES_MAX} bytes packed; this takes {len(data)}"
            )
        stored: dict[str, Any] = msgspec.msgpack.decode(data, type=dict[str, Any])
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        raise InvalidArgumentError(
            f"metadata of a blob is a dict from str to what msgpack can hold: {error}"
        ) from error
    return stored


async def put_blob(turn: RowsTurn, store: str, name: str, row: BlobRow, *, replace: bool) -> bool:
    """Write a blob's row, in place of an older one, whose chunks go; false when that may not be replaced."""
    key = blob_key(name)
    before = await turn.get(key)
    if before is not None:
        if not replace:
            return False
        old = decode_row(store, f"blob '{name}'", before, BlobRow)
        await turn.remove(old.chunk_keys())
        row = msgspec.structs.replace(row, created_at=old.created_at)
    await turn.put(key, encode_row(row))
    return True
