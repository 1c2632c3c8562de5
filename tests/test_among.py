"""Vectors among the keys that an index of a B-tree store gives: the filter of one store on the vectors of another."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import sopasync
from sopasync import BtreeOptions, SearchConfig, SecondaryIndex, VectorConfig

pytestmark = pytest.mark.anyio


async def catalogue(tx: sopasync.Transaction, count: int = 400) -> tuple[Any, Any]:
    chance = random.Random(3)
    goods = await tx.new_btree("goods", BtreeOptions(indexes=[SecondaryIndex("by_maker", ["maker"])]))
    vectors = await tx.open_vector_store("vectors", VectorConfig(8, "l2"))
    for number in range(count):
        await goods.add(number, {"maker": number % 7})
        if number % 5:
            await vectors.upsert(number, [chance.random() for _ in range(8)], {"even": number % 2 == 0})
    return goods, vectors


async def nearest(store: Any, target: list[float], ids: list[int]) -> list[int]:
    found = []
    for number in ids:
        item = await store.get(number)
        if item is not None:
            found.append((float(np.sum((np.asarray(item.vector) - np.float32(target)) ** 2)), number))
    return [number for _, number in sorted(found)]


async def test_hits_are_the_nearest_of_the_ids_given(db: sopasync.Database) -> None:
    target = [0.5] * 8
    async with db.begin_transaction() as tx:
        await catalogue(tx)
    async with db.begin_transaction() as tx:
        goods, vectors = await tx.open_btree("goods"), await tx.open_vector_store("vectors")
        await vectors.upsert(3, target)
        await vectors.delete(10)
        await goods.update(4, {"maker": 3})
        for maker in range(8):
            ids = [key async for key in goods.index("by_maker").keys(equals=maker)]
            wanted = await nearest(vectors, target, ids)
            hits = await vectors.query(target, 5, among=goods.index("by_maker").keys(equals=maker))
            assert [hit.id for hit in hits] == wanted[:5]
            every = await vectors.query(target, 1000, among=ids + ids)
            assert [hit.id for hit in every] == wanted
            even = await vectors.query(target, 1000, {"even": True}, among=ids)
            assert [hit.id for hit in even] == [number for number in wanted if number % 2 == 0]
        assert (await vectors.query(target, 1, among=goods.index("by_maker").keys(equals=3)))[0].id == 3
        assert await vectors.query(target, 3, among=[]) == []
        with pytest.raises(sopasync.InvalidArgumentError, match="among= takes many ids"):
            await vectors.query(target, 3, among="abc")


async def test_a_filter_among_ids_names_a_field_that_the_store_has(db: sopasync.Database) -> None:
    target = [0.5] * 8
    async with db.begin_transaction() as tx:
        await catalogue(tx)
        vectors = await tx.open_vector_store("vectors")
        await vectors.upsert(401, target, {"odd": True})
    async with db.begin_transaction() as tx:
        vectors = await tx.open_vector_store("vectors")
        for ids in ([1, 2, 3], [5, 10], [9999]):
            with pytest.raises(sopasync.InvalidArgumentError, match="evne"):
                await vectors.query(target, 3, {"evne": True}, among=ids)
            # Of these ids none has the field, but others have it.
            assert await vectors.query(target, 3, {"odd": True}, among=ids) == []
        await vectors.upsert(402, target, {"mine": 1})
        assert await vectors.query(target, 3, {"mine": 1}, among=[1, 2]) == []
        assert [hit.id for hit in await vectors.query(target, 3, {"mine": 1}, among=[402])] == [402]


async def test_the_commit_depends_on_the_ids_only(db: sopasync.Database) -> None:
    target = [0.5] * 8

    async def upsert_beside(number: int) -> None:
        async with db.begin_transaction() as other:
            await (await other.open_vector_store("vectors")).upsert(number, target)

    async with db.begin_transaction() as tx:
        await catalogue(tx, 50)
    async with db.begin_transaction() as tx:
        vectors = await tx.open_vector_store("vectors")
        await vectors.query(target, 3, among=[1, 2, 3])
        await vectors.upsert("mark", target)
        await upsert_beside(30)
    with pytest.raises(sopasync.ConflictError):
        async with db.begin_transaction() as tx:
            vectors = await tx.open_vector_store("vectors")
            await vectors.query(target, 3, among=[1, 2, 3])
            await vectors.upsert("mark", target)
            await upsert_beside(2)


async def test_documents_among_ids_are_those_that_a_search_finds_there(db: sopasync.Database) -> None:
    words = ("harbour", "orchard", "violin", "glacier")
    async with db.begin_transaction() as tx:
        goods, _ = await catalogue(tx, 200)
        texts = await tx.open_search("texts", SearchConfig(language="english"))
        for number in range(200):
            payload = {"even": number % 2 == 0} if number % 3 else None
            await texts.add(number, f"{words[number % 4]} {words[number % 3]}", payload=payload)
    await db.settle("texts")
    async with db.begin_transaction() as tx:
        goods, texts = await tx.open_btree("goods"), await tx.open_search("texts")
        await texts.add(3, "harbour again", payload={"even": False})
        await texts.delete(10)
        for maker in range(8):
            ids = {key async for key in goods.index("by_maker").keys(equals=maker)}
            for query in ("harbour", "harbour violin", "orchard AND harbour"):
                wanted = [hit for hit in await texts.search(query, limit=1000) if hit.doc_id in ids]
                found = await texts.search(
                    query, limit=1000, among=goods.index("by_maker").keys(equals=maker)
                )
                assert found == wanted
                assert await texts.search(query, limit=3, among=list(ids)) == wanted[:3]
                even = await texts.search(query, limit=1000, filter={"even": True}, among=ids)
                assert even == [hit for hit in wanted if hit.payload == {"even": True}]
        assert await texts.search("harbour", among=[]) == []
        with pytest.raises(sopasync.InvalidArgumentError, match="among= takes many ids"):
            await texts.search("harbour", among="abc")
