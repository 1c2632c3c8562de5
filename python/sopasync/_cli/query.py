"""The `query` command: texts that answer a question, by words, by meaning, or by both."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

import sopasync
from sopasync._cli import arguments
from sopasync._cli.collection import ask, find_collection
from sopasync._cli.collection.answers import How, OpenCollection
from sopasync._cli.collection.shown import as_lines, as_object, heading, options
from sopasync._cli.failure import ANSWER_IS_NO, DONE, CommandError
from sopasync._cli.opening import existing_database
from sopasync._cli.terminal import seconds

if TYPE_CHECKING:
    from sopasync._cli.arguments import Subparsers

LIMIT_MAX = 1000

EXAMPLES = """\
  sopasync query "open a file for writing" --db sopasync-demo     by words, by meaning, and by both
  sopasync query '"exact phrase" +must -not prefix*' --by text    the query language of text search
  sopasync query "parse a date" --where '{"kind": "function"}'    only those with this payload
  sopasync query "late invoices" --store notes --by text --json | jq .id

The database of `sopasync demo` can be asked in all ways, any other search store by words. Embedding
and vectors are read at one snapshot, so that they always belong together."""


def add_to(commands: Subparsers) -> None:
    """Add the command to the parser."""
    parser = arguments.command(
        commands,
        "query",
        summary="find texts by words, by meaning, and by both",
        description="Find the texts that answer a question best.",
        examples=EXAMPLES,
    )
    parser.add_argument("question", metavar="QUESTION", help="what to look for")
    parser.add_argument("--store", metavar="NAME", help="whose texts; needed when there are several")
    parser.add_argument(
        "--by",
        choices=("text", "vector", "hybrid"),
        action="append",
        help="by words, by meaning (the nearest vectors), or by both together; default: each in turn",
    )
    parser.add_argument("--limit", type=int, default=5, metavar="N", help="answers at most (default: 5)")
    parser.add_argument("--where", metavar="JSON", help="a condition on payloads, as filters have it")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments.add_database(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the answers; says with its exit code when there are none."""
    if not parsed.question.strip():
        raise CommandError("the question is empty; say what to look for")
    if not 1 <= parsed.limit <= LIMIT_MAX:
        raise CommandError(f"--limit {parsed.limit}: give a number from 1 to {LIMIT_MAX}")
    return anyio.run(_query, parsed, _condition(parsed.where))


def _condition(given: str | None) -> dict[str, Any] | None:
    if given is None:
        return None
    try:
        return msgspec.json.decode(given, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise CommandError(f"--where {given!r} is no JSON object: {error}") from None


async def _query(parsed: argparse.Namespace, where: dict[str, Any] | None) -> int:
    found = 0
    async with (
        existing_database(parsed.db) as db,
        db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx,
    ):
        collection = await find_collection(tx, parsed.store)
        await _tell_what_is_missing(collection)
        ways: list[How] = list(dict.fromkeys(parsed.by or collection.ways))
        for how in ways:
            began_s = time.perf_counter()
            answers = await ask(
                collection, parsed.question, how, parsed.limit, where=where, highlight=options()
            )
            took_s = time.perf_counter() - began_s
            found += len(answers)
            if parsed.json:
                lines = [as_object(answer, how, place) for place, answer in enumerate(answers, 1)]
            else:
                lines = [heading(how, len(answers), seconds(took_s))]
                lines += [
                    line for place, answer in enumerate(answers, 1) for line in as_lines(answer, how, place)
                ]
                lines += [""] if how != ways[-1] else []
            sys.stdout.write("".join(f"{line}\n" for line in lines))
    return DONE if found else ANSWER_IS_NO


async def _tell_what_is_missing(collection: OpenCollection) -> None:
    row = collection.row
    if row is not None and row.version and not row.is_up_to_date:
        missing = row.changes - row.trained_changes
        print(
            f"sopasync: {missing:,} texts came after the embedding was learned, and are found by words only",
            file=sys.stderr,
        )
