"""Joins, and what an index costs a load: customers and their orders, values packed as bytes. Sopasync alone.

Rows per second count rows of the join, each with both keys and both values as Python objects, read in pages: as
columns, as those of scans, and as lists of rows of items. The first join is also the first call after a large commit.
The orders' values are dicts, as the index reads a field of them; customers' are bytes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import sopasync
from benches.job import Job, Metrics
from sopasync import BtreeOptions, IndexFieldSpecification, IndexSpecification, Relation, SecondaryIndex

ROWS_PER_CALL = 1000
ORDERS_PER_CUSTOMER = 10
OF_CUSTOMER = Relation(["customer"], "customers", ["id"])


def relations(job: Job) -> Metrics:
    """Joined rows per second in four directions, and a put with one index against one without."""
    return asyncio.run(_relations(job))


async def _relations(job: Job) -> Metrics:
    metrics: Metrics = {}
    async with sopasync.Database(Path(job.folder)) as db:
        async with db.begin_transaction() as tx:
            await _fill(tx, job.rows, metrics)
        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            customers = await tx.open_btree("customers", value_type=bytes)
            orders = await tx.open_btree("orders")
            twins = await tx.open_btree("twins", value_type=bytes)
            pairs = await tx.open_btree("pairs", value_type=bytes)
            by_id = Relation(["key"], "twins", ["id"])
            joins: dict[str, Callable[[], sopasync.Join[Any, Any]]] = {
                "one_to_one": lambda: tx.join(customers, twins, relation=by_id),
                "many_to_one": lambda: tx.join(orders, customers),
                "one_to_many": lambda: tx.join(customers, orders),
                "many_to_many": lambda: tx.join(customers, twins, through=pairs),
            }
            for name, join in joins.items():
                metrics[f"{name}_per_s"] = await _columns_per_second(join())
                metrics[f"{name}_rows_per_s"] = await _pages_per_second(join())
    return metrics


async def _fill(tx: sopasync.Transaction, count: int, metrics: Metrics) -> None:
    chance = random.Random(1)
    customers = max(count // ORDERS_PER_CUSTOMER, 1)
    rows = [(key, b"%040d" % key) for key in range(customers)]
    for name in ("customers", "twins"):
        await (await tx.new_btree(name, value_type=bytes)).add(rows)
    orders = [(key, {"customer": chance.randrange(customers), "total": key}) for key in range(count)]
    indexed = BtreeOptions(relations=[OF_CUSTOMER], indexes=[SecondaryIndex("by_customer", ["customer"])])
    plain_us = await _put_us(await tx.new_btree("plain"), orders)
    indexed_us = await _put_us(await tx.new_btree("orders", indexed), orders)
    metrics["plain_put_us"], metrics["indexed_put_us"] = plain_us, indexed_us
    metrics["index_put_times"] = indexed_us / plain_us
    pairs = await tx.new_btree(
        "pairs",
        BtreeOptions(relations=[OF_CUSTOMER, Relation(["twin"], "twins", ["id"])]),
        index_spec=IndexSpecification([IndexFieldSpecification("customer"), IndexFieldSpecification("twin")]),
        value_type=bytes,
    )
    found = {(chance.randrange(customers), chance.randrange(customers)) for _ in range(count)}
    await pairs.add([({"customer": one, "twin": other}, b"") for one, other in sorted(found)])


async def _put_us(store: sopasync.BtreeStore[int, object], rows: list[tuple[int, object]]) -> float:
    begun = perf_counter()
    for start in range(0, len(rows), ROWS_PER_CALL):
        await store.add(rows[start : start + ROWS_PER_CALL])
    return (perf_counter() - begun) / len(rows) * 1e6


async def _columns_per_second(join: sopasync.Join[Any, Any]) -> float:
    rows = 0
    begun = perf_counter()
    async for columns in join.columns():
        rows += len(columns[0].keys)
    return rows / (perf_counter() - begun)


async def _pages_per_second(join: sopasync.Join[Any, Any]) -> float:
    rows = 0
    begun = perf_counter()
    async for page in join.pages():
        rows += len(page)
    return rows / (perf_counter() - begun)
