"""Atomic training: killed at any moment, version row, weights, vectors and texts agree. A trainer that cheats is caught."""

from __future__ import annotations

import random
import sys
import textwrap
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

import sopasync
from sopasync._cli.collection import find_row, publish, put_row
from sopasync._cli.collection.stores import COLLECTIONS, EMBEDDING, MODELS, TEXT_SUFFIX, VECTORS_SUFFIX
from sopasync._cli.demo.corpus import Definition
from sopasync._cli.demo.ghosts import TrainingRounds, verify
from sopasync._cli.demo.texts import COLLECTION
from sopasync._cli.demo.versions import Version, save, train, version_of, write_texts
from sopasync._cli.failure import CommandError

ROUNDS = 5
ROUNDS_UNTIL_CAUGHT = 30


@pytest.fixture
def pool() -> list[Definition]:
    verbs = ["open", "close", "read", "write", "parse", "format", "compress", "send", "wait", "cancel"]
    nouns = ["file", "socket", "date", "archive", "task", "lock", "queue", "tree", "message", "thread"]
    return [
        Definition(
            module=f"module_{number % 7}",
            kind="function",
            qualified_name=f"{verb}_{noun}_{number}",
            name=f"{verb}_{noun}_{number}",
            signature=f"({noun}, mode)",
            docstring=f"{verb} the {noun} with {nouns[number % 10]} and {verbs[number % 9]} it again",
            file="module.py",
            line=number,
        )
        for number, (verb, noun) in enumerate((verb, noun) for verb in verbs for noun in nouns * 3)
    ]


async def train_until(db: sopasync.Database, pool: list[Definition], last: int) -> None:
    before: Version | None = None
    for number in range(1, last + 1):
        version = version_of(pool, number)
        fitted = await train(version)
        async with db.begin_transaction() as tx:
            row = await write_texts(tx, version, before)
            payloads = [version.payload] * len(version.documents)
            await publish(tx, COLLECTION, row, list(version.documents), payloads, fitted)
        before = version


@pytest.fixture
def trained(db_path: Path, pool: list[Definition]) -> Path:
    async def scenario() -> None:
        async with sopasync.Database(db_path) as db:
            await train_until(db, pool, 3)

    anyio.run(scenario)
    return db_path


def test_the_checker_accepts_what_is_whole(trained: Path, pool: list[Definition]) -> None:
    state = anyio.run(verify, trained, pool, 3)
    assert state.version == 3
    assert state.vectors_compared == 200


def test_the_checker_notices_a_lost_version(trained: Path, pool: list[Definition]) -> None:
    with pytest.raises(CommandError, match="version 4 was acknowledged, but the database is at version 3"):
        anyio.run(verify, trained, pool, 4)


async def _row_ahead(tx: sopasync.Transaction) -> None:
    row = await find_row(tx, COLLECTION)
    assert row is not None
    await put_row(tx, COLLECTION, msgspec.structs.replace(row, version=4))


async def _weights_ahead(tx: sopasync.Transaction) -> None:
    models = await tx.open_model_store(MODELS)
    await models.save(EMBEDDING, COLLECTION, await models.get(EMBEDDING, COLLECTION))


async def _other_weights(tx: sopasync.Transaction) -> None:
    rows = await tx.open_btree(COLLECTIONS)
    row: dict[str, Any] = await rows.get(COLLECTION)
    models = await tx.open_model_store(MODELS)
    model = await models.get(EMBEDDING, COLLECTION)
    await models.save(EMBEDDING, COLLECTION, model | {"weights": model["weights"][::-1].copy()})
    await rows.upsert(COLLECTION, row | {"version": 4})


async def _one_old_vector(tx: sopasync.Transaction) -> None:
    vectors = await tx.open_vector_store(COLLECTION + VECTORS_SUFFIX)
    async for item in vectors.items():
        await vectors.upsert(item.id, -item.vector, item.payload)
        return


