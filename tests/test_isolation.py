"""Hermitage's anomalies through the Python layer, at both isolation levels and across two stores."""

from __future__ import annotations

import contextlib

import pytest

import sopasync

pytestmark = pytest.mark.anyio


@pytest.fixture
async def db(db):
    async with db.begin_transaction() as tx:
        for name in ("one", "two"):
            await (await tx.new_btree(name)).add([(1, 10), (2, 20)])
    return db


@pytest.fixture(params=[("one", "one"), ("one", "two")], ids=["one store", "two stores"])
def places(request):
    """The stores in which the two rows of a test lie."""
    return request.param


async def begin(db, isolation, places):
    tx = db.begin_transaction(isolation=isolation)
    tx.begin()
    return tx, [await tx.open_btree(name) for name in places]


async def commits(tx):
    """Whether the commit was accepted."""
    with contextlib.suppress(sopasync.ConflictError):
        await tx.commit()
    return tx.outcome is sopasync.TransactionOutcome.COMMITTED


BOTH = pytest.mark.parametrize("isolation", ["snapshot", "serializable"])


@BOTH
async def test_g0_write_cycles(db, isolation, places):
    one, (a, b) = await begin(db, isolation, places)
    two, (c, d) = await begin(db, isolation, places)
    await a.update(1, 11)
    await c.update(1, 12)
    await b.update(2, 21)
    assert await commits(one)
    await d.update(2, 22)
    assert not await commits(two)


@BOTH
async def test_g1_aborted_intermediate_and_circular_reads(db, isolation, places):
    one, (a, _) = await begin(db, isolation, places)
    two, (c, d) = await begin(db, isolation, places)
    await a.update(1, 101)
    assert await c.get(1) == 10
    await a.update(1, 11)
    await d.update(2, 22)
    assert await c.get(1) == 10
    one.rollback()
    assert await c.get(1) == 10
    assert await commits(two)


@BOTH
async def test_otv_observed_transaction_vanishes(db, isolation, places):
    three, (e, f) = await begin(db, isolation, places)
    one, (a, b) = await begin(db, isolation, places)
    await a.update(1, 11)
    await b.update(2, 19)
    assert await commits(one)
    assert await e.get(1) == 10
    assert await f.get(2) == 20
    assert await commits(three)


@BOTH
async def test_p4_lost_update(db, isolation, places):
    one, (a, _) = await begin(db, isolation, places)
    two, (c, _) = await begin(db, isolation, places)
    await a.update(1, await a.get(1) + 1)
    await c.update(1, await c.get(1) + 1)
    assert await commits(one)
    assert not await commits(two)


@BOTH
async def test_g_single_read_skew(db, isolation, places):
    one, (a, b) = await begin(db, isolation, places)
    assert await a.get(1) == 10
    two, (c, d) = await begin(db, isolation, places)
    await c.update(1, 12)
    await d.update(2, 18)
    assert await commits(two)
    assert await b.get(2) == 20
    assert await commits(one)  # it only read


@BOTH
async def test_g2_item_write_skew(db, isolation, places):
    one, (a, b) = await begin(db, isolation, places)
    two, (c, d) = await begin(db, isolation, places)
    for x, y in ((a, b), (c, d)):
        assert await x.get(1) + await y.get(2) == 30
    await a.update(1, 11)
    await d.update(2, 21)
    assert await commits(one)
    assert await commits(two) is (isolation == "snapshot")


@BOTH
async def test_g2_anti_dependency_cycles_of_ranges(db, isolation, places):
    one, (a, b) = await begin(db, isolation, places)
    two, (c, d) = await begin(db, isolation, places)
    for x, y in ((a, b), (c, d)):
        assert [key async for key in x.keys(start=3)] == []
        assert [key async for key in y.keys(start=3)] == []
    await a.add(3, 30)
    await d.add(4, 42)
    assert await commits(one)
    assert await commits(two) is (isolation == "snapshot")
