"""Bulk load: fill a store with many rows, in any order, in one commit; several times faster than transactions."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio

import sopasync

ROWS = 100_000


def readings(count: int) -> Iterator[tuple[int, float]]:
    """Yield rows in no order. A generator: they need not fit into memory together."""
    choice = random.Random(1)
    for number in choice.sample(range(10 * count), count):
        yield number, choice.gauss(20.0, 5.0)


async def main(folder: Path) -> None:
    """Load, then see that a load that fails leaves nothing behind."""
    async with sopasync.Database(folder / "sensors") as db:
        count = await db.bulk_load("readings", readings(ROWS), value_type=float)
        assert count == ROWS

        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            store = await tx.open_btree("readings", value_type=float)
            assert await store.count() == ROWS
            keys = [key async for key in store.keys(stop=1_000)]
            assert keys == sorted(keys), "the rows came in no order and are stored in the order of their keys"
        print(f"Loaded {count} rows; the first are {keys[:3]}.")

        def broken() -> Iterator[tuple[int, float]]:
            yield from readings(1_000)
            raise ConnectionError("the sensor has gone")

        try:
            await db.bulk_load("more", broken())
        except ConnectionError as error:
            print("Refused:", error)
        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            assert [store.name for store in await tx.stores()] == ["readings"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
