"""The `stats` command: the engine's figures."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import anyio

from sopasync._cli import arguments
from sopasync._cli.display import as_json
from sopasync._cli.failure import DONE
from sopasync._cli.opening import existing_database

if TYPE_CHECKING:
    from sopasync._cli.arguments import Subparsers

EXAMPLES = """\
  sopasync stats --db data
  sopasync stats --db data --json | jq .cache_bytes"""


def add_to(commands: Subparsers) -> None:
    """Add the command to the parser."""
    parser = arguments.command(
        commands,
        "stats",
        summary="print the engine's figures",
        description="Print sizes, page and commit counts of a database, as the engine sees them on opening it.",
        examples=EXAMPLES,
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    arguments.add_database(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the figures."""
    anyio.run(_stats, parsed)
    return DONE


async def _stats(parsed: argparse.Namespace) -> None:
    async with existing_database(parsed.db) as db:
        figures = db.statistics().engine
    if parsed.json:
        print(as_json(figures))
        return
    width = max(len(name) for name in figures)
    for name, value in figures.items():
        shown = f"{value:,}" if isinstance(value, int | float) else str(value)
        print(f"{name.replace('_', ' '):<{width}}  {shown}")
