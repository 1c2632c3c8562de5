"""`Query`: search queries as Python expressions; the same as the query language, without its syntax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeGuard, final

import msgspec

from ._exceptions import InvalidArgumentError

Fields = str | Sequence[str] | None


@final
class Query:
    """A query put together from parts: ``Query.term("fox") & ~Query.phrase("lazy dog")``.

    Words go through the analyzer of each field they are looked for in, as in the query language. Make one with the
    class methods; combine them with ``&`` (both), ``|`` (either, the more the better) and ``~`` (not).
    """

    __slots__ = ("_tree",)

    def __init__(self, tree: list[Any]) -> None:
        self._tree = tree

    @classmethod
    def parse(cls, text: str, *, fields: Fields = None, operator: Literal["or", "and"] = "or") -> Query:
        """What somebody typed, in the query language.

        Args:
            text: The query.
            fields: Where to look for words without a field of their own; everywhere by default.
            operator: Whether one of the words is enough or all are required.
        """
        if operator not in ("or", "and"):
            raise InvalidArgumentError(f"operator={operator!r} is unknown: use 'or' or 'and'")
        return cls(["text", _text(text), _names(fields), operator == "and"])

    @classmethod
    def term(cls, text: str, *, field: Fields = None) -> Query:
        """A word; a text that is several words is looked for as a phrase."""
        return cls(["term", _text(text), _names(field)])

    @classmethod
    def phrase(cls, text: str, *, slop: int = 0, field: Fields = None) -> Query:
        """Words next to each other, in all at most `slop` places from there."""
        return cls(["phrase", _text(text), _names(field), _number("slop", slop)])

    @classmethod
    def prefix(cls, text: str, *, field: Fields = None) -> Query:
        """Everything that begins so."""
        return cls(["prefix", _text(text), _names(field)])

    @classmethod
    def fuzzy(cls, text: str, *, distance: int = 1, field: Fields = None) -> Query:
        """Words at most `distance` (1 or 2) letters away: one put in, left out, replaced, or two swapped."""
        return cls(["fuzzy", _text(text), _names(field), _number("distance", distance)])

    @classmethod
    def all_of(cls, *queries: Query | str) -> Query:
        """What matches every query."""
        return cls(["all", [tree_of(query) for query in queries]])

    @classmethod
    def any_of(cls, *queries: Query | str) -> Query:
        """What matches one of the queries; the more, the better."""
        return cls(["any", [tree_of(query) for query in queries]])

    @classmethod
    def none_of(cls, *queries: Query | str) -> Query:
        """What matches none of the queries."""
        return cls(["none", [tree_of(query) for query in queries]])

    @classmethod
    def everything(cls) -> Query:
        """Every document, with score 0."""
        return cls(["everything"])

    def boost(self, factor: float) -> Query:
        """The same with its score multiplied."""
        return Query(["boost", self._tree, float(factor)])

    def __and__(self, other: Query | str) -> Query:
        return Query.all_of(self, other)

    def __or__(self, other: Query | str) -> Query:
        return Query.any_of(self, other)

    def __invert__(self) -> Query:
        return Query.none_of(self)

    def __bool__(self) -> bool:
        raise TypeError(
            "a query is neither true nor false: combine queries with &, | and ~ instead of and, or, not"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Query) and self._tree == other._tree

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Query({self._tree!r})"

    @property
    def tree(self) -> list[Any]:
        """The query as nested lists, as the engine reads it."""
        return self._tree


def tree_of(given: object) -> list[Any] | str:
    """The nested lists of a query, or a text in the query language."""
    if isinstance(given, Query):
        return given.tree
    return _text(given)


def pack_query(given: Query | str, fields: Fields, operator: Literal["or", "and"]) -> bytes:
    """The packed form of a query."""
    if isinstance(given, str):
        given = Query.parse(given, fields=fields, operator=operator)
    elif fields is not None or operator != "or":
        raise InvalidArgumentError(
            "fields= and operator= are for a query in the query language: an expression says both itself"
        )
    try:
        return msgspec.msgpack.encode(tree_of(given))
    except UnicodeEncodeError as error:
        raise _no_unicode(error) from None


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise InvalidArgumentError(f"a query is a str or a Query, not {type(given).__name__}: {given!r}")
    return given


def _names(given: Fields) -> list[str] | None:
    if given is None:
        return None
    names = [given] if isinstance(given, str) else list(given)
    if not names or not _are_texts(names):
        raise InvalidArgumentError(f"fields are given as a name or a list of names, not as {given!r}")
    return names


def _are_texts(given: list[Any]) -> TypeGuard[list[str]]:
    return all(isinstance(one, str) for one in given)


def _number(name: str, given: object) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < 0:
        raise InvalidArgumentError(f"{name}={given!r}: give a whole number of 0 or more")
    return given


def _no_unicode(error: UnicodeEncodeError) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"the query {error.object!r} holds half a surrogate pair, which is no character"
    )
