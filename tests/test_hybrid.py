"""Hybrid search: one ranking from words and vectors, at one snapshot."""

from __future__ import annotations

import pytest

from sopasync import (
    InvalidArgumentError,
    SearchConfig,
    TransactionMode,
    VectorConfig,
    field,
    hybrid_search,
)

pytestmark = pytest.mark.anyio

ITEMS = {
    "a": ("red apple", [1.0, 0.0], {"n": 1}),
    "b": ("green apple", [0.9, 0.1], {"n": 2}),
    "c": ("red car", [0.0, 1.0], {"n": 3}),
    "d": ("blue sky", [0.8, 0.2], {"n": 4}),
}


async def fill(db):
    async with db.begin_transaction() as tx:
        texts = await tx.open_search("texts", SearchConfig())
        vectors = await tx.open_vector_store("vectors", VectorConfig(dimension=2, metric="cosine"))
        for key, (text, vector, payload) in ITEMS.items():
            await texts.add(key, text, payload=payload)
            await vectors.upsert(key, vector, payload)


async def search(tx, query, vector, **options):
    return await hybrid_search(
        await tx.open_search("texts"), query, await tx.open_vector_store("vectors"), vector, **options
    )


async def test_reciprocal_ranks_add_up(db):
    await fill(db)
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        hits = await search(tx, "car", [1.0, 0.0])
        # "c": first of the words, last of the vectors; the others: found by their vectors alone.
        by_id = {hit.id: hit for hit in hits}
        assert by_id["c"].score == pytest.approx(1 / 61 + 1 / 64)
        assert by_id["a"].score == pytest.approx(1 / 61)
        assert [hit.id for hit in hits] == ["c", "a", "b", "d"]
        assert (by_id["c"].text_rank, by_id["c"].vector_rank) == (1, 4)
        assert (by_id["a"].text_rank, by_id["a"].text_score) == (None, None)
        assert by_id["a"].payload == {"n": 1}
        assert by_id["a"].vector_score == pytest.approx(1.0)
        weighted = await search(tx, "car", [1.0, 0.0], weights=(0.0, 1.0), k=1)
        assert [hit.id for hit in weighted][:3] == ["a", "b", "d"]
        assert await search(tx, "car", [1.0, 0.0], limit=1) == hits[:1]


async def test_scores_stretched_and_weighed(db):
    await fill(db)
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        hits = await search(
            tx, "red apple", [0.0, 1.0], method="weighted", weights=(3.0, 1.0), highlight=True
        )
        assert hits[0].id == "a"
        assert hits[0].highlights["text"][0].marks == ((0, 3), (4, 9))
        by_id = {hit.id: hit.score for hit in hits}
        assert by_id["c"] == pytest.approx(3 * 0 + 1, abs=3)
        assert min(by_id.values()) >= 0


async def test_filters_hold_for_both(db):
    await fill(db)
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        hits = await search(tx, "red OR blue", [1.0, 0.0], filter={"n": {"$gte": 3}})
        assert {hit.id for hit in hits} == {"c", "d"}
        hits = await search(tx, "red OR blue", [1.0, 0.0], filter=field("n") >= 3, vector_filter={"n": 3})
        assert {hit.id: hit.vector_rank for hit in hits} == {"c": 1, "d": None}


async def test_both_stores_are_seen_at_one_snapshot_with_own_changes(db):
    await fill(db)
    async with db.begin_transaction() as tx, db.begin_transaction(TransactionMode.FOR_READING) as other:
        texts, vectors = await tx.open_search("texts"), await tx.open_vector_store("vectors")
        await texts.add("e", "yellow unicorn")
        await vectors.upsert("e", [1.0, 0.0])
        hits = await hybrid_search(texts, "unicorn", vectors, [1.0, 0.0], limit=1)
        assert hits[0].id == "e"
        assert "e" not in {hit.id for hit in await search(other, "unicorn", [1.0, 0.0])}


async def test_what_makes_no_sense_is_refused(db):
    await fill(db)
    async with db.begin_transaction() as tx, db.begin_transaction() as other:
        texts, vectors = await tx.open_search("texts"), await other.open_vector_store("vectors")
        with pytest.raises(InvalidArgumentError, match="different transactions"):
            await hybrid_search(texts, "red", vectors, [1.0, 0.0])
        for options, part in [
            ({"method": "sum"}, "method"),
            ({"limit": 100, "depth": 10}, "depth"),
            ({"weights": (-1.0, 1.0)}, "weights"),
            ({"k": 0}, "k=0"),
        ]:
            with pytest.raises(InvalidArgumentError, match=part):
                await search(tx, "red", [1.0, 0.0], **options)
