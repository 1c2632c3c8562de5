"""Loading: batches of rows, each committed together with the position after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec

import sopasync
from sopasync import IndexFieldSpecification, IndexSpecification
from sopasync._cli.collection import find_row
from sopasync._cli.failure import CommandError
from sopasync._cli.ingest.columns import Columns, RowError
from sopasync._cli.ingest.progress_record import FINGERPRINT_BYTES_MAX, STORE, IngestRecord, fingerprint
from sopasync._cli.ingest.report import REJECTED_SHOWN, Report
from sopasync._cli.ingest.rows import Position, Row, Source
from sopasync._cli.ingest.texts import Document, Texts
from sopasync._cli.terminal import Progress


@dataclass
class Prepared:
    """A batch of rows, ready to be stored."""

    rows: list[Row]
    keys: list[Any]
    values: list[dict[str, Any]]
    documents: list[Document]
    """Of each row, where the store has texts."""
    rejected: list[tuple[Row, str]]
    end: Position


class Loading:
    """One run of `sopasync ingest`: goes on where the last one ended."""

    def __init__(
        self,
        db: sopasync.Database,
        path: Path,
        store: str,
        columns: Columns,
        report: Path,
        *,
        text_fields: Sequence[str] = (),
        language: str | None = None,
        embed: bool = False,
    ) -> None:
        self.record = IngestRecord()
        self.texts: Texts | None = None
        self._db = db
        self._path = path
        self._store = store
        self._columns = columns
        self._report_path = report
        self._identity = (store, str(path.resolve()))
        self._text_fields = text_fields
        self._language = language
        self._embed = embed
        self.first_rejected: list[tuple[int, str]] = []

    async def find_position(self, *, restart: bool) -> None:
        """Make the stores where they are not there yet, and read how far an earlier run came."""
        async with self._db.begin_transaction() as tx:
            await self._open(tx)
            records = await tx.new_btree(STORE, value_type=IngestRecord)
            found = None if restart else await records.get(self._identity)
            self.texts = await Texts.find(tx, self._store, self._text_fields, self._language)
            if self.texts is not None:
                await self._make_texts(tx, self.texts, found)
            elif self._embed:
                raise CommandError(
                    f"'{self._store}' has no texts to learn from; say which fields are, as in --text title,body"
                )
        if found is not None:
            found.check(self._path)
            self.record = found

    async def _make_texts(self, tx: sopasync.Transaction, texts: Texts, found: IngestRecord | None) -> None:
        if found is not None and found.accepted and await find_row(tx, self._store) is None:
            raise CommandError(
                f"{found.accepted:,} rows of {self._path} were stored without their texts before; "
                "use --restart to ingest it from its beginning"
            )
        await texts.add(tx, [])

    async def load(self, source: Source, batch_rows: int, progress: Progress) -> None:
        """Store the rest of the file, reading one batch while the one before it is committed."""
        report = Report(self._report_path, self.record.report_bytes)
        rows = source.rows(self.record.position)
        try:
            batch = await anyio.to_thread.run_sync(self._prepare, rows, batch_rows)
            while batch is not None:
                following: list[Prepared | None] = []

                async def read_on(found: list[Prepared | None] = following) -> None:
                    found.append(await anyio.to_thread.run_sync(self._prepare, rows, batch_rows))

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(read_on)
                    await self._store_batch(batch, report)
                progress.note = f"{self.record.accepted:,} rows, {self.record.rejected:,} rejected"
                progress.update(self.record.offset)
                batch = following[0]
        finally:
            report.close()

    def _prepare(self, rows: Iterator[Row], limit: int) -> Prepared | None:
        batch = Prepared([], [], [], [], [], self.record.position)
        for row in rows:
            batch.end = row.end
            try:
                if row.fields is None:
                    raise RowError(row.reason)
                key, value = self._columns.key_and_value(row.fields)
                if self.texts is not None:
                    batch.documents.append(self.texts.document(key, value))
            except RowError as error:
                batch.rejected.append((row, str(error)))
            else:
                batch.rows.append(row)
                batch.keys.append(key)
                batch.values.append(value)
            if len(batch.rows) + len(batch.rejected) >= limit:
                break
        return batch if batch.rows or batch.rejected else None

    async def _store_batch(self, batch: Prepared, report: Report) -> None:
        async with self._db.begin_transaction() as tx:
            store = await self._open(tx)
            try:
                async with tx.savepoint():
                    await store.upsert(list(zip(batch.keys, batch.values, strict=True)))
                    if self.texts is not None:
                        await self.texts.add(tx, batch.documents)
                accepted = len(batch.rows)
            except sopasync.StoreError:
                # Nothing of the list was stored. One by one, each row that cannot be stored says so itself.
                accepted = await self._store_rows(tx, store, batch)
            batch.rejected.sort(key=lambda pair: pair[0].line)
            for row, reason in batch.rejected:
                report.reject(row, reason)
                if len(self.first_rejected) < REJECTED_SHOWN:
                    self.first_rejected.append((row.line, reason))
            report.flush()
            after = self._record_after(batch, accepted, report)
            records = await tx.open_btree(STORE, value_type=IngestRecord)
            await records.upsert(self._identity, after)
        self.record = after

    async def _store_rows(
        self, tx: sopasync.Transaction, store: sopasync.BtreeStore[Any, Any], batch: Prepared
    ) -> int:
        accepted = 0
        for number, (row, key, value) in enumerate(zip(batch.rows, batch.keys, batch.values, strict=True)):
            try:
                async with tx.savepoint():
                    await store.upsert(key, value)
                    if self.texts is not None:
                        await self.texts.add(tx, batch.documents[number : number + 1])
                accepted += 1
            except sopasync.StoreError as error:
                batch.rejected.append((row, str(error)))
        return accepted

    def _record_after(self, batch: Prepared, accepted: int, report: Report) -> IngestRecord:
        length = min(FINGERPRINT_BYTES_MAX, self._path.stat().st_size)
        if self.record.fingerprint_bytes:
            length = self.record.fingerprint_bytes
        return msgspec.structs.replace(
            self.record,
            offset=batch.end.offset,
            line=batch.end.line,
            accepted=self.record.accepted + accepted,
            rejected=self.record.rejected + len(batch.rejected),
            report_bytes=report.size,
            fingerprint=self.record.fingerprint or fingerprint(self._path, length),
            fingerprint_bytes=length,
        )

    async def _open(self, tx: sopasync.Transaction) -> sopasync.BtreeStore[Any, Any]:
        if len(self._columns.key_fields) == 1:
            return await tx.new_btree(self._store)
        fields = [IndexFieldSpecification(name) for name in self._columns.key_fields]
        return await tx.new_btree(self._store, index_spec=IndexSpecification(fields))
