"""What an engine must offer to be measured. One adapter per engine, set up as its experts would.

Rules for all adapters:
- R1 words are folded and stemmed (English Snowball or Porter), no stop words are left out, positions are kept.
- R2 texts are not stored beside the index, so that sizes are those of indexes.
- R3 an answer is the ids of the ten best documents, as the engine's user gets them; ``or`` between words unless said.
- R4 what is committed survives a power failure.
"""

from __future__ import annotations

import abc
from pathlib import Path
from time import perf_counter
from typing import Any

from benches.text.queries import Ask

TOP = 10


class Engine(abc.ABC):
    """An index in a folder."""

    kinds: frozenset[str] = frozenset({"one", "two", "three", "common", "phrase", "and", "prefix", "fuzzy"})
    """What it can be asked."""
    slow = False
    """Whether it is asked fewer queries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abc.abstractmethod
    def index(self, texts: list[str]) -> None:
        """Index all texts in one transaction, durably; ids are their places in the list."""

    def settle(self) -> None:  # noqa: B027 - most have nothing to do
        """Let the engine finish what it does in the background, and close files."""

    @abc.abstractmethod
    def prepare(self, ask: Ask) -> Any:
        """The query as it is handed to `search`."""

    @abc.abstractmethod
    def search(self, prepared: Any) -> list[int]:
        """Ids of the best documents."""

    @abc.abstractmethod
    def add_one(self, number: int, text: str) -> None:
        """Add one document; when it returns, a search finds it."""

    def close(self) -> None:  # noqa: B027
        """Let go of the files."""

    # What an asynchronous engine does otherwise.

    def time_searches(self, asks: list[Ask]) -> list[float]:
        """Seconds of each search."""
        prepared = [self.prepare(ask) for ask in asks]
        for one in prepared:  # what they read is in memory then, for every engine
            self.search(one)
        seconds: list[float] = []
        for one in prepared:
            begun = perf_counter()
            self.search(one)
            seconds.append(perf_counter() - begun)
        return seconds

    def time_adds(self, first: int, texts: list[str]) -> list[float]:
        """Seconds from handing over one document until a search finds it."""
        seconds: list[float] = []
        for number, text in enumerate(texts, first):
            begun = perf_counter()
            self.add_one(number, text)
            seconds.append(perf_counter() - begun)
        return seconds
