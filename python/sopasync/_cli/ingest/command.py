"""The `ingest` command: rows of a file into a store, with progress, resumable, with a report of rejected rows."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

import sopasync
from sopasync._cli import arguments
from sopasync._cli.collection import Collection
from sopasync._cli.embedding import Words
from sopasync._cli.failure import ANSWER_IS_NO, DONE, CommandError
from sopasync._cli.ingest.columns import CONVERSIONS, Columns, parse_types
from sopasync._cli.ingest.delimited import Delimited
from sopasync._cli.ingest.jsonl import JsonLines
from sopasync._cli.ingest.loading import Loading
from sopasync._cli.ingest.parquet import Parquet
from sopasync._cli.ingest.rows import Source
from sopasync._cli.terminal import Progress

if TYPE_CHECKING:
    from sopasync._cli.arguments import Subparsers

FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}

EXAMPLES = """\
  sopasync ingest users.jsonl --store users --key id
  sopasync ingest sales.csv --store sales --key region --key order --type order=int --type price=decimal
  sopasync ingest trips.parquet --store trips --key trip_id
  sopasync ingest notes.jsonl --store notes --key id --text title,body --embed
  sopasync query "what was it that I wrote" --store notes

Each batch of rows is committed together with the place after it. So the same command goes on where
the last commit was, after Ctrl-C, a crash or a power cut; takes up rows appended since; and does
nothing when there are none. A row whose key is there already replaces it.

--text makes fields of the rows searchable, in the transaction that stores the rows. --embed learns
from all texts of the store what their words mean, when the file has come to its end, and puts vectors
and embedding in place in one transaction; `sopasync query` then answers by words and by meaning.

Rejected rows (not valid, key missing, key or value the store cannot take) are counted and listed,
each with line, reason and text, in FILE.rejected.jsonl in the current folder; the others are
stored. Exit code 1 says there are some."""


def add_to(commands: Subparsers) -> None:
    """Add the command to the parser."""
    parser = arguments.command(
        commands,
        "ingest",
        summary="load a JSONL, CSV, TSV or Parquet file into a store",
        description="Store every row of a file as a dict under its key.",
        examples=EXAMPLES,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the file; its suffix tells the format")
    parser.add_argument(
        "--store", required=True, metavar="NAME", help="store to load into; made if not there"
    )
    parser.add_argument(
        "--key",
        required=True,
        action="append",
        metavar="FIELD",
        help="field that is the key; several make a record key, ordered as listed",
    )
    parser.add_argument(
        "--type",
        action="append",
        default=[],
        metavar="FIELD=TYPE",
        help=f"convert a text field: {', '.join(CONVERSIONS)} (an empty field becomes null)",
    )
    parser.add_argument(
        "--text",
        action="append",
        default=[],
        metavar="FIELD,...",
        help="fields that are texts, to be found by `sopasync query`",
    )
    parser.add_argument(
        "--language",
        metavar="NAME",
        help="whose word forms count as one (default: english; 'none' for none)",
    )
    parser.add_argument(
        "--embed", action="store_true", help="learn from the texts, to be asked by meaning too"
    )
    parser.add_argument(
        "--format", choices=sorted(set(FORMATS.values())), help="when the suffix does not tell"
    )
    parser.add_argument(
        "--batch", type=int, default=2_000, metavar="ROWS", help="rows per commit (default: 2000)"
    )
    parser.add_argument("--rejected", type=Path, metavar="FILE", help="where to list rejected rows")
    parser.add_argument("--restart", action="store_true", help="from the beginning, whatever was done before")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    arguments.add_database(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Load the file."""
    if parsed.batch < 1:
        raise CommandError(f"--batch {parsed.batch} is no number of rows; give 1 or more")
    source = _source(parsed.file, parsed.format)
    _check_texts(parsed)
    return anyio.run(_ingest, parsed, source)


def _source(path: Path, given: str | None) -> Source:
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    kind = given or FORMATS.get(path.suffix.lower())
    if kind is None:
        raise CommandError(
            f"the suffix of {path} does not tell its format; say --format jsonl, csv, tsv or parquet"
        )
    if kind == "jsonl":
        return JsonLines(path)
    if kind == "parquet":
        return Parquet(path)
    return Delimited(path, "\t" if kind == "tsv" else ",")


def _check_texts(parsed: argparse.Namespace) -> None:
    parsed.text = [name.strip() for given in parsed.text for name in given.split(",")]
    if not all(parsed.text) or len(set(parsed.text)) != len(parsed.text):
        raise CommandError("--text names each field once, as in --text title,body")
    if parsed.language is not None:
        parsed.language = "" if parsed.language == "none" else parsed.language
    if parsed.language:
        try:
            Words(parsed.language)
        except sopasync.InvalidArgumentError as error:
            raise CommandError(f"--language {parsed.language}: {error}") from None


async def _ingest(parsed: argparse.Namespace, source: Source) -> int:
    report = parsed.rejected or Path(f"{parsed.file.name}.rejected.jsonl")
    columns = Columns(parsed.key, parse_types(parsed.type))
    async with sopasync.Database(parsed.db) as db:
        loading = Loading(
            db,
            parsed.file,
            parsed.store,
            columns,
            report,
            text_fields=parsed.text,
            language=parsed.language,
            embed=parsed.embed,
        )
        await loading.find_position(restart=parsed.restart)
        before = loading.record
        if before.offset:
            print(
                f"going on after line {before.line:,}: {before.accepted:,} rows are in the store",
                file=sys.stderr,
            )
        bar = Progress("ingest", source.total, source.unit, done=before.offset, quiet=parsed.quiet)
        with bar as progress:
            await loading.load(source, parsed.batch, progress)
        collection = await _embed(db, loading, parsed) if parsed.embed else None
    after = loading.record
    stored = after.accepted - before.accepted
    elapsed_s = max(bar.elapsed_s, 1e-9)
    print(
        f"{stored:,} rows stored in '{parsed.store}', {stored / elapsed_s:,.0f}/s; {after.accepted:,} from this file"
    )
    if collection is not None:
        print(
            f"embedding {collection.version} of '{parsed.store}': {collection.vectors:,} vectors; ask it with\n"
            f"  {_query_command(parsed)}"
        )
    return _tell_rejected(loading, report)


async def _embed(db: sopasync.Database, loading: Loading, parsed: argparse.Namespace) -> Collection:
    assert loading.texts is not None, "refused before anything was loaded"
    return await loading.texts.embed(db, quiet=parsed.quiet)


def _query_command(parsed: argparse.Namespace) -> str:
    return f'sopasync query "..." --store {shlex.quote(parsed.store)} --db {shlex.quote(str(parsed.db))}'


def _tell_rejected(loading: Loading, report: Path) -> int:
    rejected = loading.record.rejected
    if not rejected:
        return DONE
    for line, reason in loading.first_rejected:
        print(f"  line {line:,}: {reason}", file=sys.stderr)
    print(f"{rejected:,} rows were rejected; {report} lists them with line and reason", file=sys.stderr)
    return ANSWER_IS_NO
