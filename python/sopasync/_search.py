"""`SearchStore`: a store of texts as one transaction sees it, searched by words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final, Literal, TypeGuard, TypeVar, cast, final

from ._among import Among, encoded
from ._core import MISS, decode_value, encode_value
from ._exceptions import InvalidArgumentError, KeyNotFound, QueryError, StoreError
from ._filters import pack_filter
from ._limits import INLINE_NS_MAX
from ._search_config import SearchSchema
from ._search_hit import Highlight, HighlightOptions, SearchDocument, SearchHit, SearchStatistics
from ._search_query import Query, pack_query
from ._statistics import StoreDescription

if TYPE_CHECKING:
    from ._core import Transaction as Native
    from ._filters import Filter
    from ._search_actor import SearchActor
    from ._turns import Turn, Turns

E = TypeVar("E", bound=Exception)

Text = str | Mapping[str, str]
"""The text of a document, or the text of each of its fields."""

DOCUMENTS_MAX: Final = 1000
"""Documents of a list handed to the engine in one call at most, and less when getting them takes a millisecond."""

DOCUMENTS_PER_LOOK: Final = 32
"""Documents between two looks at the clock."""

CHARACTERS_MAX: Final = 1024 * 1024
"""Characters of texts handed to the engine in one call, unless one document alone has more."""

IDS_MAX: Final = 64
"""Documents deleted in one call."""

HITS_MAX: Final = 100_000
"""The most hits that can be asked for at a time."""


@final
class SearchStore:
    """A search store, opened by `Transaction.open_search`.

    What the transaction has added is found by its own searches at once, and by everybody's as soon as it is
    committed. Two transactions that add different documents never conflict.

    A call returns without giving up the event loop unless it must wait for the disk or has much to do; then an
    engine thread does it. A call that is cancelled has changed nothing.
    """

    __slots__ = ("_turns", "actor", "participant", "turns_granted", "turns_left")

    def __init__(self, turns: Turns, native: Native, actor: SearchActor) -> None:
        self.actor = actor
        self.participant = native.search_participant(actor.name, actor.codec)
        self.turns_granted = 0
        self.turns_left = 0
        self._turns = turns

    def __repr__(self) -> str:
        return f"<sopasync.SearchStore {self.name!r}, fields {', '.join(self.fields)}, {id(self):#x}>"

    @property
    def name(self) -> str:
        """Name of the store."""
        return self.actor.name

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the parts of a document."""
        return tuple(self.actor.names)

    @property
    def description(self) -> StoreDescription:
        """What the catalogue says about the store."""
        schema = SearchSchema.from_bytes(self.name, self.participant.options()[0])
        return StoreDescription.of_search(self.name, self.participant.store_id, schema.description)

    # -- documents --------------------------------------------------------------------------------

    async def add(self, doc_id: Any, text: Text, *, payload: Any = None) -> Literal[True]:
        """Add a document, or replace the one that has this id.

        Args:
            doc_id: Any key: str, int, UUID, a tuple of these.
            text: Its text; in a store of several fields a dict with the text of each.
            payload: What comes back with a hit, and what filters look at: a dict, or any value.

        Raises:
            KeyTypeError, CodecError, ValueTooLargeError: The store does not take this id, text or payload.
            ReadOnlyError: The transaction only reads.
        """
        await self._run(self.participant.put, [doc_id], [self._texts(text)], [_pack(payload)])
        return True

    async def add_many(
        self, documents: Iterable[SearchDocument | tuple[Any, Text] | tuple[Any, Text, Any]]
    ) -> int:
        """Add documents, all or none: `SearchDocument`, or tuples of id, text and perhaps payload.

        Returns:
            How many of them replaced one that was there.
        """
        replaced = 0
        async with self._turns.turn(self) as turn:
            turn.undo_on_error()
            for keys, texts, payloads in self._pieces(documents):
                replaced += await self._piece(turn, self.participant.put, keys, texts, payloads)
                await turn.pause_if_due(len(keys))
        return replaced

    async def update(self, doc_id: Any, text: Text, *, payload: Any = None) -> Literal[True]:
        """Replace a document that is there, text and payload.

        Raises:
            KeyNotFound: It is not there; nothing was changed.
        """
        refused = await self._run(self.participant.update, [doc_id], [self._texts(text)], [_pack(payload)])
        if refused >= 0:
            raise KeyNotFound(
                f"document {doc_id!r} is not in search store '{self.name}': use add() to put it there",
                store=self.name,
                key=doc_id,
            )
        return True

    async def delete(self, doc_id: Any) -> bool:
        """Delete a document; returns whether it was there."""
        return cast("int", await self._run(self.participant.delete, [doc_id])) == 1

    async def delete_many(self, doc_ids: Iterable[Any]) -> int:
        """Delete documents, all or none of them; returns how many were there."""
        ids = list(doc_ids)
        deleted = 0
        async with self._turns.turn(self) as turn:
            turn.undo_on_error()
            for at in range(0, len(ids), IDS_MAX):
                piece = ids[at : at + IDS_MAX]
                deleted += await self._piece(turn, self.participant.delete, piece)
                await turn.pause_if_due(len(piece))
        return deleted

    async def get(self, doc_id: Any) -> SearchDocument | None:
        """Return a document as it was added, without empty fields; ``None`` when it is not there."""
        found = await self._run(self.participant.get, doc_id)
        if found is None:
            return None
        texts, payload = found
        text: Text | None = None
        if texts is not None:
            names = self.actor.names
            by_name = zip(names, texts, strict=True)
            text = texts[0] if len(names) == 1 else {name: given for name, given in by_name if given}
        return SearchDocument(doc_id, text, _unpack(payload))

    async def contains(self, doc_id: Any) -> bool:
        """Tell whether a document is there."""
        return cast("bool", await self._run(self.participant.contains, doc_id))

    async def count(self) -> int:
        """Count the documents."""
        return cast("int", await self._run(self.participant.count))

    # -- searching --------------------------------------------------------------------------------

    async def search(
        self,
        query: str | Query,
        *,
        limit: int = 10,
        offset: int = 0,
        filter: Filter | Mapping[str, Any] | None = None,  # noqa: A002 - the name it has everywhere
        highlight: bool | HighlightOptions = False,
        fields: str | list[str] | None = None,
        operator: Literal["or", "and"] = "or",
        among: Among | None = None,
    ) -> list[SearchHit]:
        """Find documents, best first (BM25), at this transaction's snapshot, its own changes included.

        The query language: words, ``"phrases"`` (``"big cat"~2`` with two places to spare), ``AND``, ``OR``, ``NOT``,
        ``+must``, ``-not``, parentheses, ``prefix*``, ``fuzzy~1``, ``field:word``, ``word^2.5``; a backslash takes the
        meaning from a character. docs/search.md has all of it.

        In a serializable transaction that also writes, the commit depends on what was found: it fails when others have
        changed the store meanwhile.

        Args:
            query: What to look for: a text in the query language, or a `Query` expression.
            limit: Hits at most.
            offset: Hits to leave out before the first.
            filter: A condition on payloads: a dict or an expression of `field`.
            highlight: Whether to return the pieces of the texts in which something was found.
            fields: Where to look for words without a field of their own; everywhere by default.
            operator: Whether one of the words is enough, or all are required.
            among: Only these ids, from any iterable, such as keys of a B-tree store at the same snapshot:
                ``articles.index("by_author").keys(equals="Ann")``.

        Returns:
            The hits; an empty list when there are none.

        Raises:
            QueryError: The query cannot be understood; its ``position`` says where.
            InvalidArgumentError: The filter, or a number, makes no sense.
        """
        for name, number, most in (("limit", limit, HITS_MAX), ("offset", offset, 2**40)):
            if not 0 <= number <= most:
                raise InvalidArgumentError(f"{name}={number}: give a number from 0 to {most}")
        packed = pack_query(query, fields, operator)
        shown = _highlight(highlight)
        args = (packed, limit, offset, pack_filter(filter), shown)
        try:
            ids = None if among is None else await encoded(among, self.actor.codec, self._turns)
            rows = await self._run(self.participant.search, *args, ids)
        except QueryError as error:
            error.query = query if isinstance(query, str) else None
            raise
        if shown is None:
            return [SearchHit(key, score, _unpack(payload)) for key, score, payload, _ in rows]
        return [self._hit(*row) for row in rows]

    def terms(self, text: str, *, field: str | None = None) -> list[str]:
        """Show which terms a text becomes: to see why something is found, or not."""
        names = self.actor.names
        name = names[0] if field is None else field
        if name not in names:
            raise InvalidArgumentError(f"there is no field {name!r}; the fields are {', '.join(names)}")
        return [term for term, *_ in self.participant.terms(names.index(name), text)]

    async def statistics(self) -> SearchStatistics:
        """Return what is in the store, and how far its index has been merged."""
        found = await self._run(self.participant.statistics)
        return SearchStatistics(**found, reindexing=self.participant.options()[1] is not None)

    # -- for the modules beside this one ----------------------------------------------------------

    def _hit(
        self,
        key: Any,
        score: float,
        payload: bytes | None,
        highlights: list[tuple[int, list[tuple[str, int, tuple[tuple[int, int], ...]]]]] | None,
    ) -> SearchHit:
        if highlights is None:
            return SearchHit(key, score, _unpack(payload))
        by_field = {
            self.actor.names[field]: tuple(Highlight(*piece) for piece in pieces)
            for field, pieces in highlights
        }
        return SearchHit(key, score, _unpack(payload), by_field)

    async def _run(self, operation: Any, *args: Any) -> Any:
        """Run an engine call as a turn: inline when it can be."""
        try:
            if self.turns_left:
                self.turns_left -= 1
                result = operation(*args)
                return await self._turns.resume(self) if result is MISS else result
            return await self._turns.run(self, operation, *args)
        except StoreError as error:
            raise self._named(error) from error.__cause__

    async def _piece(self, turn: Turn, operation: Any, *args: Any) -> int:
        try:
            return cast("int", await turn.call(operation, *args))
        except StoreError as error:
            raise self._named(error) from error.__cause__

    def _named(self, error: E) -> E:
        """The error with the name of the store."""
        if isinstance(error, StoreError) and error.store is None:
            error.store = self.name
            error.message = f"store '{self.name}': {error.message}"
        return error

    def _pieces(self, documents: Iterable[Any]) -> Iterable[tuple[list[Any], list[Any], list[bytes | None]]]:
        keys: list[Any] = []
        texts: list[Any] = []
        payloads: list[bytes | None] = []
        size = 0
        began_ns = monotonic_ns()
        for document in documents:
            key, text, payload = _parts(document)
            given = self._texts(text)
            keys.append(key)
            texts.append(given)
            payloads.append(None if payload is None else encode_value(payload))
            size += len(given) if isinstance(given, str) else sum(map(len, filter(None, given)))
            # A piece that is short is added where it is called, which takes longer than collecting it.
            late = len(keys) % DOCUMENTS_PER_LOOK == 0 and monotonic_ns() - began_ns > INLINE_NS_MAX // 3
            if late or len(keys) >= DOCUMENTS_MAX or size >= CHARACTERS_MAX:
                yield keys, texts, payloads
                keys, texts, payloads, size = [], [], [], 0
                began_ns = monotonic_ns()
        if keys:
            yield keys, texts, payloads

    def _texts(self, text: Any) -> str | tuple[str | None, ...]:
        """What the engine is given: a text, or one text or ``None`` for each field."""
        names = self.actor.names
        if isinstance(text, str):
            if len(names) == 1:
                return text
            raise InvalidArgumentError(
                f"documents of search store '{self.name}' have the fields {', '.join(names)}: give a dict with the "
                "text of each, got one text"
            )
        if not isinstance(text, Mapping):
            raise InvalidArgumentError(
                f"the text of a document is a str, or a dict with the text of each field, got {type(text).__name__}"
            )
        given = cast("Mapping[Any, Any]", text)
        for name, value in given.items():
            if name not in names:
                raise InvalidArgumentError(
                    f"search store '{self.name}' has no field {name!r}; its fields are {', '.join(names)}"
                )
            if not isinstance(value, str | None):
                raise InvalidArgumentError(
                    f"field '{name}' of a document takes a str, got {type(value).__name__}"
                )
        return tuple(given.get(name) for name in names)


def _parts(document: Any) -> tuple[Any, Any, Any]:
    if _is_tuple(document) and len(document) in (2, 3):
        return document[0], document[1], document[2] if len(document) == 3 else None
    if isinstance(document, SearchDocument):
        return document.doc_id, document.text, document.payload
    raise InvalidArgumentError(
        "documents are given as SearchDocument or as tuples (id, text) or (id, text, payload); "
        f"got {type(document).__name__}"
    )


def _is_tuple(given: Any) -> TypeGuard[tuple[Any, ...]]:
    return isinstance(given, tuple)


def _highlight(given: bool | HighlightOptions) -> tuple[int, int] | None:
    if given is False:
        return None
    options = HighlightOptions() if given is True else given
    if not isinstance(options, HighlightOptions):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(f"highlight={given!r}: give True, False or HighlightOptions")
    if not (1 <= options.count <= 1000 and 1 <= options.length <= 1_000_000):
        raise InvalidArgumentError(f"{options!r}: give a count of 1 to 1000 and a length of 1 to 1000000")
    return options.count, options.length


def _pack(payload: Any) -> bytes | None:
    return None if payload is None else encode_value(payload)


def _unpack(payload: bytes | None) -> Any:
    return None if payload is None else decode_value(payload)
