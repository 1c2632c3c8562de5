"""The `ingest` command for a folder: its text files as rows, taken up again when they have changed."""

from __future__ import annotations

import argparse
import sys
import time

import anyio

import sopasync
from sopasync._cli.failure import ANSWER_IS_NO, DONE, CommandError
from sopasync._cli.ingest.ending import embed, report_path
from sopasync._cli.ingest.folder import Folder, Found
from sopasync._cli.ingest.folder_loading import FolderLoading
from sopasync._cli.ingest.report import REJECTED_SHOWN

FOR_FILES = ("key", "type", "format")
"""Arguments that say how rows of a file are read."""


def run(parsed: argparse.Namespace) -> int:
    """Load the folder."""
    for name in FOR_FILES:
        if getattr(parsed, name):
            raise CommandError(
                f"--{name} is for files of rows; {parsed.file} is a folder, whose keys are paths"
            )
    folder = Folder(parsed.file, parsed.glob)
    found = folder.find()
    if not found.paths and not found.unreadable and not parsed.prune:
        raise CommandError(
            f"no file in {parsed.file} is called {' or '.join(folder.patterns)}; "
            "say which are texts, as in --glob '*.log'"
        )
    return anyio.run(_ingest, parsed, folder, found)


async def _ingest(parsed: argparse.Namespace, folder: Folder, found: Found) -> int:
    report = report_path(parsed)
    async with sopasync.Database(parsed.db) as db:
        loading = FolderLoading(
            db,
            folder,
            parsed.store,
            report,
            by_passage=parsed.passages,
            text_fields=parsed.text,
            language=parsed.language,
            embed=parsed.embed,
        )
        await loading.find_records(restart=parsed.restart)
        began_s = time.perf_counter()
        await loading.load(found, parsed.batch, restart=parsed.restart, quiet=parsed.quiet)
        elapsed_s = max(time.perf_counter() - began_s, 1e-9)
        gone = loading.gone()
        removed = await loading.prune(gone) if gone and parsed.prune else 0
        unit = "passages" if parsed.passages else "rows"
        print(
            f"{loading.files_stored:,} files stored in '{parsed.store}', {loading.rows_stored:,} {unit}, "
            f"{loading.files_stored / elapsed_s:,.0f} files/s; {len(loading.records):,} from this folder"
        )
        if gone:
            what = (
                f"; their {removed:,} {unit} were removed"
                if parsed.prune
                else ", their rows stay (--prune removes them)"
            )
            print(f"{len(gone):,} files are no longer there{what}")
        if parsed.embed:
            await embed(db, loading.texts, parsed)
    return _tell_rejected(loading, parsed)


def _tell_rejected(loading: FolderLoading, parsed: argparse.Namespace) -> int:
    if not loading.rejected:
        return DONE
    for path, reason in loading.rejected[:REJECTED_SHOWN]:
        print(f"  {path}: {reason}", file=sys.stderr)
    print(
        f"{len(loading.rejected):,} files were rejected; {report_path(parsed)} lists them with reason",
        file=sys.stderr,
    )
    return ANSWER_IS_NO
