"""Passages of a text: its paragraphs, short ones joined to what comes after them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

PASSAGE_CHARS_MIN: Final = 80
"""A passage ends with the paragraph that makes it this long, so that headings stand with what they head."""


class Passage(NamedTuple):
    """Some paragraphs of a text."""

    line: int
    """The line it begins at, counted from 1."""
    text: str


def passages(text: str) -> Iterator[Passage]:
    """Cut a text at blank lines. All that is not white space at a line's end, or a blank line, is kept."""
    taken: list[str] = []
    chars, begins = 0, 0
    for number, line in enumerate(text.split("\n"), 1):
        kept = line.rstrip()
        if kept:
            if not taken:
                begins = number
            taken.append(kept)
            chars += len(kept)
        elif chars >= PASSAGE_CHARS_MIN:
            yield Passage(begins, "\n".join(taken).rstrip())
            taken, chars = [], 0
        elif taken and taken[-1]:
            taken.append("")
    if taken:
        yield Passage(begins, "\n".join(taken).rstrip())
