"""sopasync, through its awaited calls."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import perf_counter
from typing import Any

import sopasync
from benches.text.queries import Ask
from sopasync import Query, SearchConfig, TextAnalyzer, TransactionMode

from .interface import TOP, Engine

CONFIG = SearchConfig(analyzer=TextAnalyzer(language="english", stop_words=False), stored=False)


class Sopasync(Engine):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.runner = asyncio.Runner()
        self.db = self.runner.run(sopasync.Database(folder / "db").open())

    def index(self, texts: list[str]) -> None:
        async def index() -> None:
            async with self.db.begin_transaction() as tx:
                store = await tx.open_search("texts", CONFIG)
                await store.add_many(enumerate(texts))

        self.runner.run(index())

    def settle(self) -> None:
        self.runner.run(self.db.settle("texts"))
        self.runner.run(self.db.aclose())
        self.db = self.runner.run(sopasync.Database(self.folder / "db").open())

    def prepare(self, ask: Ask) -> Any:
        if ask.kind == "phrase":
            return '"' + " ".join(ask.words) + '"'
        if ask.kind == "and":
            return " AND ".join(ask.words)
        if ask.kind == "prefix":
            return ask.words[0] + "*"
        if ask.kind == "fuzzy":
            return Query.fuzzy(ask.words[0])
        return " ".join(ask.words)

    def search(self, prepared: Any) -> list[int]:
        async def search() -> list[int]:
            async with self.db.begin_transaction(TransactionMode.FOR_READING) as tx:
                store = await tx.open_search("texts")
                return [hit.doc_id for hit in await store.search(prepared, limit=TOP)]

        return self.runner.run(search())

    def add_one(self, number: int, text: str) -> None:
        raise NotImplementedError  # `time_adds` stays in the loop

    def time_searches(self, asks: list[Ask]) -> list[float]:
        async def run() -> list[float]:
            prepared = [self.prepare(ask) for ask in asks]
            seconds: list[float] = []
            async with self.db.begin_transaction(TransactionMode.FOR_READING) as tx:
                store = await tx.open_search("texts")
                for one in prepared:  # what they read is in memory then, for every engine
                    await store.search(one, limit=TOP)
                for one in prepared:
                    begun = perf_counter()
                    [hit.doc_id for hit in await store.search(one, limit=TOP)]
                    seconds.append(perf_counter() - begun)
            return seconds

        return self.runner.run(run())

    def time_adds(self, first: int, texts: list[str]) -> list[float]:
        async def run() -> list[float]:
            seconds: list[float] = []
            for number, text in enumerate(texts, first):
                begun = perf_counter()
                async with self.db.begin_transaction() as tx:
                    store = await tx.open_search("texts")
                    await store.add(number, f"{text} marker{number}")
                async with self.db.begin_transaction(TransactionMode.FOR_READING) as tx:
                    store = await tx.open_search("texts")
                    (hit,) = await store.search(f"marker{number}")
                    assert hit.doc_id == number
                seconds.append(perf_counter() - begun)
            return seconds

        return self.runner.run(run())

    def close(self) -> None:
        self.runner.run(self.db.aclose())
        self.runner.close()
