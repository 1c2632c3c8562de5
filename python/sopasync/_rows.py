"""What stores that are kept as rows of a B-tree of their own have in common: blobs and models.

Their rows lie under tuple keys in one unique B-tree; this module opens that B-tree for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import msgspec

from ._btree import BtreeStore
from ._btree_actor import BtreeActor, TypedAccess
from ._exceptions import CorruptionError, StoreError, UnsupportedFormatError
from ._schema import StoreSchema
from ._values import ValueCodec

if TYPE_CHECKING:
    from types import TracebackType

    from ._core import MappedBytes, StoreInfo
    from ._core import Transaction as Native
    from ._turns import Turn, Turns

S = TypeVar("S", bound=msgspec.Struct)

OPTIONS_FORMAT: Final = 1
"""Version of what the catalogue keeps about such a store."""


def _same(data: bytes) -> bytes:
    return data


RAW: Final = TypedAccess.of(None, None, ValueCodec(_same, _same))
"""Values are the bytes that are stored."""

RawRows = BtreeStore[tuple[Any, ...], bytes]


class RowsActor(BtreeActor):
    """One store, kept as rows, of an open database handle."""

    __slots__ = ("options",)

    def __init__(self, info: StoreInfo) -> None:
        super().__init__(info, StoreSchema())
        self.options: dict[str, Any] = msgspec.msgpack.decode(info.options)
        found = self.options.get("format")
        if found != OPTIONS_FORMAT:
            raise UnsupportedFormatError(
                f"store '{info.name}' was made by a newer sopasync (format {found}; this version reads "
                f"{OPTIONS_FORMAT}). Use a newer sopasync",
                found=found,
                supported=OPTIONS_FORMAT,
            )


def open_rows(turns: Turns, native: Native, store_id: int, actor: RowsActor) -> RawRows:
    """The rows of a store, as one transaction sees them."""
    return BtreeStore(turns, native, store_id, actor, RAW)


class RowsTurn:
    """Several engine calls on rows that happen as one turn: all of it, or, on an error, nothing."""

    __slots__ = ("_rows", "_turn")

    def __init__(self, rows: RawRows) -> None:
        self._rows = rows
        self._turn: Turn

    async def __aenter__(self) -> Self:
        self._turn = await self._rows.turns.turn(self._rows).__aenter__()
        self._turn.undo_on_error()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._turn.__aexit__(kind, error, trace)

    async def call(self, operation: Any, *args: Any) -> Any:
        """Make an engine call; errors name the store."""
        try:
            return await self._turn.call(operation, *args)
        except StoreError as error:
            raise self._rows.named(error) from error.__cause__

    async def get(self, key: tuple[Any, ...]) -> bytes | None:
        """The row under `key`."""
        return await self.call(self._rows.participant.get, key)  # type: ignore[no-any-return]

    async def put(self, key: tuple[Any, ...], data: bytes) -> None:
        """Write a row."""
        await self.call(self._rows.participant.upsert, key, data)

    async def put_parts(self, key: tuple[Any, ...], parts: Iterable[Any]) -> None:
        """Write a row of buffers, one after the other, from where they are."""
        await self.call(self._rows.participant.upsert_parts, key, parts)

    async def map(self, key: tuple[Any, ...], *, verify: bool) -> MappedBytes | None:
        """The row under `key` where it lies in the page file, if it is long; verified now, or once since opening."""
        return await self.call(self._rows.participant.map, key, verify)  # type: ignore[no-any-return]

    async def remove(self, keys: list[tuple[Any, ...]]) -> None:
        """Remove rows that are there; lets the event loop run between pieces."""
        for start in range(0, len(keys), REMOVED_AT_ONCE):
            piece = keys[start : start + REMOVED_AT_ONCE]
            refused: int = await self.call(self._rows.participant.remove_many, piece)
            if refused >= 0:
                raise CorruptionError(
                    f"store '{self._rows.name}': row {piece[refused]!r} is not there: run `sopasync check`, and "
                    "restore a backup if it finds damage"
                )
            await self._turn.pause_if_due(len(piece))


REMOVED_AT_ONCE: Final = 256
"""Rows removed by one engine call."""


def encode_row(row: msgspec.Struct) -> bytes:
    """Pack a row."""
    return msgspec.msgpack.encode(row)


def decode_row(store: str, what: str, data: bytes, row_type: type[S]) -> S:
    """Unpack a row; what is no such row is damage."""
    try:
        return msgspec.msgpack.decode(data, type=row_type)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise CorruptionError(f"store '{store}': the row of {what} cannot be read: {error}") from error
