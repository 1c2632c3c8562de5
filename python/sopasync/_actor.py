"""`StoreActor`: one store of an open database handle. It owns what lasts longer than a transaction.

An actor is passive: it has no task of its own. The first message of a transaction makes it join that
transaction with a participant (its write-set and read-set in the engine); a message then runs inline in
its sender, or, while a turn of the same transaction is suspended, waits in the mailbox (`_turns.py`).
Each kind of store has its actor: it adds the schema and the codecs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._statistics import StoreStatistics

if TYPE_CHECKING:
    from ._core import StoreInfo
    from ._turns import Handle


class StoreActor:
    """What the actors of all kinds of stores have in common: their name and their counters."""

    __slots__ = (
        "_options",
        "kind",
        "mailbox_high_water",
        "name",
        "participants",
        "turns_inline",
        "turns_pushed_back",
        "turns_queued",
        "turns_waited",
    )

    def __init__(self, info: StoreInfo) -> None:
        self.name = info.name
        self.kind = info.kind
        self._options = info.options
        self.participants = 0
        self.turns_inline = 0
        self.turns_waited = 0
        self.turns_queued = 0
        self.turns_pushed_back = 0
        self.mailbox_high_water = 0

    def is_for(self, info: StoreInfo) -> bool:
        """Whether it fits what a transaction sees: a store may have been removed and made otherwise."""
        return self.kind == info.kind and self._options == info.options

    def decode_key(self, key: bytes) -> object:
        """The key of a conflict as its user knows it. Raises `SopasyncError` when these are no bytes of a key."""
        return key

    def count_inline(self, handle: Handle) -> int:
        """Count the inline turns a handle has taken, and leave it none."""
        used = handle.turns_granted - handle.turns_left
        handle.turns_granted = handle.turns_left = 0
        self.turns_inline += used
        return used

    def count_queued(self, length: int, full: bool) -> None:
        """Count a message that has to wait, in a mailbox of now `length` messages or, when that is full, before it."""
        self.turns_queued += 1
        self.turns_pushed_back += full
        self.mailbox_high_water = max(self.mailbox_high_water, length)

    def statistics(self) -> StoreStatistics:
        """What the actor has done since the database was opened."""
        return StoreStatistics(
            name=self.name,
            participants=self.participants,
            turns_inline=self.turns_inline,
            turns_waited=self.turns_waited,
            turns_queued=self.turns_queued,
            turns_pushed_back=self.turns_pushed_back,
            mailbox_high_water=self.mailbox_high_water,
        )
