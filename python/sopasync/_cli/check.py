"""The `check` command: verify a database completely."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import anyio

from sopasync._cli import arguments
from sopasync._cli.failure import ANSWER_IS_NO, DONE
from sopasync._cli.opening import database_or_follower
from sopasync._cli.terminal import Progress
from sopasync._exceptions import CorruptionError

if TYPE_CHECKING:
    from sopasync._cli.arguments import Subparsers

EXAMPLES = """\
  sopasync check --db data && echo sound      exit code 0: sound, 1: damage, 3: it cannot be opened"""


def add_to(commands: Subparsers) -> None:
    """Add the command to the parser."""
    parser = arguments.command(
        commands,
        "check",
        summary="verify every page, order and count",
        description="Read everything that is stored and verify checksums, the order of keys, the structure of "
        "every tree, free space and counts. Says exactly what is wrong, where.",
        examples=EXAMPLES,
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    arguments.add_database(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Verify the database."""
    try:
        return anyio.run(_check, parsed)
    except CorruptionError as error:
        print(error)
        print(f"{parsed.db} is damaged so that it cannot be opened", file=sys.stderr)
        return ANSWER_IS_NO


async def _check(parsed: argparse.Namespace) -> int:
    async with database_or_follower(parsed.db) as db:
        with Progress("check", None, "pages", quiet=parsed.quiet) as progress:

            def on_progress(done: int, total: int) -> None:
                progress.total = total
                progress.update(done)

            report = await db.check(progress=on_progress)
    for problem in (*report.problems, *report.derived):
        print(problem)
    if report.problems:
        print(f"{parsed.db} is damaged: {len(report.problems)} problems", file=sys.stderr)
        return ANSWER_IS_NO
    print(f"{parsed.db} is sound")
    return DONE
