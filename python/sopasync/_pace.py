"""`Pace`: how many items to take at a time, so that each piece keeps the event loop about a millisecond."""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING

from ._limits import INLINE_NS_MAX

if TYPE_CHECKING:
    from ._actor import StoreActor


class Pace:
    """Doubles the piece while pieces are quick, halves it when one was slow."""

    __slots__ = ("_actor", "_began_ns", "_items_max", "_waits", "items")

    def __init__(self, actor: StoreActor, items_first: int, items_max: int) -> None:
        self.items = min(items_first, items_max)
        self._items_max = items_max
        self._actor = actor
        self._waits = actor.turns_waited
        self._began_ns = monotonic_ns()

    def begin(self) -> None:
        """A piece begins."""
        self._waits = self._actor.turns_waited
        self._began_ns = monotonic_ns()

    def end(self) -> None:
        """It has ended: take more or less next time. Time spent waiting for the disk tells nothing."""
        if self._waits != self._actor.turns_waited:
            return
        took_ns = monotonic_ns() - self._began_ns
        if took_ns > INLINE_NS_MAX:
            self.items = max(self.items // 2, 1)
        elif took_ns < INLINE_NS_MAX // 3:
            self.items = min(self.items * 2, self._items_max)
