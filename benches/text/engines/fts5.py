"""SQLite's FTS5, through apsw: contentless, with Porter's stemmer."""

from __future__ import annotations

from pathlib import Path

import apsw

from benches.text.queries import Ask

from .interface import TOP, Engine

BEST = "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?"


class Fts5(Engine):
    kinds = frozenset({"one", "two", "three", "common", "phrase", "and", "prefix"})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.db = apsw.Connection(str(folder / "texts.db"))
        self.db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-262144")
        self.db.execute(
            "CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5(text, content='', tokenize='porter unicode61')"
        )

    def index(self, texts: list[str]) -> None:
        with self.db:
            self.db.executemany("INSERT INTO texts(rowid, text) VALUES (?, ?)", list(enumerate(texts)))

    def settle(self) -> None:
        self.db.execute("INSERT INTO texts(texts) VALUES ('optimize')")
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE); VACUUM")

    def prepare(self, ask: Ask) -> str:
        if ask.kind == "phrase":
            return '"' + " ".join(ask.words) + '"'
        if ask.kind == "and":
            return " AND ".join(ask.words)
        if ask.kind == "prefix":
            return ask.words[0] + "*"
        return " OR ".join(ask.words)

    def search(self, prepared: str) -> list[int]:
        return [row for (row,) in self.db.execute(BEST, (prepared, TOP))]

    def add_one(self, number: int, text: str) -> None:
        with self.db:
            self.db.execute(
                "INSERT INTO texts(rowid, text) VALUES (?, ?)", (number, f"{text} marker{number}")
            )
        assert self.search(f"marker{number}") == [number]

    def close(self) -> None:
        self.db.close()
