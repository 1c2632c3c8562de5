"""How commands open the database they are told to use."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import sopasync
from sopasync._cli.failure import CommandError
from sopasync._exceptions import DatabaseLockedError


def existing_database(path: Path, *, read_only: bool = True) -> sopasync.Database:
    """Return a database that must be there already, so that a typing error does not make one."""
    if not path.is_dir():
        raise CommandError(f"there is no database at {path}; name its folder with --db")
    return sopasync.Database(path, read_only=read_only, create=False)


@contextlib.asynccontextmanager
async def database_or_follower(path: Path) -> AsyncGenerator[sopasync.Database]:
    """Open the database as its owner; read-only, beside its owner, when another process has it."""
    database = existing_database(path, read_only=False)
    try:
        await database.open()
    except DatabaseLockedError:
        database = existing_database(path)
        await database.open()
    try:
        yield database
    finally:
        await database.aclose()
