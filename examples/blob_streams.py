"""Large files in the database: written and read as streams, committed with the rows that describe them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

import sopasync
from sopasync import TransactionMode

PIECES = 200
PIECE = bytes(range(256)) * 1024


async def recording() -> AsyncIterator[bytes]:
    """Fifty megabytes, a piece at a time."""
    for _ in range(PIECES):
        yield PIECE


async def main(folder: Path) -> None:
    """Write a stream with its description, read a part of it, and upload a file that can go on after a crash."""
    async with sopasync.Database(folder / "media") as db:
        async with db.begin_transaction() as tx:
            blobs = await tx.open_blob_store("recordings")
            catalogue = await tx.new_btree("catalogue")
            async with blobs.create("2026/talk.raw", content_type="audio/raw", sha256=True) as writer:
                await writer.write_from(recording())
            await catalogue.add("talk", {"file": "2026/talk.raw", "seconds": 1200})

        async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
            blobs = await tx.open_blob_store("recordings")
            digest = hashlib.sha256()
            size = 0
            async for piece in blobs.stream("2026/talk.raw"):  # one chunk in memory at a time
                digest.update(piece)
                size += len(piece)
            info = await blobs.stat("2026/talk.raw")
            assert (size, digest.hexdigest()) == (info.size, info.sha256)
            assert await blobs.read("2026/talk.raw", 1_000_000, 1_000_004) == bytes([64, 65, 66, 67])
            print(f"Read {size} bytes of {info.name}; their checksum is right.")

        # An upload commits as it goes. Interrupted, the same call goes on where it was.
        file = folder / "archive.bin"
        await anyio.Path(file).write_bytes(PIECE * 20)
        await db.upload_blob("recordings", "archive.bin", file, metadata={"source": "import"})
        async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
            blobs = await tx.open_blob_store("recordings")
            print("Stored:", ", ".join(f"{blob.name} ({blob.size})" for blob in await blobs.list()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
