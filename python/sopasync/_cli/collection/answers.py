"""Questions to a collection, answered by words, by meaning, or by both, all at one snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

import sopasync
from sopasync import Highlight, HighlightOptions, SearchStore, VectorStore, hybrid_search
from sopasync._cli.collection.stores import (
    EMBEDDING,
    MODELS,
    TEXT_SUFFIX,
    VECTORS_SUFFIX,
    Collection,
    find_row,
)
from sopasync._cli.embedding import Embedding
from sopasync._cli.failure import CommandError

How = Literal["text", "vector", "hybrid"]
Condition = Mapping[str, Any] | None


class Answer(msgspec.Struct, kw_only=True):
    """A text that was found."""

    id: Any
    score: float
    text_rank: int | None = None
    """Its place by words alone, from 1."""
    vector_rank: int | None = None
    """Its place by meaning alone."""
    payload: Any = None
    texts: Mapping[str, str] = {}
    """Its fields."""
    highlights: Mapping[str, Sequence[Highlight]] = {}
    """By field, pieces in which words of the question stand."""


@dataclass
class OpenCollection:
    """The stores of a collection as one transaction sees them."""

    name: str
    texts: SearchStore
    row: Collection | None = None
    """None where a search store stands alone, made by another program."""
    vectors: VectorStore[Any, Any] | None = None
    embedding: Embedding | None = field(default=None, repr=False)

    @property
    def ways(self) -> list[How]:
        """How it can be asked."""
        return ["text"] if self.embedding is None else ["text", "vector", "hybrid"]


async def find_collection(tx: sopasync.Transaction, name: str | None) -> OpenCollection:
    """Open the collection of that name, or the only one, with the embedding of the same snapshot."""
    stores = [store.name for store in await tx.stores() if store.kind == "search"]
    names = [store.removesuffix(TEXT_SUFFIX) for store in stores]
    if name is None:
        if len(names) != 1:
            listed = f"which of them? Say --store {' or --store '.join(names)}"
            raise CommandError(
                listed if names else "there are no texts here; the database of `sopasync demo` has some"
            )
        name = names[0]
    if name + TEXT_SUFFIX in stores:
        found = OpenCollection(name, await tx.open_search(name + TEXT_SUFFIX), await find_row(tx, name))
    elif name in stores:
        found = OpenCollection(name, await tx.open_search(name))
    else:
        listed = f"there are {', '.join(names)}" if names else "there are none in this database"
        raise CommandError(f"'{name}' has no texts that were indexed; {listed}")
    if found.row is not None and found.row.version:
        models = await tx.open_model_store(MODELS)
        found.embedding = await models.load(EMBEDDING, name, into=Embedding)
        found.vectors = await tx.open_vector_store(name + VECTORS_SUFFIX)
    return found


async def ask(
    collection: OpenCollection,
    question: str,
    how: How,
    limit: int,
    *,
    where: Condition = None,
    highlight: HighlightOptions | None = None,
) -> list[Answer]:
    """Find what answers a question best.

    Args:
        collection: Where to look.
        question: In the query language of text search; embedded as it stands.
        how: By words, by meaning, or by both.
        limit: Answers at most.
        where: A condition on payloads.
        highlight: How much to show of the texts.
    """
    shown = highlight or HighlightOptions()
    answers: list[Answer]
    vector = None if how == "text" else _vector(collection, question)
    if how == "text" or (how == "hybrid" and vector is None):
        hits = await collection.texts.search(question, limit=limit, filter=where, highlight=shown)
        answers = [
            Answer(
                id=hit.doc_id, score=hit.score, text_rank=rank, payload=hit.payload, highlights=hit.highlights
            )
            for rank, hit in enumerate(hits, 1)
        ]
    elif vector is None:
        answers = []
    elif how == "vector":
        assert collection.vectors is not None
        near = await collection.vectors.query(vector, limit, where)
        answers = [
            Answer(id=hit.id, score=hit.score, vector_rank=rank, payload=hit.payload)
            for rank, hit in enumerate(near, 1)
        ]
    else:
        assert collection.vectors is not None
        both = await hybrid_search(
            collection.texts,
            question,
            collection.vectors,
            vector,
            limit=limit,
            filter=where,
            highlight=shown,
        )
        answers = [
            Answer(
                id=hit.id,
                score=hit.score,
                text_rank=hit.text_rank,
                vector_rank=hit.vector_rank,
                payload=hit.payload,
                highlights=hit.highlights,
            )
            for hit in both
        ]
    for answer in answers:
        answer.texts = await _texts(collection, answer.id)
    return answers


def _vector(collection: OpenCollection, question: str) -> Any:
    """The question as a vector; None when the embedding knows none of its words."""
    if collection.embedding is None:
        raise CommandError(
            f"'{collection.name}' has no embedding, so it can be asked by words only: say --by text"
        )
    (vector,) = collection.embedding.embed([question])
    return vector if vector.any() else None


async def _texts(collection: OpenCollection, id_: Any) -> Mapping[str, str]:
    document = await collection.texts.get(id_)
    if document is None or document.text is None:
        return {}
    if isinstance(document.text, str):
        return {collection.texts.fields[0]: document.text}
    return document.text
