"""`Savepoint`: a part of a transaction that can be undone alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ._exceptions import TransactionStateError

if TYPE_CHECKING:
    from types import TracebackType

    from ._core import Transaction as Native
    from ._turns import Turns


@final
class Savepoint:
    """Made by `Transaction.savepoint`; an exception that leaves its block undoes the block and goes on."""

    __slots__ = ("_native", "_position", "_turns")

    def __init__(self, turns: Turns, native: Native) -> None:
        self._turns = turns
        self._native = native
        self._position: int | None = None

    async def __aenter__(self) -> Savepoint:
        async with self._turns.turn():
            self._position = self._native.savepoint()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not self._turns.ended:
            self._undo()
        self._position = None

    def rollback(self) -> None:
        """Undo what the block has done so far, and stay in it. Never waits."""
        if self._position is None:
            raise TransactionStateError("a savepoint is rolled back inside its `async with` block only")
        if not self._turns.ended:
            self._undo()

    def _undo(self) -> None:
        assert self._position is not None, "undone before it was entered"
        self._turns.undo(self._position)
