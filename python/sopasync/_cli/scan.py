"""The `scan` command: items of a store in the order of their keys."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import anyio

import sopasync
from sopasync._cli import arguments
from sopasync._cli.display import as_json
from sopasync._cli.failure import DONE
from sopasync._cli.opening import existing_database

if TYPE_CHECKING:
    from sopasync._cli.arguments import Subparsers

PAGE_ITEMS = 500

EXAMPLES = """\
  sopasync scan users --limit 10                            the first ten
  sopasync scan users --prefix user_99                      text keys that begin so
  sopasync scan employees --prefix '{"region": "US"}'       by leading fields of a record key
  sopasync scan orders --from 100 --to 200 --reverse        100 <= key < 200, backwards
  sopasync scan users --keys | wc -l                        keys only; values are not read"""


def add_to(commands: Subparsers) -> None:
    """Add the command to the parser."""
    parser = arguments.command(
        commands,
        "scan",
        summary="print items in the order of their keys",
        description='Print items at one snapshot, one per line: {"key": ..., "value": ...}.',
        examples=EXAMPLES,
    )
    arguments.add_store(parser)
    parser.add_argument("--prefix", metavar="KEY", help="only keys that begin with this")
    parser.add_argument("--from", dest="start", metavar="KEY", help="begin at this key")
    parser.add_argument("--to", dest="stop", metavar="KEY", help="end before this key")
    parser.add_argument("--reverse", action="store_true", help="from the last key to the first")
    parser.add_argument("--keys", action="store_true", help="print the keys alone, without reading values")
    parser.add_argument("--limit", type=int, metavar="N", help="stop after N items")
    arguments.add_key_type(parser)
    arguments.add_database(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the items."""
    anyio.run(_scan, parsed)
    return DONE


async def _scan(parsed: argparse.Namespace) -> None:
    bounds: dict[str, Any] = {
        name: arguments.key(text, parsed.key_type)
        for name in ("prefix", "start", "stop")
        if (text := getattr(parsed, name)) is not None
    }
    left = parsed.limit
    async with (
        existing_database(parsed.db) as db,
        db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx,
    ):
        store = await tx.open_btree(parsed.store)
        reader = store.keys if parsed.keys else store.items
        async for page in reader(**bounds, reverse=parsed.reverse).pages(PAGE_ITEMS):
            shown = page[:left]
            # One write per page, not one per item.
            sys.stdout.write("".join(f"{as_json(key)}\n" for key in shown) if parsed.keys else _lines(shown))
            if left is not None:
                left -= len(page)
                if left <= 0:
                    return


def _lines(items: list[sopasync.Item[Any, Any]]) -> str:
    return "".join(f'{{"key":{as_json(key)},"value":{as_json(value)}}}\n' for key, value in items)
