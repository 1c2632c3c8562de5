"""Where the demonstration leaves its database, and how it knows a folder for its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio

import sopasync
from sopasync import BtreeOptions
from sopasync._cli.failure import CommandError
from sopasync._exceptions import DatabaseLockedError, SopasyncError

MARK = "sopasync.demo"


async def mark(db: sopasync.Database) -> None:
    """Say in the database that a demonstration made it."""
    async with db.begin_transaction() as tx:
        await tx.new_btree(MARK, BtreeOptions(description="made by `sopasync demo`, which may replace it"))


def make_way(folder: Path) -> None:
    """Remove what an earlier demonstration left at the folder; refuse when it is anything else."""
    if not folder.exists():
        return
    if not anyio.run(_is_our_own, folder):
        raise CommandError(f"{folder} is there already, and no demo made it; name another folder with --keep")
    shutil.rmtree(folder)


async def _is_our_own(folder: Path) -> bool:
    try:
        async with (
            sopasync.Database(folder, create=False) as db,
            db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx,
        ):
            return any(store.name == MARK for store in await tx.stores())
    except DatabaseLockedError:
        raise CommandError(
            f"{folder} is open in another process; close it, or name another with --keep"
        ) from None
    except (SopasyncError, OSError):
        return False
