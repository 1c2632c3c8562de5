"""Money moves between stores of every kind, in one transaction at a time; whoever looks at one snapshot finds all of it."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.bank import CHUNK_BYTES, KINDS, Bank, LostMoneyError, found, move

import sopasync
from sopasync import BlobStore, Database, ModelStore, Transaction, TransactionMode

pytestmark = pytest.mark.anyio

KILLS = 6


async def audited(db: Database) -> int:
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        return await (await Bank.open(tx)).audit()


async def swarm(db: Database, clients: int = 4, moves: int = 8) -> None:
    """Clients move money at once, and auditors look all the time."""
    await db.run(found)
    done = anyio.Event()
    audits = 0

    async def client(seed: int) -> None:
        generator = random.Random(seed)
        for _ in range(moves):
            source, target = generator.choice(KINDS), generator.choice(KINDS)
            await db.run(move, source, target, generator.randrange(1, 50))

    async def auditor() -> None:
        nonlocal audits
        seen = 0
        while not done.is_set():
            number = await audited(db)
            assert number >= seen, "a later snapshot shows an earlier state"
            seen, audits = number, audits + 1
            await anyio.sleep(0)

    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(auditor)
        async with anyio.create_task_group() as banks:
            for seed in range(clients):
                banks.start_soon(client, seed)
        done.set()
    assert await audited(db) == clients * moves
    assert audits >= 2


async def test_auditors_find_all_money_whatever_moves(db: Database) -> None:
    await swarm(db)


async def test_a_move_that_is_given_up_moves_nothing(db: Database) -> None:
    await db.run(found)
    for source in KINDS:
        for target in KINDS:
            tx = db.begin_transaction()
            tx.begin()
            await move(tx, source, target, 10)
            tx.rollback()
    assert await audited(db) == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_of_two_who_take_from_one_account_one_is_refused(db: Database, kind: str) -> None:
    """Lost updates: each store's reads are validated when the other has written."""
    await db.run(found)
    other = KINDS[KINDS.index(kind) - 1]
    one, two = db.begin_transaction(), db.begin_transaction()
    for tx in (one, two):
        tx.begin()
        await move(tx, kind, other, 10)
    await one.commit()
    with pytest.raises(sopasync.ConflictError):
        await two.commit()
    assert await audited(db) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_killed_bank_has_all_its_money_and_every_acknowledged_move(
    tmp_path: Path, anyio_backend: str
) -> None:
    """SIGKILL again and again, in the middle of saves, blobs, uploads and rollbacks; no space is lost either."""
    folder = tmp_path / "bank"
    async with Database(folder) as db:
        await db.run(found)
    generator = random.Random(1)
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "bank.py"), str(folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline())]
        await anyio.sleep(generator.uniform(0.05, 0.8))
        process.kill()
        acknowledged += [int(line) for line in process.stdout.read().split("\n")[:-1]]
        process.stdout.close()
        process.wait()
        async with Database(folder) as db:
            assert await audited(db) >= max(acknowledged), "an acknowledged move is gone"
            report = await db.check()
            assert not report.problems, report
            async with db.begin_transaction() as tx:
                blobs = await tx.open_blob_store("blobs")
                assert {info.name for info in await blobs.list()} <= {"account", "upload"}
                for upload in await blobs.uploads():
                    assert upload.received % CHUNK_BYTES == 0
                    await blobs.abort_upload(upload.name)
                # A row for each blob, and its chunks; nothing of what was broken off.
                chunks = sum(-(-info.size // CHUNK_BYTES) for info in await blobs.list())
                assert await blobs.rows.count() == chunks + await blobs.count()
    size = (folder / "pages").stat().st_size
    assert size < 4_000_000, f"{size} bytes for less than a megabyte"


# -- the checks can fail ------------------------------------------------------------------------


def forget_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose new row comes in another commit than its weights."""
    from sopasync._rows import RowsTurn

    whole = RowsTurn.put_parts
    kept: list[Any] = []

    async def put_parts(self: RowsTurn, key: Any, parts: Any) -> None:
        parts = [bytes(part) for part in parts]
        kept.append(parts)
        late = kept[-2] if len(kept) > 1 and len(kept[-2]) == len(parts) else parts
        await whole(self, key, late)

    monkeypatch.setattr(RowsTurn, "put_parts", put_parts)


def write_chunks_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A blob that is replaced keeps its id, and a chunk of the old content."""
    from sopasync._blob_writer import BlobWriter

    flush = BlobWriter._flush
    first: list[Any] = []

    async def keep_first(self: BlobWriter, chunk: Any) -> None:
        if not first and len(chunk) < CHUNK_BYTES:
            first.append(bytes(chunk))
        await flush(self, bytearray(first[0]) if len(chunk) < CHUNK_BYTES else chunk)

    monkeypatch.setattr(BlobWriter, "_flush", keep_first)


def commit_models_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model store that swallows every third save."""
    save = ModelStore.save
    saves = 0

    async def swallow(self: ModelStore, *args: Any, **options: Any) -> Any:
        nonlocal saves
        saves += 1
        return None if saves % 3 == 0 else await save(self, *args, **options)

    monkeypatch.setattr(ModelStore, "save", swallow)


def read_models_untracked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads of models come from another transaction, so that nothing validates them."""
    load = ModelStore.load
    opened = Transaction.open_model_store
    databases: list[Database] = []
    begin = Database.begin_transaction

    def remember(self: Database, *args: Any, **options: Any) -> Any:
        databases[:] = [self]
        return begin(self, *args, **options)

    async def elsewhere(self: ModelStore, *args: Any, **options: Any) -> Any:
        async with begin(databases[0], TransactionMode.FOR_READING) as tx:
            return await load(await opened(tx, self.name), *args, **options)

    monkeypatch.setattr(Database, "begin_transaction", remember)
    monkeypatch.setattr(ModelStore, "load", elsewhere)


def leave_blobs_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A blob that is replaced while it is read is read in halves: the row now, the chunks from its successor."""
    replaced = BlobStore.row

    async def newest(self: BlobStore, name: str) -> Any:
        row = await replaced(self, name)
        object.__setattr__(row, "size", row.size - 1)
        return row

    monkeypatch.setattr(BlobStore, "row", newest)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "mutant",
    [forget_weights, write_chunks_over, commit_models_apart, read_models_untracked, leave_blobs_unread],
)
async def test_a_deliberate_bug_of_a_store_is_noticed(
    db: Database, mutant: Any, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> None:
    mutant(monkeypatch)
    with pytest.raises((LostMoneyError, AssertionError, sopasync.SopasyncError, BaseExceptionGroup)):
        await swarm(db)
