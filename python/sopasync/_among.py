"""Ids to search among: what an index of a B-tree store, or anything else, gives to a search in another store."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from ._core import KeyBatch
from ._exceptions import InvalidArgumentError
from ._scan import Scan

if TYPE_CHECKING:
    from ._core import KeyCodec
    from ._turns import Turns

Among = Iterable[Any] | AsyncIterable[Any]
"""Ids to search among: an iterable, or an iterator over keys of a store or an index."""

IDS_PER_LOOK: Final = 256
"""Ids taken between two looks at the clock."""


async def encoded(among: Among, codec: KeyCodec, turns: Turns) -> KeyBatch:
    """The ids to search among, as their store has them; the event loop runs between pieces of them."""
    batch = KeyBatch(codec)

    async def take(piece: list[Any]) -> None:
        batch.extend(piece)
        if turns.budget.exhausted():
            await turns.budget.pause()
            turns.check()

    if isinstance(among, Scan):
        async for page in among.pages():
            await take(page)
    elif isinstance(among, AsyncIterable):
        piece: list[Any] = []
        async for key in among:
            piece.append(key)
            if len(piece) == IDS_PER_LOOK:
                await take(piece)
                piece.clear()
        await take(piece)
    elif isinstance(among, str | bytes):
        raise InvalidArgumentError(f"among= takes many ids: give [{among!r}] for one")
    elif isinstance(cast("object", among), Iterable):
        keys = iter(among)
        while piece := list(islice(keys, IDS_PER_LOOK)):
            await take(piece)
    else:
        raise InvalidArgumentError(f"among= takes an iterable of ids, got {type(among).__name__}")
    return batch
