"""The process that is killed: it ingests and acknowledges every commit on its output once it has returned."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio

import sopasync
from sopasync._cli.demo.batches import Batch, load, make_stores
from sopasync._cli.demo.ingestion import ingest

# Small, so that checkpoints run and are killed as well.
CHECKPOINT_LOG_BYTES = 1024 * 1024


def acknowledge(batch: Batch) -> None:
    """Write the number of a committed batch. A line this short leaves in one piece or not at all."""
    os.write(1, b"%d\n" % batch.number)


async def main(*arguments: str) -> None:
    """Ingest what the database does not have yet."""
    folder, work = arguments
    options = sopasync.DatabaseOptions(stores_folders=[folder], checkpoint_log_bytes=CHECKPOINT_LOG_BYTES)
    os.write(1, b"opening\n")
    async with sopasync.Database(options) as db:
        await db.run(make_stores)
        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            present = {number async for number in (await tx.open_btree("batches")).keys()}
        todo = [batch for batch in load(Path(work)) if batch.number not in present]
        os.write(1, b"ready\n")
        await ingest(db, todo, acknowledge)
        os.write(1, b"done\n")


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
