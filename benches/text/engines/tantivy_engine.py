"""tantivy, through tantivy-py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tantivy

from benches.text.queries import Ask

from .interface import TOP, Engine


class Tantivy(Engine):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        builder = tantivy.SchemaBuilder()
        # Not `add_unsigned_field`: its writer fails with "Expected a U64".
        builder.add_integer_field("id", stored=True, fast=True)
        builder.add_text_field("text", tokenizer_name="en_stem", index_option="position")
        self.schema = builder.build()
        self.index_ = tantivy.Index(self.schema, path=str(folder))
        self.searcher = self.index_.searcher()
        self.one = None

    def _document(self, number: int, text: str) -> Any:
        document = tantivy.Document()
        document.add_integer("id", number)
        document.add_text("text", text)
        return document

    def index(self, texts: list[str]) -> None:
        writer = self.index_.writer(heap_size=256 * 1024 * 1024)
        for number, text in enumerate(texts):
            writer.add_document(self._document(number, text))
        writer.commit()
        writer.wait_merging_threads()
        self._reload()

    def _reload(self) -> None:
        self.index_.reload()
        self.searcher = self.index_.searcher()

    def prepare(self, ask: Ask) -> Any:
        return ask

    def search(self, prepared: Ask) -> list[int]:
        words = prepared.words
        if prepared.kind == "phrase":
            query = self.index_.parse_query('"' + " ".join(words) + '"', ["text"])
        elif prepared.kind == "and":
            query = self.index_.parse_query(" AND ".join(words), ["text"])
        elif prepared.kind == "prefix":
            query = tantivy.Query.regex_query(self.schema, "text", words[0] + ".*")
        elif prepared.kind == "fuzzy":
            query = tantivy.Query.fuzzy_term_query(self.schema, "text", words[0], distance=1)
        else:
            query = self.index_.parse_query(" ".join(words), ["text"])
        searcher = self.searcher
        return [searcher.doc(address)["id"][0] for _, address in searcher.search(query, TOP).hits]

    def add_one(self, number: int, text: str) -> None:
        if self.one is None:
            self.one = self.index_.writer(heap_size=16 * 1024 * 1024, num_threads=1)
        self.one.add_document(self._document(number, f"{text} marker{number}"))
        self.one.commit()
        self._reload()
        assert self.search(Ask("one", (f"marker{number}",))) == [number]
