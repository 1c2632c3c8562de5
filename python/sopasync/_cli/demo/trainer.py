"""The process that is killed: it trains version after version, and says what it is doing and what is committed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio

import sopasync
from sopasync._cli.collection import find_row, publish
from sopasync._cli.demo.texts import COLLECTION
from sopasync._cli.demo.versions import load, train, version_of, write_texts

# Small, so that checkpoints run and are killed as well.
CHECKPOINT_LOG_BYTES = 4 * 1024 * 1024


def say(what: str, number: int) -> None:
    """Write a line. One this short leaves in one piece or not at all."""
    os.write(1, f"{what} {number}\n".encode())


async def main(*arguments: str) -> None:
    """Train for ever."""
    folder, packed = arguments
    pool = load(Path(packed))
    options = sopasync.DatabaseOptions(stores_folders=[folder], checkpoint_log_bytes=CHECKPOINT_LOG_BYTES)
    say("opening", 0)
    async with sopasync.Database(options) as db:
        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            row = await find_row(tx, COLLECTION)
        before = None if row is None else version_of(pool, row.version)
        while True:
            version = version_of(pool, 1 if before is None else before.number + 1)
            say("training", version.number)
            fitted = await train(version)
            async with db.begin_transaction() as tx:
                say("writing", version.number)
                row = await write_texts(tx, version, before)
                payloads = [version.payload] * len(version.documents)
                await publish(tx, COLLECTION, row, list(version.documents), payloads, fitted)
                say("committing", version.number)
            say("committed", version.number)
            before = version


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
