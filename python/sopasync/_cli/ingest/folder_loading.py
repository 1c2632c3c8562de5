"""Loading a folder: whole files in batches, each batch committed together with what is known of its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import msgspec

import sopasync
from sopasync import IndexFieldSpecification, IndexSpecification
from sopasync._cli.collection import find_row
from sopasync._cli.failure import CommandError
from sopasync._cli.ingest.columns import RowError
from sopasync._cli.ingest.folder import FILE_BYTES_MAX, Folder, Found, Look, key_of, rows_of
from sopasync._cli.ingest.report import Report
from sopasync._cli.ingest.texts import Texts
from sopasync._cli.terminal import Progress

FILES: Final = "sopasync.ingested.files"
"""B-tree: under (store, folder, path) what was stored of each file."""

Identity = tuple[str, str, str]


class FileRecord(msgspec.Struct, frozen=True):
    """What was stored of one file."""

    size: int
    modified_ns: int
    rows: int = 0
    """Rows it has in the store: 1, or as many as it has passages."""

    @property
    def look(self) -> Look:
        """What the file was when it was read."""
        return Look(self.size, self.modified_ns)


@dataclass
class ReadFile:
    """A file that was read, and is to be stored."""

    path: str
    record: FileRecord
    rows: list[dict[str, Any]]


@dataclass
class Batch:
    """Files that are committed together."""

    files: list[ReadFile] = field(default_factory=list[ReadFile])
    rejected: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Path and reason."""


