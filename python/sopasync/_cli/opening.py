"""How commands open the database they are told to use."""

from __future__ import annotations

from pathlib import Path

import sopasync
from sopasync._cli.failure import CommandError


def existing_database(path: Path, *, read_only: bool = True) -> sopasync.Database:
    """Return a database that must be there already, so that a typing error does not make one."""
    if not path.is_dir():
        raise CommandError(f"there is no database at {path}; name its folder with --db")
    return sopasync.Database(path, read_only=read_only, create=False)
