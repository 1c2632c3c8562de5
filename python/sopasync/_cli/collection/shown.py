"""How answers are shown: for people with the found words marked, for programs as one line of JSON each."""

from __future__ import annotations

import re
import shutil
from typing import Any, cast

import msgspec

from sopasync import HighlightOptions
from sopasync._cli.collection.answers import Answer, How
from sopasync._cli.display import as_json
from sopasync._cli.terminal import bold, marked

COLUMNS_MAX = 120
INDENT = "     "
LINES_PER_ANSWER = 3

HEADINGS: dict[How, str] = {"text": "By words", "vector": "By meaning", "hybrid": "By words and meaning"}

# Texts are other people's: what moves a terminal's cursor or changes its colours is not printed.
_WHITE_SPACE_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_WORD = re.compile(r"\w+")


def heading(how: How, found: int, took: str) -> str:
    """Return the line above answers."""
    return f"{bold(HEADINGS[how])}: {found} in {took}"


def columns() -> int:
    """Return how wide a line may be."""
    return min(shutil.get_terminal_size((COLUMNS_MAX, 0)).columns, COLUMNS_MAX)


def options() -> HighlightOptions:
    """Return how much of each text fits on a line."""
    return HighlightOptions(count=1, length=max(columns() - 30, 20))


def as_lines(answer: Answer, how: How, place: int) -> list[str]:
    """Lay an answer out in a few lines."""
    ranks = f"  ({_ranks(answer)})" if how == "hybrid" else ""
    figures = f"{answer.score:.3f}{ranks}"
    title = _cut(title_of(answer.id), columns() - len(INDENT) - len(figures) - 2)
    lines = [f"{place:>3}  {bold(title)}  {figures}"]
    return lines + [INDENT + line for line in _extracts(answer)[:LINES_PER_ANSWER]]


def as_object(answer: Answer, how: How, place: int) -> str:
    """Write an answer as a line of JSON."""
    shown = msgspec.to_builtins(answer.highlights)
    return as_json(
        {
            "by": how,
            "rank": place,
            "id": answer.id,
            "score": answer.score,
            "text_rank": answer.text_rank,
            "vector_rank": answer.vector_rank,
            "payload": answer.payload,
            "texts": dict(answer.texts),
            "highlights": shown,
        }
    )


def title_of(id_: Any) -> str:
    """Write the id of a text the way it is read best."""
    if isinstance(id_, tuple):
        return "  ".join(_one_line(str(part)) for part in cast("tuple[Any, ...]", id_))
    return _one_line(id_) if isinstance(id_, str) else as_json(id_)


def _ranks(answer: Answer) -> str:
    ranks = (("words", answer.text_rank), ("meaning", answer.vector_rank))
    return ", ".join(f"{name} {rank}" for name, rank in ranks if rank)


def _extracts(answer: Answer) -> list[str]:
    """Pieces with marks; the beginning of the texts where no word was found. What the title says is left out."""
    title = set(_WORD.findall(title_of(answer.id)))
    fields = {name: text for name, text in answer.texts.items() if not title.issuperset(_WORD.findall(text))}
    width = max((len(name) + 2 for name in fields), default=0) if len(answer.texts) > 1 else 0
    pieces = [
        (name, marked(piece.marked("\0", "\1", escape=_one_line)))
        for name, found in answer.highlights.items()
        for piece in found
        if name in fields
    ]
    room = columns() - len(INDENT) - width
    shown = pieces or [(name, _cut(_one_line(text), room)) for name, text in fields.items()]
    return [f"{name}: ".ljust(width) * (width > 0) + text for name, text in shown]


def _one_line(text: str) -> str:
    return _WHITE_SPACE_OR_CONTROL.sub(" ", text)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(length - 3, 0)] + "..."
