"""The `backup` command: a copy of one snapshot."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from sopasync._cli import arguments
from sopasync._cli.failure import DONE, CommandError
from sopasync._cli.opening import database_or_follower
from sopasync._cli.terminal import Progress

if TYPE_CHECKING:
    from sopasync._cli.arguments import Subparsers

EXAMPLES = """\
  sopasync backup backups/monday --db data
  sopasync inspect --db backups/monday         the copy is a database like any other"""


def add_to(commands: Subparsers) -> None:
    """Add the command to the parser."""
    parser = arguments.command(
        commands,
        "backup",
        summary="copy one snapshot to another folder",
        description="Copy everything at one snapshot to a new database.",
        examples=EXAMPLES,
    )
    parser.add_argument("target", type=Path, metavar="TARGET", help="folder to make; it must not be there")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    arguments.add_database(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Copy the database."""
    if parsed.target.exists():
        raise CommandError(f"{parsed.target} is there already; name a folder that is not")
    anyio.run(_backup, parsed)
    print(f"{parsed.target} is a copy of {parsed.db}")
    return DONE


async def _backup(parsed: argparse.Namespace) -> None:
    async with database_or_follower(parsed.db) as db:
        with Progress("backup", None, "pages", quiet=parsed.quiet) as progress:

            def on_progress(done: int, total: int) -> None:
                progress.total = total
                progress.update(done)

            await db.backup(parsed.target, progress=on_progress)
