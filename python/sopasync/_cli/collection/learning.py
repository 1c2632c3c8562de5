"""Learning an embedding while the event loop goes on: counting and arithmetic run on worker threads."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from functools import partial

import anyio.from_thread
import anyio.to_thread

from sopasync._cli.embedding import Fitted, TermCounts, Words, fit
from sopasync._cli.terminal import Progress

SEED = 1
"""The same texts give the same embedding."""


async def learn(
    pages: AsyncIterable[Sequence[str]], total: int, language: str, *, seed: int = SEED, quiet: bool = False
) -> Fitted:
    """Learn an embedding from texts that come in pages. Their words are counted, the texts are not kept.

    Cancellation is noticed at the next page or product of the factorization.
    """
    counts = TermCounts(Words(language))
    with Progress("words", total, "texts", quiet=quiet) as progress:
        async for page in pages:
            await anyio.to_thread.run_sync(counts.add, page)
            progress.advance(len(page))
    with Progress("learn", None, "products", quiet=quiet) as progress:

        def on_progress(done: int, of: int) -> None:
            anyio.from_thread.check_cancelled()
            progress.total = of
            progress.update(done)

        return await anyio.to_thread.run_sync(partial(fit, counts, seed, on_progress=on_progress))
