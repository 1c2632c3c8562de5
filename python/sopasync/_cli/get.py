"""The `get` command: one value by its key."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import anyio

import sopasync
from sopasync._cli import arguments
from sopasync._cli.display import as_json
from sopasync._cli.failure import ANSWER_IS_NO, DONE
from sopasync._cli.opening import existing_database

if TYPE_CHECKING:
    from sopasync._cli.arguments import Subparsers

EXAMPLES = """\
  sopasync get users user_7                          a text key
  sopasync get orders 42                             a number; '"42"' would be text
  sopasync get --as text orders 42                   text, too
  sopasync get edges '["os", "shutil"]'              a tuple
  sopasync get employees '{"region": "US", "id": 7}'  a record key"""


def add_to(commands: Subparsers) -> None:
    """Add the command to the parser."""
    parser = arguments.command(
        commands,
        "get",
        summary="print the value of a key",
        description="Print the value of a key as one line of JSON. Exit code 1 when the key is not there.",
        examples=EXAMPLES,
    )
    arguments.add_store(parser)
    parser.add_argument("key", metavar="KEY", help="the key")
    arguments.add_key_type(parser)
    arguments.add_database(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the value, or say that there is none."""
    return anyio.run(_get, parsed)


async def _get(parsed: argparse.Namespace) -> int:
    key = arguments.key(parsed.key, parsed.key_type)
    async with (
        existing_database(parsed.db) as db,
        db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx,
    ):
        store = await tx.open_btree(parsed.store)
        # Not get(): a value of None is a value.
        item = await store.get_item(key)
    if item is None:
        print(f"sopasync: store '{parsed.store}' has no key {as_json(key)}", file=sys.stderr)
        return ANSWER_IS_NO
    print(as_json(item.value))
    return DONE
