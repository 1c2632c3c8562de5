"""`StoreActor`: one store of an open database handle. It owns the schema, the codecs and the statistics.

An actor is passive: it has no task of its own. The first message of a transaction makes it join that
transaction with a participant (`sopasync._core.Participant`, its write-set and read-set); a message
then runs inline in its sender, or, while a turn of the same transaction is suspended, waits in the
mailbox (`_turns.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ._core import KeyCodec
from ._keys import KeyCheck, KeyMaker, key_check, key_maker
from ._schema import StoreSchema, check_fields
from ._statistics import StoreStatistics
from ._values import ValueCodec, value_codec

if TYPE_CHECKING:
    from ._core import StoreInfo
    from ._turns import Handle


class TypedAccess(NamedTuple):
    """How one pair of key type and value type is read and written."""

    check_key: KeyCheck | None
    make_key: KeyMaker | None
    value: ValueCodec


class StoreActor:
    """One store of an open database handle."""

    __slots__ = (
        "_options",
        "_typed",
        "codec",
        "mailbox_high_water",
        "name",
        "participants",
        "schema",
        "turns_inline",
        "turns_queued",
        "turns_waited",
    )

    def __init__(self, info: StoreInfo) -> None:
        self.name = info.name
        self._options = info.options
        self.schema = StoreSchema.from_bytes(info.name, info.options)
        self.codec = KeyCodec(unique=self.schema.unique, fields=self.schema.fields)
        self._typed: dict[tuple[Any, Any], TypedAccess] = {}
        self.participants = 0
        self.turns_inline = 0
        self.turns_waited = 0
        self.turns_queued = 0
        self.mailbox_high_water = 0

    def is_for(self, info: StoreInfo) -> bool:
        """Whether it fits what a transaction sees: a store may have been removed and made otherwise."""
        return self._options == info.options

    def typed(self, key_type: Any, value_type: Any) -> TypedAccess:
        """How keys and values of these types are read and written."""
        access = self._typed.get((key_type, value_type))
        if access is None:
            check_fields(self.name, self.schema.fields, key_type)
            access = TypedAccess(key_check(self.name, key_type), key_maker(key_type), value_codec(value_type))
            self._typed[key_type, value_type] = access
        return access

    def count_inline(self, handle: Handle) -> int:
        """Count the inline turns a handle has taken, and leave it none."""
        used = handle.turns_granted - handle.turns_left
        handle.turns_granted = handle.turns_left = 0
        self.turns_inline += used
        return used

    def count_queued(self, length: int) -> None:
        """Count a message that has to wait in a mailbox of now `length` messages."""
        self.turns_queued += 1
        self.mailbox_high_water = max(self.mailbox_high_water, length)

    def statistics(self) -> StoreStatistics:
        """What the actor has done since the database was opened."""
        return StoreStatistics(
            name=self.name,
            participants=self.participants,
            turns_inline=self.turns_inline,
            turns_waited=self.turns_waited,
            turns_queued=self.turns_queued,
            mailbox_high_water=self.mailbox_high_water,
        )
