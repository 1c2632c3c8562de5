"""`hybrid_search`: one ranking from a search by words and a search by vectors, both at one snapshot."""

# Whether two stores belong to one transaction is nobody else's business.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ._exceptions import InvalidArgumentError
from ._filters import Filter, tree_of

if TYPE_CHECKING:
    from ._search import SearchStore
    from ._search_hit import Highlight, HighlightOptions, SearchHit
    from ._search_query import Query
    from ._vector import VectorStore
    from ._vector_items import VectorHits

    Condition = Filter | Mapping[str, Any] | None


class HybridHit(msgspec.Struct, frozen=True):
    """What either search found, with what each said of it. Ranks are from 1; ``None``: it did not find it."""

    id: Any
    score: float
    """The larger the better; not comparable between searches."""
    text_score: float | None = None
    text_rank: int | None = None
    vector_score: float | None = None
    vector_rank: int | None = None
    payload: Any = None
    """The text store's payload; the vector store's when the text store did not find it."""
    highlights: Mapping[str, tuple[Highlight, ...]] = {}


async def hybrid_search(
    texts: SearchStore,
    query: str | Query,
    vectors: VectorStore[Any, Any],
    vector: Any,
    *,
    limit: int = 10,
    method: Literal["rrf", "weighted"] = "rrf",
    weights: tuple[float, float] = (1.0, 1.0),
    k: int = 60,
    depth: int | None = None,
    filter: Condition = None,  # noqa: A002 - the name it has everywhere
    text_filter: Condition = None,
    vector_filter: Condition = None,
    highlight: bool | HighlightOptions = False,
) -> list[HybridHit]:
    """Search by words and by a vector in one transaction, and rank what was found together.

    Both stores must be opened in the same transaction: then both answer at its snapshot, its own changes
    included. The id of a document and of its vector are the same.

    Args:
        texts: Where to look for `query`.
        query: As in `SearchStore.search`.
        vectors: Where to look for what is near to `vector`.
        vector: As in `VectorStore.query`.
        limit: Hits at most.
        method: ``"rrf"``, reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): the sum of
            ``weight / (k + rank)``. ``"weighted"``: the sum of ``weight * score``, the scores of each search stretched
            to 0 (the last that was looked at) and 1 (the best).
        weights: Of the words, and of the vector.
        k: How little the very first ranks stand out, in reciprocal rank fusion.
        depth: How many hits of each search are looked at; by default five times `limit`, at least 50.
        filter: A condition on the payloads of both.
        text_filter: A condition on the payloads of the texts alone, besides `filter`.
        vector_filter: A condition on the payloads of the vectors alone, besides `filter`.
        highlight: As in `SearchStore.search`.
    """
    wanted = max(50, 5 * limit) if depth is None else depth
    _check(texts, vectors, limit, wanted, weights, k, method)
    by_words = await texts.search(query, limit=wanted, filter=_both(filter, text_filter), highlight=highlight)
    by_vector = await vectors.query(vector, k=wanted, filter=_both(filter, vector_filter))
    share = _reciprocal(k) if method == "rrf" else _stretched
    return _fused(by_words, by_vector, share, weights)[:limit]


def _fused(
    by_words: list[SearchHit],
    by_vector: VectorHits[Any, Any],
    share: Callable[[list[float]], list[float]],
    weights: tuple[float, float],
) -> list[HybridHit]:
    found: dict[Any, dict[str, Any]] = {}
    shares = share([hit.score for hit in by_words])
    for rank, (hit, part) in enumerate(zip(by_words, shares, strict=True), 1):
        found[hit.doc_id] = {
            "score": weights[0] * part,
            "text_score": hit.score,
            "text_rank": rank,
            "payload": hit.payload,
            "highlights": hit.highlights,
        }
    shares = share([hit.score for hit in by_vector])
    for rank, (near, part) in enumerate(zip(by_vector, shares, strict=True), 1):
        entry = found.setdefault(near.id, {"score": 0.0})
        entry["score"] += weights[1] * part
        entry |= {"vector_score": near.score, "vector_rank": rank}
        if entry.get("payload") is None:
            entry["payload"] = near.payload
    hits = [HybridHit(id, **entry) for id, entry in found.items()]  # noqa: A001
    # Stable: of equal scores, the order of the words' search and then the vectors'.
    return sorted(hits, key=lambda hit: -hit.score)


def _reciprocal(k: int) -> Callable[[list[float]], list[float]]:
    return lambda scores: [1.0 / (k + rank) for rank in range(1, len(scores) + 1)]


def _stretched(scores: list[float]) -> list[float]:
    if not scores:
        return []
    low, high = min(scores), max(scores)
    return [1.0 if high == low else (score - low) / (high - low) for score in scores]


def _both(one: Condition, other: Condition) -> Condition:
    if one is None or other is None:
        return other if one is None else one
    return Filter(["and", [tree_of(one), tree_of(other)]])


def _check(
    texts: SearchStore,
    vectors: VectorStore[Any, Any],
    limit: int,
    depth: int,
    weights: tuple[float, float],
    k: int,
    method: str,
) -> None:
    if texts._turns is not vectors._turns:
        raise InvalidArgumentError(
            f"search store '{texts.name}' and vector store '{vectors.name}' were opened in different transactions: "
            "open both in one, so that both answer at one snapshot"
        )
    if method not in ("rrf", "weighted"):
        raise InvalidArgumentError(f"method={method!r} is unknown: use 'rrf' or 'weighted'")
    if limit < 0 or depth < limit:
        raise InvalidArgumentError(f"limit={limit}, depth={depth}: give 0 <= limit <= depth")
    if k < 1:
        raise InvalidArgumentError(f"k={k}: give 1 or more (60 is usual)")
    if not all(0 <= weight < float("inf") for weight in weights):
        raise InvalidArgumentError(
            f"weights={weights!r}: give two numbers of 0 or more, of the words and the vector"
        )
