"""pytest-asyncio runs a fixture's set-up and tear-down in tasks of their own; a handle must bear that."""

from __future__ import annotations

import pytest
import pytest_asyncio

import sopasync


@pytest_asyncio.fixture
async def database(tmp_path):
    async with sopasync.Database(tmp_path / "database") as db:
        yield db


@pytest_asyncio.fixture
async def transaction(database):
    async with database.begin_transaction() as tx:
        yield tx


@pytest.mark.asyncio
async def test_a_database_in_a_yield_fixture(database):
    async with database.begin_transaction() as tx:
        await (await tx.new_btree("s")).add(1, "one")
    async with database.begin_transaction() as tx:
        assert await (await tx.open_btree("s")).get(1) == "one"


@pytest.mark.asyncio
async def test_a_transaction_in_a_yield_fixture(transaction):
    store = await transaction.new_btree("s")
    async with transaction.savepoint():
        await store.add(1, "one")
    assert [key async for key in store.keys()] == [1]
