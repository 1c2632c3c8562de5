"""`sopasync ingest`: rows of a JSONL, CSV or Parquet file into a store."""

from __future__ import annotations

from sopasync._cli.ingest.command import add_to

__all__ = ("add_to",)
