"""What a search gives: hits with their score and highlights, and stored documents."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import Any

import msgspec


class Highlight(msgspec.Struct, frozen=True):
    """A piece of a text in which something was found. Offsets are in characters."""

    text: str
    """The piece."""
    start: int
    """Where it begins in the whole text."""
    marks: tuple[tuple[int, int], ...]
    """Beginning and end, within the piece, of each place that was found."""

    def marked(
        self, before: str = "<b>", after: str = "</b>", *, escape: Callable[[str], str] = html.escape
    ) -> str:
        """The piece with its places marked; what stands around them is escaped, for HTML by default."""
        parts: list[str] = []
        at = 0
        for start, end in self.marks:
            parts += escape(self.text[at:start]), before, escape(self.text[start:end]), after
            at = end
        return "".join([*parts, escape(self.text[at:])])


class SearchHit(msgspec.Struct, frozen=True):
    """A document that was found. ``hit.doc_id``, ``hit.DocID`` and ``hit["doc_id"]`` are the same."""

    doc_id: Any
    score: float
    """BM25: the larger the better; comes with the query, not comparable between queries."""
    payload: Any = None
    highlights: Mapping[str, tuple[Highlight, ...]] = {}
    """By field, the best pieces of its text, when they were asked for."""

    @property
    def DocID(self) -> Any:  # noqa: N802 - the name it has elsewhere
        """The same as `doc_id`."""
        return self.doc_id

    @property
    def Score(self) -> float:  # noqa: N802
        """The same as `score`."""
        return self.score

    def __getitem__(self, name: str) -> Any:
        if name in ("doc_id", "score", "payload", "highlights", "DocID", "Score"):
            return getattr(self, name)
        raise KeyError(name)


class SearchDocument(msgspec.Struct, frozen=True):
    """A document as it was added: to `SearchStore.add_many`, and from `SearchStore.get`."""

    doc_id: Any
    text: str | Mapping[str, str] | None = None
    """Its text, or the text of each field; ``None`` from a store that does not keep texts."""
    payload: Any = None


class HighlightOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How much of each text is shown with a hit."""

    count: int = 3
    """Pieces of each field at most."""
    length: int = 160
    """About how long a piece is, in characters."""


class SearchStatistics(msgspec.Struct, frozen=True):
    """What is in a search store, and how far its index has been merged."""

    documents: int
    """Documents there are at this snapshot."""
    unmerged: int
    """Documents added or deleted since the index was last merged; they are searched all the same."""
    deltas: int
    """Rows in which these stand: one for each commit, until some are combined."""
    reindexing: bool = False
    """Whether the index is being made anew by other rules; until it is, it answers by the old ones."""
