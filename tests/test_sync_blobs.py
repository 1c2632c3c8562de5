"""Streams of blobs without an event loop: engine threads read ahead of whichever thread goes on with one."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import sopasync
from sopasync import BlobConfig, TransactionMode, _core, sync

CHUNK = 64 * 1024
SMALL = BlobConfig(chunk_bytes=CHUNK)
READING = TransactionMode.FOR_READING


def content(chunks: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(chunks * CHUNK + 7)


def put(db: sync.Database, data: bytes, *, replace: bool = False) -> None:
    with db.begin_transaction() as tx:
        tx.open_blob_store("files", SMALL).write("a", data, replace=replace)


def test_a_stream_is_what_was_there_while_the_blob_is_replaced(db_path: Path) -> None:
    data = content(9)
    with sync.Database(db_path) as db:
        put(db, data)
        with db.begin_transaction(READING) as tx:
            blobs = tx.open_blob_store("files")
            got = b""
            for left_early in range(3):
                for piece in blobs.stream("a"):
                    if left_early:
                        break
                    got += piece
                    put(db, content(9, len(got)), replace=True)
                    db.checkpoint()
            assert got == data
            stream = blobs.stream("a")
            assert next(stream) == data[:CHUNK]
        with pytest.raises(sopasync.TransactionClosedError):
            next(stream)
        assert not db.check().problems


@pytest.mark.parametrize("chunks", [0, 1, 2, 3, 7])
def test_threads_may_take_turns_at_a_stream(db_path: Path, chunks: int) -> None:
    data = content(chunks)
    with (
        sync.Database(db_path) as db,
        ThreadPoolExecutor(1) as one,
        ThreadPoolExecutor(1) as other,
    ):
        put(db, data)
        with db.begin_transaction(READING) as tx:
            blobs = one.submit(tx.open_blob_store, "files").result()
            stream = one.submit(blobs.stream, "a").result()
            pieces = [
                [one, other][number % 2].submit(next, stream, b"").result() for number in range(chunks + 1)
            ]
            assert b"".join(pieces) == data
            assert other.submit(next, stream, None).result() is None


def test_engine_threads_read_what_comes_next(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = content(5)
    begun: list[_core.BegunRead | bytes] = []

    class Watched:
        """A kept value that notes which reads were begun for it."""

        def __init__(self, kept: _core.KeptValue) -> None:
            self._kept = kept
            self.read = kept.read

        def __len__(self) -> int:
            return len(self._kept)

        def begin_read_for_threads(self, participant: _core.Participant) -> _core.BegunRead | bytes:
            begun.append(self._kept.begin_read_for_threads(participant))
            return begun[-1]

    with sync.Database(db_path) as db:
        put(db, data)
        kept_chunk = sopasync.BlobStore.kept_chunk

        async def watched(*args: object) -> Watched:
            return Watched(await kept_chunk(*args))  # type: ignore[arg-type]

        monkeypatch.setattr(sopasync.BlobStore, "kept_chunk", watched)
        with db.begin_transaction(READING) as tx:
            stream = tx.open_blob_store("files").stream("a")
            assert next(stream) == data[:CHUNK]
            assert [type(one) for one in begun] == [_core.BegunRead] * 2
            assert b"".join(stream) == data[CHUNK:]
            # The last piece is shorter than what lies out of line, and there at once.
            assert [type(one) for one in begun] == [_core.BegunRead] * 4 + [bytes]


def test_damage_ahead_is_told_where_it_is_and_told_again(db_path: Path) -> None:
    data = content(4)
    with sync.Database(db_path) as db:
        put(db, data)
    pages = bytearray((db_path / "pages").read_bytes())
    pages[pages.index(data[2 * CHUNK : 2 * CHUNK + 64]) + 1000] ^= 1
    (db_path / "pages").write_bytes(pages)
    with sync.Database(db_path) as db, db.begin_transaction(READING) as tx:
        stream = tx.open_blob_store("files").stream("a")
        assert next(stream) + next(stream) == data[: 2 * CHUNK]
        for _ in range(3):
            with pytest.raises(sopasync.CorruptionError):
                next(stream)


def test_a_database_closes_while_chunks_are_read_ahead(db_path: Path) -> None:
    data = content(8)
    for _ in range(10):
        db = sync.Database(db_path).open()
        put(db, data, replace=True)
        tx = db.begin_transaction(READING)
        with tx:
            stream = tx.open_blob_store("files").stream("a")
            next(stream)
        db.close()
        with pytest.raises(sopasync.SopasyncError):
            next(stream)
    with sync.Database(db_path) as db:
        assert not db.check().problems
