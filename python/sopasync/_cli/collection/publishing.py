"""Atomic training: the vectors, the embedding that made them, and the row that says so, in one transaction.

Whoever reads at a snapshot finds all of one version: never new vectors with old weights, or the other way round,
also when the process is killed in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anyio.to_thread
import msgspec
import numpy as np
from numpy.typing import NDArray

import sopasync
from sopasync import VectorConfig
from sopasync._cli.collection.stores import (
    EMBEDDING,
    MODELS,
    VECTORS_SUFFIX,
    Collection,
    put_row,
)
from sopasync._cli.embedding import Embedding, Fitted

VECTORS_PER_STEP = 1024
"""Vectors between two reports of progress; putting them together keeps the event loop about a millisecond."""


def _ignore(_written: int) -> None:
    pass


async def publish(
    tx: sopasync.Transaction,
    name: str,
    collection: Collection,
    ids: Sequence[Any],
    payloads: Sequence[dict[str, Any] | None],
    fitted: Fitted,
    *,
    on_progress: Callable[[int], None] = _ignore,
) -> Collection:
    """Put a newly learned embedding in place of the one before it, with all its vectors.

    Args:
        tx: The transaction; its commit makes all of it visible at once.
        name: Name of the collection.
        collection: Its row as the transaction has it.
        ids: Of the texts the embedding was learned from.
        payloads: Of the vectors.
        fitted: The embedding, and a vector for each id.
        on_progress: Called with vectors written so far.

    Returns:
        The row as it is now.
    """
    written = await publish_vectors(tx, name, ids, payloads, fitted.vectors, on_progress=on_progress)
    version = await publish_model(tx, name, fitted.embedding)
    row = msgspec.structs.replace(
        collection,
        version=version,
        trained_changes=collection.changes,
        vectors=written,
        metrics=fitted.embedding.metrics,
    )
    await put_row(tx, name, row)
    return row


async def publish_vectors(
    tx: sopasync.Transaction,
    name: str,
    ids: Sequence[Any],
    payloads: Sequence[dict[str, Any] | None],
    vectors: NDArray[np.float32],
    *,
    on_progress: Callable[[int], None] = _ignore,
) -> int:
    """Write the vectors of all texts, and delete those of texts that are no longer there; returns how many there are.

    A text without any word that the embedding knows has no direction, and gets no vector.
    """
    store = await tx.open_vector_store(name + VECTORS_SUFFIX, VectorConfig(dimension=vectors.shape[1]))
    known, present = await anyio.to_thread.run_sync(_with_direction, ids, vectors)
    gone = [id_ async for id_ in store.ids() if id_ not in present]
    for start in range(0, len(known), VECTORS_PER_STEP):
        chosen = known[start : start + VECTORS_PER_STEP]
        await store.upsert_many(
            [ids[number] for number in chosen], vectors[chosen], [payloads[number] for number in chosen]
        )
        on_progress(start + len(chosen))
    await store.delete(gone)
    return len(present)


def _with_direction(ids: Sequence[Any], vectors: NDArray[np.float32]) -> tuple[list[int], set[Any]]:
    """Places and ids of vectors that are not zero."""
    known: list[int] = np.flatnonzero(np.any(vectors, axis=1)).tolist()
    return known, {ids[number] for number in known}


async def publish_model(tx: sopasync.Transaction, name: str, embedding: Embedding) -> int:
    """Save the embedding; returns its version."""
    models = await tx.open_model_store(MODELS, description="embeddings of the collections")
    info = await models.save(EMBEDDING, name, embedding, metadata={"metrics": embedding.metrics})
    return info.version
