"""The words of a text as the text stores see them: folded, stemmed, without stop words."""

from __future__ import annotations

import re

from sopasync import SearchConfig
from sopasync._core import SearchSchema

# `TarFile` is two words to a person. What `_` and `.` hold together, the analyzer takes apart itself.
_WORD_IN_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Words:
    """Takes texts apart, by the rules of one language.

    Args:
        language: English name or code of the language; empty for words as they stand.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._schema = SearchSchema(SearchConfig(language=language or None).to_bytes())

    def of(self, text: str) -> list[str]:
        """Return the words of a text, in order."""
        return [term for term, *_ in self._schema.terms(0, split_names(text))]


def split_names(text: str) -> str:
    """Put a space into names of several words: `TarFile` becomes `Tar File`."""
    return _WORD_IN_WORD.sub(" ", text)
