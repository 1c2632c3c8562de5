"""The `ingest` command: rows of a file, or texts of a folder, into a store; resumable, with a report of rejects."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

import sopasync
from sopasync._cli import arguments
from sopasync._cli.embedding import Words
from sopasync._cli.failure import ANSWER_IS_NO, DONE, CommandError
from sopasync._cli.ingest import folder_command
from sopasync._cli.ingest.columns import CONVERSIONS, Columns, parse_types
from sopasync._cli.ingest.delimited import Delimited
from sopasync._cli.ingest.ending import embed, report_path
from sopasync._cli.ingest.folder import PATTERNS
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
  sopasync ingest ~/notes --store notes --text --embed
  sopasync ingest ~/books --store books --glob '*.txt' --passages --text --embed
  sopasync query "what was it that I wrote" --store notes

Each batch of rows is committed together with the place after it. So the same command goes on where
the last commit was, after Ctrl-C, a crash or a power cut; takes up rows appended since; and does
nothing when there are none. A row whose key is there already replaces it.

--text makes fields of the rows searchable, in the transaction that stores the rows. --embed learns
from all texts of the store what their words mean, when the file has come to its end, and puts vectors
and embedding in place in one transaction; `sopasync query` then answers by words and by meaning.

Of a folder each text file is a row: path (its key), text, size, modified. --passages makes each of its
paragraphs one, with the key (path, passage). The same command takes up files that are new or have
changed since; --prune removes the rows of those that are gone.

Rejected rows (not valid, key missing, key or value the store cannot take) are counted and listed,
each with line, reason and text, in FILE.rejected.jsonl in the current folder; the others are
stored. So are files that are not UTF-8, too large or unreadable. Exit code 1 says there are some."""

FOR_FOLDERS = ("glob", "passages", "prune")
"""Arguments that say which texts of a folder are taken."""


def add_to(commands: Subparsers) -> None:
    """Add the command to the parser."""
    parser = arguments.command(
        commands,
        "ingest",
        summary="load a JSONL, CSV, TSV or Parquet file, or a folder of texts, into a store",
        description="Store every row of a file, or every text file of a folder, as a dict under its key.",
        examples=EXAMPLES,
    )
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="the file, whose suffix tells the format; or a folder of texts",
    )
    parser.add_argument(
        "--store", required=True, metavar="NAME", help="store to load into; made if not there"
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
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
        nargs="?",
        const="",
        metavar="FIELD,...",
        help="fields that are texts, to be found by `sopasync query`; of a folder the files' texts, if none is named",
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
    parser.add_argument(
        "--glob",
        action="append",
        default=[],
        metavar="PATTERN",
        help=f"files of the folder to take (default: {', '.join(PATTERNS)}); matches paths where it has a /",
    )
    parser.add_argument(
        "--passages", action="store_true", help="of the folder's files, a row for each paragraph"
    )
    parser.add_argument("--prune", action="store_true", help="remove the rows of files that are gone")
    parser.add_argument("--rejected", type=Path, metavar="FILE", help="where to list rejected rows or files")
    parser.add_argument("--restart", action="store_true", help="from the beginning, whatever was done before")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    arguments.add_database(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Load the file, or the folder."""
    if parsed.batch < 1:
        raise CommandError(f"--batch {parsed.batch} is no number of rows; give 1 or more")
    is_folder = parsed.file.is_dir()
    source = None if is_folder else _source(parsed.file, parsed.format)
    if is_folder:
        parsed.text = [given or "text" for given in parsed.text]
    _check_texts(parsed)
    if source is None:
        return folder_command.run(parsed)
    for name in FOR_FOLDERS:
        if getattr(parsed, name):
            raise CommandError(f"--{name} is for folders of texts; {parsed.file} is a file")
    if not parsed.key:
        raise CommandError(f"say which field of the rows of {parsed.file} is their key, as in --key id")
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
    report = report_path(parsed)
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
        after = loading.record
        stored = after.accepted - before.accepted
        rate = stored / max(bar.elapsed_s, 1e-9)
        print(f"{stored:,} rows stored in '{parsed.store}', {rate:,.0f}/s; {after.accepted:,} from this file")
        if parsed.embed:
            await embed(db, loading.texts, parsed)
    return _tell_rejected(loading, report)


def _tell_rejected(loading: Loading, report: Path) -> int:
    rejected = loading.record.rejected
    if not rejected:
        return DONE
    for line, reason in loading.first_rejected:
        print(f"  line {line:,}: {reason}", file=sys.stderr)
    print(f"{rejected:,} rows were rejected; {report} lists them with line and reason", file=sys.stderr)
    return ANSWER_IS_NO