async def _one_vector_missing(tx: sopasync.Transaction) -> None:
    vectors = await tx.open_vector_store(COLLECTION + VECTORS_SUFFIX)
    async for id_ in vectors.ids():
        await vectors.delete(id_)
        return


async def _one_text_missing(tx: sopasync.Transaction) -> None:
    vectors = await tx.open_vector_store(COLLECTION + VECTORS_SUFFIX)
    texts = await tx.open_search(COLLECTION + TEXT_SUFFIX)
    async for id_ in vectors.ids():
        await texts.delete(id_)
        return


async def _one_text_too_many(tx: sopasync.Transaction) -> None:
    texts = await tx.open_search(COLLECTION + TEXT_SUFFIX)
    await texts.add("left over", {"name": "version2"}, payload={"version": 2})


async def _no_model(tx: sopasync.Transaction) -> None:
    await tx.remove_model_store(MODELS)


@pytest.mark.parametrize(
    "damage",
    [
        _row_ahead,
        _weights_ahead,
        _other_weights,
        _one_old_vector,
        _one_vector_missing,
        _one_text_missing,
        _one_text_too_many,
        _no_model,
    ],
)
def test_the_checker_notices_every_kind_of_ghost(trained: Path, pool: list[Definition], damage: Any) -> None:
    async def scenario() -> None:
        async with sopasync.Database(trained) as db, db.begin_transaction() as tx:
            await damage(tx)
        with pytest.raises(CommandError, match="a ghost: "):
            await verify(trained, pool, 3)

    anyio.run(scenario)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_kill_9_of_a_training_leaves_no_ghost(tmp_path: Path, pool: list[Definition]) -> None:
    save(pool, tmp_path / "pool")
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    rounds = TrainingRounds(tmp_path / "db", tmp_path / "pool", pool, random.Random(seed))

    async def scenario() -> None:
        for _ in range(ROUNDS):
            await rounds.kill_and_verify()

    anyio.run(scenario)


# It commits the texts and vectors, and only then, in a second transaction, the weights and the version row.
CHEATING_TRAINER = textwrap.dedent("""
    import sys
    from pathlib import Path

    import anyio
    import sopasync
    from sopasync._cli.collection import find_row, publish, publish_vectors
    from sopasync._cli.demo.texts import COLLECTION
    from sopasync._cli.demo.trainer import say
    from sopasync._cli.demo.versions import load, train, version_of, write_texts

    async def main(folder, packed):
        pool = load(Path(packed))
        say("opening", 0)
        async with sopasync.Database(folder) as db:
            async with db.begin_transaction() as tx:
                row = await find_row(tx, COLLECTION)
            before = None if row is None else version_of(pool, row.version)
            while True:
                version = version_of(pool, 1 if before is None else before.number + 1)
                say("training", version.number)
                fitted = await train(version)
                ids, payloads = list(version.documents), [version.payload] * len(version.documents)
                say("writing", version.number)
                async with db.begin_transaction() as tx:
                    row = await write_texts(tx, version, before)
                    await publish_vectors(tx, COLLECTION, ids, payloads, fitted.vectors)
                say("committing", version.number)
                async with db.begin_transaction() as tx:
                    await publish(tx, COLLECTION, row, ids, payloads, fitted)
                say("committed", version.number)
                before = version

    if __name__ == "__main__":
        anyio.run(main, *sys.argv[1:])
""")


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_trainer_that_commits_in_two_transactions_is_caught(
    tmp_path: Path, pool: list[Definition], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cheating_trainer.py").write_text(CHEATING_TRAINER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    save(pool, tmp_path / "pool")
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    rounds = TrainingRounds(
        tmp_path / "db", tmp_path / "pool", pool, random.Random(seed), trainer="cheating_trainer"
    )

    async def scenario() -> int:
        for number in range(1, ROUNDS_UNTIL_CAUGHT + 1):
            try:
                await rounds.kill_and_verify()
            except CommandError as error:
                return number if "a ghost: " in str(error) else 0
        return 0

    assert anyio.run(scenario), f"not caught in {ROUNDS_UNTIL_CAUGHT} rounds"
