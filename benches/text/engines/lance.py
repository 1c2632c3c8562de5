"""LanceDB's full-text index, with positions. Its table holds the texts too: they cannot be left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lancedb
import pyarrow
from lancedb.index import FTS
from lancedb.query import MatchQuery, PhraseQuery

from benches.text.queries import Ask

from .interface import TOP, Engine


class Lance(Engine):
    kinds = frozenset({"one", "two", "three", "common", "phrase", "and", "fuzzy"})
    slow = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.db = lancedb.connect(folder)
        self.table: Any = None

    def index(self, texts: list[str]) -> None:
        rows = pyarrow.table({"id": list(range(len(texts))), "text": texts})
        self.table = self.db.create_table("texts", rows)
        self.table.create_index(
            "text",
            config=FTS(
                with_position=True, stem=True, language="English", remove_stop_words=False, ascii_folding=True
            ),
        )

    def prepare(self, ask: Ask) -> Any:
        words = " ".join(ask.words)
        if ask.kind == "phrase":
            return PhraseQuery(words, "text")
        if ask.kind == "and":
            return MatchQuery(words, "text", operator="AND")
        if ask.kind == "fuzzy":
            return MatchQuery(words, "text", fuzziness=1)
        return MatchQuery(words, "text")

    def search(self, prepared: Any) -> list[int]:
        found = self.table.search(prepared, query_type="fts").select(["id", "_score"]).limit(TOP).to_arrow()
        ids: list[int] = found["id"].to_pylist()
        return ids

    def add_one(self, number: int, text: str) -> None:
        self.table.add([{"id": number, "text": f"{text} marker{number}"}])
        assert number in self.search(MatchQuery(f"marker{number}", "text"))
