"""SIGKILL at random moments of a training: version row, weights, vectors and texts must always be of one version."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
import numpy as np

import sopasync
from sopasync import Query
from sopasync._cli.collection import Collection, OpenCollection, find_collection, text_of
from sopasync._cli.collection.stores import COLLECTIONS, EMBEDDING, MODELS, TEXT_SUFFIX, VECTORS_SUFFIX
from sopasync._cli.demo.corpus import Definition
from sopasync._cli.demo.process import kill
from sopasync._cli.demo.soundness import check
from sopasync._cli.demo.texts import COLLECTION
from sopasync._cli.demo.versions import Version, version_of
from sopasync._cli.failure import CommandError
from sopasync._cli.terminal import seconds

TRAINER = "sopasync._cli.demo.trainer"
STORES = {COLLECTIONS, MODELS, COLLECTION + TEXT_SUFFIX, COLLECTION + VECTORS_SUFFIX}
MOMENTS: dict[str, tuple[float, float]] = {
    # What the process has just said, and how many seconds later it is killed. Commits take milliseconds.
    "opening": (0.0, 0.05),
    "training": (0.0, 0.3),
    "writing": (0.0, 0.1),
    "committing": (0.0, 0.04),
}
SHARES = (1, 2, 3, 4)
"""How often each of these moments is chosen."""
VERSIONS_BEFORE_MAX = 3
"""So many versions are committed before the kill, at most."""
TOLERANCE = 1e-5
"""Vectors are stored in single precision."""


class TrainingRounds:
    """Kills a training process again and again, always on the same database."""

    def __init__(
        self,
        folder: Path,
        packed: Path,
        pool: Sequence[Definition],
        moments: random.Random,
        trainer: str = TRAINER,
    ) -> None:
        self.version = 0
        """The version the database was at after the last round."""
        self.vectors_compared = 0
        self._folder = folder
        self._packed = packed
        self._pool = pool
        self._moments = moments
        self._trainer = trainer

    async def kill_and_verify(self) -> str:
        """Do one round and say what it showed; raises `CommandError` when there is a ghost."""
        (moment,) = self._moments.choices(list(MOMENTS), SHARES)
        delay_s = self._moments.uniform(*MOMENTS[moment])
        skipped = 0 if moment == "opening" else self._moments.randrange(VERSIONS_BEFORE_MAX)
        number = 0 if moment == "opening" else self.version + 1 + skipped
        awaited = f"{moment} {number}\n".encode()
        arguments = [str(self._folder), str(self._packed)]
        killed = await anyio.to_thread.run_sync(kill, self._trainer, arguments, awaited.__eq__, delay_s)
        whole = [line.decode().split() for line in killed.lines if line.endswith(b"\n")]
        acknowledged = max((int(given) for what, given in whole if what == "committed"), default=self.version)
        state = await verify(self._folder, self._pool, acknowledged)
        self.version = state.version
        self.vectors_compared += state.vectors_compared
        doing, of = whole[-1]
        about = "" if doing == "opening" else f" version {of}"
        return (
            f"killed while {doing}{about}: "
            if doing != "committed"
            else f"killed after version {of} was committed: "
        ) + f"everything is of version {state.version}, and sound; reopened in {seconds(state.reopen_s)}"


@dataclass
class State:
    """What was found after a kill."""

    version: int
    """0: nothing was committed yet."""
    vectors_compared: int
    reopen_s: float


async def verify(folder: Path, pool: Sequence[Definition], acknowledged: int) -> State:
    """Reopen the database and compare its version row, its weights, its vectors and its texts with each other.

    Raises:
        CommandError: They are not of one version, an acknowledged version is lost, or the check of the whole database
            finds damage.
    """
    began_s = time.perf_counter()
    async with sopasync.Database(folder) as db:
        reopen_s = time.perf_counter() - began_s
        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            made = {store.name for store in await tx.stores()}
            if made and made != STORES:
                raise CommandError(f"a ghost: only {', '.join(sorted(made))} are there of the four stores")
            compared = 0
            version = 0
            if made:
                found = await find_collection(tx, COLLECTION)
                row = found.row
                if row is None or not row.version:
                    raise CommandError(
                        "a ghost: the stores are there, but no row says which version they are"
                    )
                version = row.version
                models = await tx.open_model_store(MODELS)
                saved = await models.info(EMBEDDING, COLLECTION)
                if saved.version != version:
                    raise CommandError(
                        f"a ghost: the row says version {version}, the weights are of version {saved.version}"
                    )
                expected = version_of(pool, version)
                await _verify_texts(found, expected)
                compared = await _verify_vectors(found, row, expected)
        await check(db)
    if version < acknowledged:
        raise CommandError(
            f"version {acknowledged} was acknowledged, but the database is at version {version}"
        )
    return State(version, compared, reopen_s)


async def _verify_texts(found: OpenCollection, expected: Version) -> None:
    count = await found.texts.count()
    stamped = await found.texts.search(Query.term(expected.stamp), limit=2 * len(expected.documents))
    others = await found.texts.search(
        Query.prefix("version", field="name") & ~Query.term(expected.stamp), limit=1, filter=None
    )
    payloads = all(hit.payload == expected.payload for hit in stamped)
    others = [hit for hit in others if hit.payload != expected.payload]
    if (
        count != len(expected.documents)
        or {hit.doc_id for hit in stamped} != expected.documents.keys()
        or not payloads
        or others
    ):
        raise CommandError(
            f"a ghost: the row says version {expected.number}, of whose {len(expected.documents)} texts {len(stamped)} "
            f"are found; {count} texts are there"
        )


async def _verify_vectors(found: OpenCollection, row: Collection, expected: Version) -> int:
    """Compare every stored vector with the one that the stored weights give its stored text."""
    assert found.vectors is not None
    assert found.embedding is not None
    items = {item.id: item async for item in found.vectors.items()}
    texts: list[str] = []
    for id_ in items:
        document = await found.texts.get(id_)
        fields: Any = document.text if document is not None else None
        texts.append(text_of(fields) if fields is not None else "")
    made = found.embedding.embed(texts)
    stored = np.array([item.vector for item in items.values()])
    apart = float(np.abs(made - stored).max(initial=0.0)) if made.shape == stored.shape else float("inf")
    strangers = items.keys() - expected.documents.keys()
    if (
        len(items) != row.vectors
        or strangers
        or apart > TOLERANCE
        or any(item.payload != expected.payload for item in items.values())
    ):
        raise CommandError(
            f"a ghost: the row says version {expected.number} with {row.vectors} vectors; {len(items)} are there, "
            f"{len(strangers)} of other texts, up to {apart:.2g} away from what the weights make of the texts"
        )
    return len(items)
