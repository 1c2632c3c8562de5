"""`SearchConfig`: what a search store is made with, and how the catalogue keeps it.

The catalogue entry is a msgpack map, read by the engine too (`rust/text/src/schema.rs`):

    {"format": 1, "description": str, "k1": float, "b": float, "stored": bool,
     "fields": [[name, boost, {"kind": str, "language": str | nil, ...}], ...]}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, cast

import msgspec

from ._core import search_language
from ._exceptions import InvalidArgumentError, UnsupportedFormatError

SEARCH_FORMAT: Final = 1

AnalyzerKind = Literal["words", "whitespace", "raw", "ngrams"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TextAnalyzer:
    """How texts become the terms that are searched."""

    kind: AnalyzerKind = "words"
    """``"words"``: words by Unicode's rules, and pairs of characters where a script has no spaces (Chinese,
    Japanese, Korean, Thai). ``"whitespace"``: whatever stands between white space. ``"raw"``: the whole text is one
    term. ``"ngrams"``: every run of `min_length` to `max_length` characters, to find parts of words."""
    language: str | None = None
    """English name or code of the language, for stems and stop words: ``"english"``, ``"de"``."""
    stem: bool | None = None
    """Whether *running* is found by *run*; by default when the language has a stemmer."""
    stop_words: bool | Sequence[str] | None = None
    """Words that are left out: those of the language (the default when there is one), none, or these."""
    ignore_case: bool = True
    ignore_accents: bool = True
    min_length: int = 3
    """Shortest n-gram, in characters."""
    max_length: int | None = None
    """Longest n-gram; by default as long as the shortest."""

    def to_map(self) -> dict[str, Any]:
        """The catalogue's form."""
        given = self.stop_words
        stop_words = (
            given if given is None or isinstance(given, bool) else sorted({str(word) for word in given})
        )
        return {
            "kind": self.kind,
            "language": None if self.language is None else search_language(self.language),
            "stem": self.stem,
            "stop_words": stop_words,
            "ignore_case": self.ignore_case,
            "ignore_accents": self.ignore_accents,
            "min": self.min_length,
            "max": self.min_length if self.max_length is None else self.max_length,
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TextField:
    """One named part of the documents of a search store."""

    boost: float = 1.0
    """How much an occurrence in this field counts, beside the others."""
    analyzer: TextAnalyzer | None = None
    """How its texts become terms; by default as `SearchConfig` says."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """How a search store is made: its fields, their language, and how documents are ranked."""

    fields: Sequence[str] | Mapping[str, float | TextField] = ("text",)
    """Names of the parts of a document; with boosts or analyzers as a dict: ``{"title": 3.0, "body": 1.0}``."""
    language: str | None = None
    """Language of all fields without an analyzer of their own: words become stems, stop words are left out.
    Without one, words stay as they are but for case and accents."""
    analyzer: TextAnalyzer | None = None
    """Instead of `language`: everything about how texts become terms."""
    k1: float = 1.2
    """BM25: how soon further occurrences of a word stop to count."""
    b: float = 0.75
    """BM25: how much the length of a text counts against it, from 0 to 1."""
    stored: bool = True
    """Whether the texts are kept, for highlights and `SearchStore.get`."""
    description: str = ""

    def to_bytes(self) -> bytes:
        """Pack into the catalogue's form."""
        if self.language is not None and self.analyzer is not None:
            raise InvalidArgumentError(
                "a SearchConfig has a language or an analyzer: put the language into the analyzer"
            )
        default = self.analyzer or TextAnalyzer(language=self.language)
        return msgspec.msgpack.encode(
            {
                "format": SEARCH_FORMAT,
                "description": self.description,
                "k1": float(self.k1),
                "b": float(self.b),
                "stored": self.stored,
                "fields": [
                    [name, float(field.boost), (field.analyzer or default).to_map()]
                    for name, field in self._fields().items()
                ],
            }
        )

    def _fields(self) -> dict[str, TextField]:
        given: Any = self.fields
        if isinstance(given, str):
            raise InvalidArgumentError(f"fields={given!r}: give a list of names, as in [{given!r}]")
        if not isinstance(given, Mapping):
            names = cast("list[str]", list(given))
            if len(set(names)) < len(names):
                raise InvalidArgumentError(f"two fields of the search store have one name: {names}")
            return {name: TextField() for name in names}
        fields = cast("Mapping[str, float | TextField]", given)
        return {
            name: field if isinstance(field, TextField) else TextField(boost=field)
            for name, field in fields.items()
        }


class SearchSchema(msgspec.Struct, frozen=True):
    """What the catalogue says about a search store."""

    format: int
    description: str
    k1: float
    b: float
    stored: bool
    fields: list[tuple[str, float, dict[str, Any]]]

    @classmethod
    def from_bytes(cls, store: str, data: bytes) -> SearchSchema:
        """Unpack the catalogue's form."""
        schema = msgspec.msgpack.decode(data, type=cls)
        if schema.format != SEARCH_FORMAT:
            raise UnsupportedFormatError(
                f"search store '{store}' was made by a newer sopasync (options of format {schema.format}; this "
                f"version reads {SEARCH_FORMAT}). Use a newer sopasync",
                found=schema.format,
                supported=SEARCH_FORMAT,
            )
        return schema

    @property
    def names(self) -> list[str]:
        """Names of the fields, in order."""
        return [name for name, _, _ in self.fields]

    def can_become(self, wanted: SearchSchema) -> bool:
        """Tell whether a store can be changed so: its fields stay, and for other terms there must be texts."""
        analyzers = [analyzer for *_, analyzer in self.fields] == [analyzer for *_, analyzer in wanted.fields]
        return self.names == wanted.names and self.stored == wanted.stored and (analyzers or self.stored)

    def changed_to(self, wanted: SearchSchema) -> bytes:
        """The options of what is wanted, which keep the description unless they have one."""
        description = wanted.description or self.description
        return msgspec.msgpack.encode(msgspec.structs.replace(wanted, description=description))

    def differences(self, wanted: SearchSchema) -> str:
        """Name what is otherwise in `wanted`; empty when nothing that matters is."""
        found: list[str] = []
        if self.names != wanted.names:
            found.append(
                f"its fields are {', '.join(self.names)} but {', '.join(wanted.names)} were asked for"
            )
        for (name, boost, analyzer), (_, other_boost, other_analyzer) in zip(
            self.fields, wanted.fields, strict=False
        ):
            if self.names == wanted.names and boost != other_boost:
                found.append(f"the boost of field '{name}' is {boost:g} but {other_boost:g} was asked for")
            if self.names == wanted.names and analyzer != other_analyzer:
                entries = [key for key in analyzer if analyzer[key] != other_analyzer.get(key)]
                is_so = ", ".join(f"{key}={analyzer[key]!r}" for key in entries)
                found.append(f"field '{name}' is analyzed with {is_so}, otherwise than asked for")
        found += [
            f"its {name} is {getattr(self, name)} but {getattr(wanted, name)} was asked for"
            for name in ("k1", "b", "stored")
            if getattr(self, name) != getattr(wanted, name)
        ]
        if wanted.description and self.description != wanted.description:
            found.append(f"its description is {self.description!r}")
        return "; ".join(found)
