"""Ride-on metadata: fields of the key that are not in the index, read and changed without touching the value."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

import sopasync
from sopasync import BtreeOptions, IndexFieldSpecification, IndexSpecification, PagingInfo, ValueDataSize


@dataclass
class DocKey:
    """Only `doc_id` is in the index; the other fields ride along."""

    doc_id: int
    is_deleted: bool = False
    timestamp: int = 0


async def main(folder: Path) -> None:
    """List documents by their keys alone, and mark one as deleted by its key alone."""
    now = int(time.time())
    async with sopasync.Database(folder / "documents") as db:
        async with db.begin_transaction() as tx:
            options = BtreeOptions(is_unique=True)
            options.set_value_data_size(ValueDataSize.Big)
            store = await tx.new_btree(
                "documents",
                options=options,
                index_spec=IndexSpecification(index_fields=(IndexFieldSpecification("doc_id"),)),
                key_type=DocKey,
                value_type=str,
            )
            await store.add(DocKey(100, timestamp=now), "Large content A. " * 10_000)
            await store.add(DocKey(101, is_deleted=True, timestamp=now), "Large content B. " * 10_000)

        async with db.begin_transaction() as tx:
            store = await tx.open_btree("documents", key_type=DocKey, value_type=str)

            # get_keys reads the keys only; the values stay on the disk.
            keys = [item.key for item in await store.get_keys(PagingInfo(page_size=100))]
            for key in keys:
                print(f"Doc {key.doc_id}: {'[DELETED]' if key.is_deleted else '[ACTIVE]'}")
            assert [(key.doc_id, key.is_deleted) for key in keys] == [(100, False), (101, True)]

            # A soft delete: the key's metadata changes, the value is neither read nor written.
            assert await store.update_key(replace(keys[0], is_deleted=True))

        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            store = await tx.open_btree("documents", key_type=DocKey, value_type=str)
            assert [key.is_deleted async for key in store.keys()] == [True, True]
            value = await store.get(DocKey(100))  # found by doc_id alone
            assert value is not None
            assert value.startswith("Large content A")
            print("Doc 100 is marked as deleted; its value is as it was.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
