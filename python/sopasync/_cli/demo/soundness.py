"""What a database is besides its contents: every page, value, index and free place of it, after a kill."""

from __future__ import annotations

import sopasync
from sopasync._cli.failure import CommandError


async def check(db: sopasync.Database) -> None:
    """Verify everything that is stored; raises `CommandError` when anything is damaged, lost or leaked."""
    report = await db.check()
    if report.problems:
        first, *others = report.problems
        more = f" (and {len(others)} more)" if others else ""
        raise CommandError(f"the check found damage: {first}{more}")
