"""Parquet files, read through pyarrow where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sopasync._cli.failure import CommandError
from sopasync._cli.ingest.rows import Position, Row

ROWS_PER_READ = 4096


class Parquet:
    """Rows of a Parquet file; positions count rows."""

    unit = "rows"

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow.parquet as parquet
        except ModuleNotFoundError:
            raise CommandError(
                "reading Parquet needs pyarrow: install it with `pip install 'sopasync[parquet]'`"
            ) from None
        try:
            self.file: Any = parquet.ParquetFile(path)
        except (OSError, ValueError) as error:
            raise CommandError(f"{path} is not a Parquet file: {error}") from None
        self.total: int = self.file.metadata.num_rows

    def rows(self, start: Position) -> Iterator[Row]:
        """Yield the rows after `start`; row groups wholly before it are not read."""
        metadata = self.file.metadata
        number = 0
        groups: list[int] = []
        for group in range(metadata.num_row_groups):
            length = metadata.row_group(group).num_rows
            if not groups and number + length <= start.offset:
                number += length
            else:
                groups.append(group)
        for batch in self.file.iter_batches(batch_size=ROWS_PER_READ, row_groups=groups):
            for fields in batch.to_pylist():
                number += 1
                if number > start.offset:
                    yield Row(number, Position(number, number), fields, "", "")
