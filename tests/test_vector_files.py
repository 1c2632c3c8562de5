"""What a vector store tells about its index, and the files of the usearch library it writes and reads."""

from __future__ import annotations

import numpy as np
import pytest

import sopasync
from sopasync import VectorConfig

pytestmark = pytest.mark.anyio


async def test_usearch_files_go_out_and_come_in(db, tmp_path):
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((300, 12), dtype=np.float32)
    path = tmp_path / "vectors.usearch"
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("out", VectorConfig(12))
        await store.upsert_many(range(1000, 1300), rows, {"n": range(300)})
        assert await store.export_usearch(path) == 300
        back = await tx.open_vector_store("in", VectorConfig(12))
        assert await back.import_usearch(path) == 300
        assert [item.id async for item in back.items()] == list(range(1000, 1300))
        assert (await back.get(1007)).vector.tolist() == rows[7].tolist()
        other = await tx.open_vector_store("other", VectorConfig(13))
        with pytest.raises(
            sopasync.InvalidArgumentError, match="vectors of 12 x f32, and store 'other' of 13 x f32"
        ):
            await other.import_usearch(path)
        path.write_bytes(path.read_bytes()[:-50])
        with pytest.raises(sopasync.InvalidArgumentError, match=r"vectors\.usearch"):
            await back.import_usearch(path)
        await store.upsert("text", rows[0])
        with pytest.raises(sopasync.InvalidArgumentError, match="id 'text' is no whole number"):
            await store.export_usearch(path)


async def test_statistics_tell_what_the_index_holds(db):
    rng = np.random.default_rng(6)
    rows = np.tile(rng.standard_normal((10_000, 8), dtype=np.float32), 32)
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v", VectorConfig(256, "l2"))
        await store.upsert_many(range(10_000), rows)
    await db.settle("v")
    async with db.begin_transaction() as tx:
        store = await tx.open_vector_store("v")
        assert (await store.query(rows[17], 1))[0].id == 17
        found = store.statistics()
        assert found.rows == 10_000
        assert found.segments
        assert found.recall_estimate > 0.9
        assert await store.delete(list(range(100))) == 100
        assert {hit.id for hit in await store.query(rows[17], 5)}.isdisjoint(range(100))
