"""Texts of ingested rows: indexed in the transaction of the rows, and embedded when the file has come to its end.

The collection has the name of the store, and its documents have the keys of the rows (a tuple where keys are
records). Once a store has a collection, every ingestion into it keeps the two together.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec

import sopasync
from sopasync._cli.collection import Collection, find_row, learn, open_texts, publish, put_row, text_of
from sopasync._cli.collection.stores import VECTORS_SUFFIX
from sopasync._cli.failure import CommandError
from sopasync._cli.ingest.columns import RowError
from sopasync._cli.terminal import Progress

PAYLOAD_TEXT_MAX = 200
"""Characters of a field that filters can ask about; longer ones are left to the store of rows."""
PAGE_ROWS = 250
"""Rows whose texts are put together at a time on the event loop's thread: about a millisecond's."""

Document = tuple[Any, dict[str, str], dict[str, Any]]


class Texts:
    """The collection of one store."""

    def __init__(self, store: str, fields: Sequence[str], language: str) -> None:
        self.store = store
        self.fields = list(fields)
        self.language = language

    @classmethod
    async def find(
        cls, tx: sopasync.Transaction, store: str, fields: Sequence[str], language: str | None
    ) -> Texts | None:
        """Return the collection that is there, or that `fields` ask for; None when there is neither.

        Raises:
            CommandError: It was made with other fields or another language.
        """
        row = await find_row(tx, store)
        if row is None:
            return cls(store, fields, language if language is not None else "english") if fields else None
        if fields and list(fields) != row.fields:
            raise CommandError(
                f"the texts of '{store}' are {','.join(row.fields)}, and cannot become {','.join(fields)}: "
                "say --text so, leave it out, or take another --store"
            )
        if language is not None and language != row.language:
            raise CommandError(
                f"the language of '{store}' is {row.language or 'none'}; leave --language out, or take another --store"
            )
        return cls(store, row.fields, row.language)

    def document(self, key: Any, value: Mapping[str, Any]) -> Document:
        """Return the document of a row; raises `RowError` when a field is no text."""
        return _id_of(key), {name: _text(name, value.get(name)) for name in self.fields}, self._payload(value)

    def _documents(self, items: Iterable[tuple[Any, Any]]) -> list[Document]:
        """Return the documents of stored rows. What another program stored, and is no row with texts, has none."""
        found: list[Document] = []
        for key, value in items:
            if isinstance(value, dict):
                with contextlib.suppress(RowError):
                    found.append(self.document(key, cast("dict[str, Any]", value)))
        return found

    def _payload(self, value: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: given
            for name, given in value.items()
            if name not in self.fields
            and (
                given is None
                or isinstance(given, bool | int | float)
                or (isinstance(given, str) and len(given) <= PAYLOAD_TEXT_MAX)
            )
        }

    async def open(self, tx: sopasync.Transaction) -> tuple[sopasync.SearchStore, Collection]:
        """Open the documents, or make them; with the row of the collection."""
        row = await find_row(tx, self.store) or Collection(fields=self.fields, language=self.language)
        return await open_texts(tx, self.store, row), row

    async def add(self, tx: sopasync.Transaction, documents: Sequence[Document]) -> None:
        """Index the documents of stored rows and count them."""
        texts, row = await self.open(tx)
        await texts.add_many(documents)
        await put_row(tx, self.store, msgspec.structs.replace(row, changes=row.changes + len(documents)))

    async def remove(self, tx: sopasync.Transaction, keys: Iterable[Any]) -> None:
        """Delete the documents of rows that are removed, and their vectors."""
        texts, row = await self.open(tx)
        ids = [_id_of(key) for key in keys]
        await texts.delete_many(ids)
        vectors = row.vectors
        if row.version:
            store = await tx.open_vector_store(self.store + VECTORS_SUFFIX)
            vectors -= await store.delete(ids)
        row = msgspec.structs.replace(row, changes=row.changes + len(ids), vectors=vectors)
        await put_row(tx, self.store, row)

    async def embed(self, db: sopasync.Database, *, quiet: bool) -> Collection:
        """Learn an embedding from all rows, and publish it with their vectors in one transaction.

        Nothing is done when no text has come since it was last learned.
        """
        async with db.begin_transaction() as tx:
            row = await find_row(tx, self.store)
            if row is None:
                raise CommandError(f"'{self.store}' has no texts to learn from")
            if row.is_up_to_date:
                return row
            rows: sopasync.BtreeStore[Any, Any] = await tx.open_btree(self.store)
            ids: list[Any] = []
            payloads: list[dict[str, Any] | None] = []

            async def pages() -> AsyncIterator[list[str]]:
                async for page in rows.items().pages(PAGE_ROWS):
                    found = self._documents((item.key, item.value) for item in page)
                    ids.extend(doc_id for doc_id, _, _ in found)
                    payloads.extend(payload for _, _, payload in found)
                    yield [text_of(texts) for _, texts, _ in found]

            fitted = await learn(pages(), await rows.count(), self.language, quiet=quiet)
            with Progress("vectors", len(ids), "vectors", quiet=quiet) as progress:
                return await publish(tx, self.store, row, ids, payloads, fitted, on_progress=progress.update)


def _id_of(key: Any) -> Any:
    return tuple(cast("dict[str, Any]", key).values()) if isinstance(key, dict) else key


def _text(name: str, given: Any) -> str:
    if given is None:
        return ""
    if isinstance(given, str):
        return given
    if isinstance(given, bool | int | float):
        return str(given)
    raise RowError(f"field {name!r} is a {type(cast('object', given)).__name__}, which is no text")