class FolderLoading:
    """One run of `sopasync ingest` over a folder: takes up what is new or has changed since the last one."""

    def __init__(
        self,
        db: sopasync.Database,
        folder: Folder,
        store: str,
        report: Path,
        *,
        by_passage: bool = False,
        text_fields: Sequence[str] = (),
        language: str | None = None,
        embed: bool = False,
    ) -> None:
        self.texts: Texts | None = None
        self.records: dict[str, FileRecord] = {}
        """By path."""
        self.files_stored = 0
        self.rows_stored = 0
        self.rejected: list[tuple[str, str]] = []
        """Path and reason. A rejected file is looked at again each time; rows it had before stay."""
        self._db = db
        self._folder = folder
        self._store = store
        self._report_path = report
        self._place = (store, str(folder.root.resolve()))
        self._by_passage = by_passage
        self._text_fields = text_fields
        self._language = language
        self._embed = embed

    async def find_records(self, *, restart: bool) -> None:
        """Make the stores where they are not there yet, and read what is known of the files."""
        async with self._db.begin_transaction() as tx:
            await self._open(tx)
            records = await self._open_records(tx)
            async for page in records.items(prefix=self._place).pages(1000):
                self.records |= {item.key[2]: item.value for item in page}
            self.texts = await self._find_texts(tx, restart=restart)
            if self.texts is not None:
                await self.texts.add(tx, [])

    async def _find_texts(self, tx: sopasync.Transaction, *, restart: bool) -> Texts | None:
        there = await find_row(tx, self._store) is not None
        fields = self._text_fields or (["text"] if self._embed and not there else [])
        texts = await Texts.find(tx, self._store, fields, self._language)
        if texts is not None and not there and self.records and not restart:
            raise CommandError(
                f"{len(self.records):,} files of {self._folder.root} were stored without their texts before; "
                "use --restart to ingest all of them again"
            )
        return texts

    async def load(self, found: Found, batch_rows: int, *, restart: bool, quiet: bool) -> None:
        """Store what is new or has changed, reading one batch while the one before it is committed."""
        report = Report(self._report_path, 0)
        try:
            for path, reason in found.unreadable:
                self._reject(path, reason, report)
            changed = await anyio.to_thread.run_sync(self._changed, found.paths, restart)
            with Progress("ingest", len(changed), "files", quiet=quiet) as progress:
                await self._load(changed, batch_rows, report, progress)
        finally:
            report.close()

    def _changed(self, paths: Sequence[str], restart: bool) -> list[str]:
        def is_known(path: str) -> bool:
            record = self.records.get(path)
            return record is not None and record.look == self._folder.look(path)

        return [path for path in paths if restart or not is_known(path)]

    async def _load(self, paths: Sequence[str], batch_rows: int, report: Report, progress: Progress) -> None:
        left = iter(paths)
        batch = await anyio.to_thread.run_sync(self._read_batch, left, batch_rows)
        while batch is not None:
            following: list[Batch | None] = []

            async def read_on(read: list[Batch | None] = following) -> None:
                read.append(await anyio.to_thread.run_sync(self._read_batch, left, batch_rows))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_on)
                await self._store_batch(batch, report)
            progress.note = f"{self.rows_stored:,} rows, {len(self.rejected):,} rejected"
            progress.advance(len(batch.files) + len(batch.rejected))
            batch = following[0]

    def _read_batch(self, paths: Iterator[str], rows_max: int) -> Batch | None:
        batch = Batch()
        rows = size = 0
        for path in paths:
            try:
                look, text = self._folder.read(path)
            except RowError as error:
                batch.rejected.append((path, str(error)))
            else:
                made = rows_of(path, look, text, by_passage=self._by_passage)
                batch.files.append(ReadFile(path, FileRecord(*look, rows=len(made)), made))
                rows += len(made)
                size += look.size
            if rows + len(batch.rejected) >= rows_max or size >= FILE_BYTES_MAX:
                break
        return batch if batch.files or batch.rejected else None

    async def _store_batch(self, batch: Batch, report: Report) -> None:
        async with self._db.begin_transaction() as tx:
            store = await self._open(tx)
            stored = batch.files
            try:
                async with tx.savepoint():
                    await self._put(tx, store, batch.files)
            except sopasync.StoreError:
                # Nothing of the batch was stored. One by one, each file that cannot be stored says so itself.
                stored = await self._put_one_by_one(tx, store, batch)
            known = {file.path: file.record for file in stored}
            records = await self._open_records(tx)
            await records.upsert([((*self._place, path), record) for path, record in known.items()])
            for path, reason in batch.rejected:
                self._reject(path, reason, report)
            report.flush()
        self.records |= known
        self.files_stored += len(stored)
        self.rows_stored += sum(len(file.rows) for file in stored)

    async def _put_one_by_one(
        self, tx: sopasync.Transaction, store: sopasync.BtreeStore[Any, Any], batch: Batch
    ) -> list[ReadFile]:
        stored: list[ReadFile] = []
        for file in batch.files:
            try:
                async with tx.savepoint():
                    await self._put(tx, store, [file])
                stored.append(file)
            except sopasync.StoreError as error:
                batch.rejected.append((file.path, str(error)))
        return stored

    async def _put(
        self, tx: sopasync.Transaction, store: sopasync.BtreeStore[Any, Any], files: Sequence[ReadFile]
    ) -> None:
        items = [
            (self._key(file.path, number), row) for file in files for number, row in enumerate(file.rows, 1)
        ]
        await store.upsert(items)
        if self.texts is not None:
            await self.texts.add(tx, [self.texts.document(key, row) for key, row in items])
        before = {file.path: self.records[file.path].rows for file in files if file.path in self.records}
        surplus = [
            self._key(file.path, number)
            for file in files
            for number in range(len(file.rows) + 1, before.get(file.path, 0) + 1)
        ]
        await self._remove(tx, store, surplus)

    async def _remove(
        self, tx: sopasync.Transaction, store: sopasync.BtreeStore[Any, Any], keys: Sequence[Any]
    ) -> None:
        for key in keys:
            await store.discard(key)
        if keys and self.texts is not None:
            await self.texts.remove(tx, keys)

    async def prune(self, gone: Sequence[str]) -> int:
        """Remove the rows of files that are no longer there, in one transaction; returns how many there were."""
        keys = [self._key(path, number + 1) for path in gone for number in range(self.records[path].rows)]
        async with self._db.begin_transaction() as tx:
            await self._remove(tx, await self._open(tx), keys)
            records = await self._open_records(tx)
            await records.remove([(*self._place, path) for path in gone])
        for path in gone:
            del self.records[path]
        return len(keys)

    def gone(self) -> list[str]:
        """List the files that were stored once and are no longer there."""
        return [path for path in self.records if self._folder.is_gone(path)]

    def _reject(self, path: str, reason: str, report: Report) -> None:
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        report.add({"file": shown, "reason": reason})
        self.rejected.append((shown, reason))

    def _key(self, path: str, number: int) -> Any:
        return key_of(path, number, by_passage=self._by_passage)

    async def _open(self, tx: sopasync.Transaction) -> sopasync.BtreeStore[Any, Any]:
        if not self._by_passage:
            return await tx.new_btree(self._store)
        fields = [IndexFieldSpecification(name) for name in ("path", "passage")]
        return await tx.new_btree(self._store, index_spec=IndexSpecification(fields))

    @staticmethod
    async def _open_records(tx: sopasync.Transaction) -> sopasync.BtreeStore[Identity, FileRecord]:
        return await tx.new_btree(FILES, value_type=FileRecord)
