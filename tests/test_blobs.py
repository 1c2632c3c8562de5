"""Blobs: streams in and out, part of the transaction, verified, with their space given back."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

import sopasync
from sopasync import BlobConfig, BlobStore, Database, Transaction, TransactionMode

pytestmark = pytest.mark.anyio

CHUNK = 64 * 1024
SMALL = BlobConfig(chunk_bytes=CHUNK)
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 7]


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(seed * 1_000_003 + size).randbytes(size)


async def put(db: Database, name: str, data: bytes, *, replace: bool = False) -> None:
    async with db.begin_transaction() as tx:
        blobs = await tx.open_blob_store("files", SMALL)
        await blobs.write(name, data, replace=replace)


async def get(db: Database, name: str) -> bytes:
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        return await (await tx.open_blob_store("files")).read(name)


async def rows_left(db: Database) -> int:
    """Rows of the store, of every family."""
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        return await (await tx.open_blob_store("files")).rows.count()


@pytest.mark.parametrize("size", SIZES)
async def test_what_was_written_is_read_again(db: Database, db_path: Path, size: int) -> None:
    data = content(size)
    await put(db, "a", data)
    assert await get(db, "a") == data
    await db.aclose()
    async with Database(db_path) as again:
        assert await get(again, "a") == data
        async with again.begin_transaction() as tx:
            info = await (await tx.open_blob_store("files")).stat("a")
        assert (info.name, info.size) == ("a", size)


async def test_pieces_of_any_length_make_one_blob(db: Database) -> None:
    source = random.Random(7)
    data = content(6 * CHUNK + 123)
    async with db.begin_transaction() as tx:
        blobs = await tx.open_blob_store("files", SMALL)
        async with blobs.create("a", sha256=True, content_type="text/plain", metadata={"n": 1}) as writer:
            position = 0
            while position < len(data):
                step = source.choice([1, 100, CHUNK // 2, CHUNK, 2 * CHUNK + 5])
                await writer.write(memoryview(data)[position : position + step])
                position += step
            assert writer.size == len(data)
        assert await blobs.read("a") == data
        info = await blobs.stat("a")
    assert info.sha256 == hashlib.sha256(data).hexdigest()
    assert (info.content_type, info.metadata) == ("text/plain", {"n": 1})


async def test_any_range_can_be_read(db: Database) -> None:
    data = content(3 * CHUNK + 10)
    await put(db, "a", data)
    source = random.Random(3)
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        blobs = await tx.open_blob_store("files")
        edges = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, len(data) - 1, len(data), len(data) + 99, -1, -CHUNK]
        for _ in range(60):
            start, stop = source.choice(edges), source.choice([*edges, None])
            assert await blobs.read("a", start, stop) == data[start:stop]
        sizes = [len(piece) async for piece in blobs.stream("a")]
    assert max(sizes) == CHUNK


async def test_files_and_iterators_are_sources_and_files_are_targets(db: Database, tmp_path: Path) -> None:
    data = content(2 * CHUNK + 1)
    file = tmp_path / "in"
    file.write_bytes(data)

    async def pieces() -> AsyncIterator[bytes]:
        yield data[:10]
        yield data[10:]

    async with db.begin_transaction() as tx:
        blobs = await tx.open_blob_store("files", SMALL)
        for name, source in [("path", file), ("async", pieces()), ("list", [data[:5], data[5:]])]:
            async with blobs.create(name) as writer:
                assert await writer.write_from(source) == len(data)
            assert await blobs.download(name, tmp_path / "out") == len(data)
            assert (tmp_path / "out").read_bytes() == data
        assert [info.name for info in await blobs.list()] == ["async", "list", "path"]
        assert [info.name for info in await blobs.list("p")] == ["path"]
        assert await blobs.count() == 3
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["in", "out"]


async def test_an_error_inside_the_writer_leaves_nothing_and_the_transaction_goes_on(db: Database) -> None:
    async with db.begin_transaction() as tx:
        blobs = await tx.open_blob_store("files", SMALL)
        other = await tx.new_btree("other")
        with pytest.raises(ZeroDivisionError):
            async with blobs.create("a") as writer:
                await writer.write(content(4 * CHUNK))
                await other.add("kept", 1)
                raise ZeroDivisionError
        assert not await blobs.exists("a")
    assert await rows_left(db) == 0
    async with db.begin_transaction() as tx:
        assert await (await tx.open_btree("other")).get("kept") == 1


async def test_a_cancelled_write_leaves_nothing(db: Database) -> None:
    async with db.begin_transaction() as tx:
        blobs = await tx.open_blob_store("files", SMALL)
        with anyio.CancelScope() as scope:
            async with blobs.create("a") as writer:
                await writer.write(content(CHUNK))
                scope.cancel()
                await writer.write(content(9 * CHUNK))
                await anyio.sleep(1)
        assert scope.cancelled_caught
        assert not await blobs.exists("a")
    assert await rows_left(db) == 0


async def test_a_blob_is_seen_inside_its_transaction_and_outside_after_the_commit_only(db: Database) -> None:
    async with db.begin_transaction() as tx:
        blobs = await tx.open_blob_store("files", SMALL)
        await blobs.write("a", b"mine")
        async with db.begin_transaction(TransactionMode.FOR_READING) as reader:
            with pytest.raises(sopasync.StoreNotFoundError):
                await reader.open_blob_store("files")
        assert await blobs.read("a") == b"mine"
    old = db.begin_transaction(TransactionMode.FOR_READING)
    old.begin()
    old_blobs = await old.open_blob_store("files")
    await put(db, "a", content(3 * CHUNK), replace=True)
    assert await old_blobs.read("a") == b"mine"
    old.rollback()
    assert await get(db, "a") == content(3 * CHUNK)


async def test_replacing_deleting_and_renaming_leave_no_row_behind(db: Database) -> None:
    await put(db, "a", content(4 * CHUNK))
    await put(db, "a", content(2 * CHUNK, 1), replace=True)
    assert await rows_left(db) == 3
    async with db.begin_transaction() as tx:
        blobs = await tx.open_blob_store("files")
        created = (await blobs.stat("a")).created_at
        with pytest.raises(sopasync.DuplicateKeyError, match="replace=True"):
            await blobs.write("a", b"", replace=False)
        await blobs.rename("a", "b")
        assert (await blobs.stat("b")).created_at == created
        assert await blobs.read("b") == content(2 * CHUNK, 1)
        assert not await blobs.exists("a")
        await blobs.write("c", content(CHUNK))
        with pytest.raises(sopasync.DuplicateKeyError):
            await blobs.rename("c", "b")
        await blobs.rename("c", "b", replace=True)
        await blobs.rename("b", "b")
        assert await blobs.read("b") == content(CHUNK)
        assert (await blobs.set_metadata("b", {"k": [1]}, content_type="x/y")).metadata == {"k": [1]}
        assert (await blobs.stat("b")).content_type == "x/y"
    assert await rows_left(db) == 2
    async with db.begin_transaction() as tx:
        blobs = await tx.open_blob_store("files")
        await blobs.delete("b")
        assert not await blobs.discard("b")
        for call in (blobs.stat("b"), blobs.delete("b"), blobs.read("b"), blobs.rename("b", "c")):
            with pytest.raises(sopasync.KeyNotFound, match="no blob 'b'"):
                await call
        with pytest.raises(sopasync.KeyNotFound):
            await blobs.set_metadata("b", {})
    assert await rows_left(db) == 0
    assert not (await db.check()).problems


async def test_space_comes_back_after_deleting_and_after_giving_up(db: Database) -> None:
    for turn in range(12):
        await put(db, "a", content(32 * CHUNK, turn), replace=True)
        with pytest.raises(ZeroDivisionError):
            async with db.begin_transaction() as tx:
                blobs = await tx.open_blob_store("files")
                await blobs.write("never", content(32 * CHUNK))
                raise ZeroDivisionError
    await db.checkpoint()
    size = (Path(db.path) / "pages").stat().st_size
    assert size < 6 * 32 * CHUNK, "24 blobs of 2 MiB were written and one is there"


async def test_two_writers_of_one_name_conflict_and_of_two_names_do_not(db: Database) -> None:
    await put(db, "zero", b"")

    async def write(name: str) -> Transaction:
        tx = db.begin_transaction()
        tx.begin()
        await (await tx.open_blob_store("files")).write(name, content(CHUNK), replace=False)
        return tx

    first, second, third = await write("a"), await write("a"), await write("b")
    await first.commit()
    with pytest.raises(sopasync.ConflictError):
        await second.commit()
    await third.commit()


async def test_bad_input_is_refused_and_changes_nothing(db: Database) -> None:
    await put(db, "a", b"x")
    async with db.begin_transaction() as tx:
        blobs = await tx.open_blob_store("files")
        before = await blobs.rows.count()
        for name in ("", "x" * 1025, 5, None):
            with pytest.raises(sopasync.InvalidArgumentError, match=r"name|blob"):
                await blobs.write(name, b"x")  # type: ignore[arg-type]
        with pytest.raises(sopasync.InvalidArgumentError, match="from bytes"):
            await blobs.write("b", "text")  # type: ignore[arg-type]
        with pytest.raises(sopasync.InvalidArgumentError, match="metadata"):
            await blobs.set_metadata("a", {"a": object()})
        with pytest.raises(sopasync.InvalidArgumentError, match="at most"):
            await blobs.set_metadata("a", {"a": b"x" * 70_000})
        with pytest.raises(sopasync.TransactionStateError, match="create"):
            await blobs.create("b").write(b"x")
        with pytest.raises(sopasync.StoreExistsError, match="chunk_bytes"):
            await tx.open_blob_store("files", BlobConfig())
        with pytest.raises(sopasync.UnsupportedError, match="not a B-tree store but a blob store"):
            await tx.open_btree("files")
        assert await blobs.rows.count() == before
    with pytest.raises(sopasync.InvalidArgumentError, match="chunk_bytes"):
        BlobConfig(chunk_bytes=1)
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        blobs = await tx.open_blob_store("files")
        with pytest.raises(sopasync.ReadOnlyError):
            await blobs.write("b", content(2 * CHUNK))
    await db.remove_blob_store("files")
    with pytest.raises(sopasync.StoreNotFoundError):
        await get(db, "a")


async def test_damage_is_told_and_never_read(db: Database, db_path: Path) -> None:
    data = content(4 * CHUNK)
    await put(db, "a", data)
    await db.aclose()
    pages = (db_path / "pages").read_bytes()
    place = pages.index(data[2 * CHUNK : 2 * CHUNK + 64])
    damaged = bytearray(pages)
    damaged[place + 1000] ^= 1
    (db_path / "pages").write_bytes(damaged)
    async with Database(db_path) as again:
        got = b""
        async with again.begin_transaction(TransactionMode.FOR_READING) as tx:
            blobs = await tx.open_blob_store("files")
            with pytest.raises(sopasync.CorruptionError):
                async for piece in blobs.stream("a"):
                    got += piece
        assert got == data[: 2 * CHUNK]


async def test_what_is_read_ahead_is_what_was_there(db: Database) -> None:
    data = content(9 * CHUNK + 5)
    await put(db, "a", data)
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        blobs = await tx.open_blob_store("files")
        got = b""
        for left_early in range(3):
            async for piece in blobs.stream("a"):
                if left_early:
                    break
                got += piece
                await put(db, "a", content(9 * CHUNK + 5, 1 + len(got)), replace=True)
                await db.checkpoint()
        assert got == data
        stream = blobs.stream("a")
        assert await anext(stream) == data[:CHUNK]
    with pytest.raises(sopasync.TransactionClosedError):
        await anext(stream)
    assert not (await db.check()).problems


async def test_a_stream_goes_on_after_a_cancelled_wait(db: Database) -> None:
    data = content(40 * CHUNK)
    await put(db, "a", data)
    async with db.begin_transaction() as tx:
        stream = (await tx.open_blob_store("files")).stream("a")
        got = b""
        for _ in range(40):
            before = len(got)
            with anyio.CancelScope() as scope:
                scope.cancel()
                got += await anext(stream)
            if len(got) == before:
                got += await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    assert got == data


class BrokenSourceError(Exception):
    pass


class Cut(io.BytesIO):
    """A stream that fails at a place, once."""

    def __init__(self, data: bytes, at: int) -> None:
        super().__init__(data)
        self.at: int | None = at

    def read(self, size: int | None = -1, /) -> bytes:
        if self.at is not None and self.tell() >= self.at:
            self.at = None
            raise BrokenSourceError
        return super().read(size)


async def test_an_interrupted_upload_goes_on_where_it_was(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sopasync._blob_upload.COMMIT_BYTES", 2 * CHUNK)
    data = content(11 * CHUNK + 5)
    async with db.begin_transaction() as tx:
        await tx.open_blob_store("files", SMALL)
    source = Cut(data, 7 * CHUNK)
    with pytest.raises(BrokenSourceError):
        await db.upload_blob("files", "a", source)
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        blobs = await tx.open_blob_store("files")
        assert not await blobs.exists("a")
        assert [(upload.name, upload.received) for upload in await blobs.uploads()] == [("a", 6 * CHUNK)]
    steps: list[tuple[int, int]] = []
    info = await db.upload_blob(
        "files", "a", source, progress=lambda done, total: steps.append((done, total))
    )
    assert steps[0] == (6 * CHUNK, len(data))
    assert steps[-1] == (len(data), len(data))
    assert info.size == len(data)
    assert await get(db, "a") == data
    assert await rows_left(db) == 13


async def test_an_upload_of_another_source_begins_anew_and_an_abandoned_one_can_be_dropped(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sopasync._blob_upload.COMMIT_BYTES", CHUNK)
    async with db.begin_transaction() as tx:
        await tx.open_blob_store("files", SMALL)
    for name in ("a", "b"):
        with pytest.raises(BrokenSourceError):
            await db.upload_blob("files", name, Cut(content(5 * CHUNK), 3 * CHUNK))
    file = tmp_path / "other"
    file.write_bytes(content(4 * CHUNK, 9))
    await db.upload_blob("files", "a", file)
    assert await get(db, "a") == content(4 * CHUNK, 9)
    with pytest.raises(sopasync.DuplicateKeyError):
        await db.upload_blob("files", "a", file)
    await db.upload_blob("files", "a", io.BytesIO(b"short"), replace=True)
    assert await get(db, "a") == b"short"
    async with db.begin_transaction() as tx:
        blobs: BlobStore = await tx.open_blob_store("files")
        await blobs.abort_upload("b")
        with pytest.raises(sopasync.KeyNotFound):
            await blobs.abort_upload("b")
        assert await blobs.uploads() == []
    assert await rows_left(db) == 2
    with pytest.raises(sopasync.InvalidArgumentError, match="seek"):
        await db.upload_blob("files", "c", [b"x"])  # type: ignore[arg-type]
