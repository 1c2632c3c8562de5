"""The end of an ingestion, of a file or a folder: the embedding is learned, and said how to ask it."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import sopasync
from sopasync._cli.ingest.texts import Texts


async def embed(db: sopasync.Database, texts: Texts | None, parsed: argparse.Namespace) -> None:
    """Learn from all texts of the store, and print what came of it."""
    assert texts is not None, "refused before anything was loaded"
    collection = await texts.embed(db, quiet=parsed.quiet)
    store, folder = shlex.quote(parsed.store), shlex.quote(str(parsed.db))
    print(
        f"embedding {collection.version} of '{parsed.store}': {collection.vectors:,} vectors; ask it with\n"
        f'  sopasync query "..." --store {store} --db {folder}'
    )


def report_path(parsed: argparse.Namespace) -> Path:
    """Return where rejected rows or files are listed."""
    return parsed.rejected or Path(f"{parsed.file.resolve().name}.rejected.jsonl")
