"""A bank whose money lies in stores of every kind, for the tests of what they show together.

Each store holds one account: a row of a B-tree, a model with weights, a blob of several chunks, a vector's payload, a document's
words. Everything beside the amount follows from it, so that whoever reads one half of an old and one half of a
new state notices.

``python -m tests.bank FOLDER`` moves money until it is killed, and prints the number of each acknowledged move.
"""

from __future__ import annotations

import io
import random
import sys
from dataclasses import dataclass
from typing import Any

import anyio
import numpy as np

from sopasync import (
    BlobConfig,
    BlobStore,
    BtreeStore,
    Database,
    ModelStore,
    SearchConfig,
    SearchStore,
    Transaction,
    VectorConfig,
    VectorStore,
)

EACH = 1000
KINDS = ("row", "model", "blob", "vector", "document")
TOTAL = EACH * len(KINDS)
CHUNK_BYTES = 64 * 1024
FILLING_BYTES = 70_000
"""Of a model's weights, and of a blob: enough to lie outside the log."""


class LostMoneyError(AssertionError):
    """The stores do not agree."""


@dataclass
class Bank:
    """The stores, in one transaction."""

    rows: BtreeStore[str, int]
    models: ModelStore
    blobs: BlobStore
    vectors: VectorStore[Any, Any]
    documents: SearchStore

    @classmethod
    async def open(cls, tx: Transaction) -> Bank:
        """Open the stores, which are there."""
        return cls(
            await tx.open_btree("rows", key_type=str, value_type=int),
            await tx.open_model_store("models"),
            await tx.open_blob_store("blobs"),
            await tx.open_vector_store("vectors"),
            await tx.open_search("documents"),
        )

    async def moves(self) -> int:
        """How often money was moved."""
        return await self.rows.get("moves", 0)

    async def read(self, kind: str) -> int:
        """What one account holds; everything beside the amount must belong to it."""
        match kind:
            case "row":
                money = await self.rows.get("account", 0)
            case "model":
                model = await self.models.load("accounts", "account")
                money = model["money"]
                require(bool((model["filling"] == money % 251).all()), "weights of another commit")
            case "blob":
                data = await self.blobs.read("account")
                money = int(data[:10])
                require(data == blob_of(money), "chunks of another commit")
            case "vector":
                (hit,) = await self.vectors.query([1.0, 0.0], 2)
                money = hit.payload["money"]
                item = await self.vectors.get("account")
                require(
                    item is not None and item.vector.tolist() == [1.0, money], "a vector of another commit"
                )
            case _:
                document = await self.documents.get("account")
                assert document is not None
                money = document.payload["money"]
                hits = await self.documents.search(f"amount{money}")
                require([hit.doc_id for hit in hits] == ["account"], "words of another commit")
        return int(money)

    async def write(self, kind: str, money: int) -> None:
        """Let one account hold so much."""
        match kind:
            case "row":
                await self.rows.upsert("account", money)
            case "model":
                filling = np.full(FILLING_BYTES, money % 251, np.uint8)
                await self.models.save("accounts", "account", {"money": money, "filling": filling})
            case "blob":
                async with self.blobs.create("account", replace=True) as writer:
                    await writer.write(blob_of(money))
            case "vector":
                await self.vectors.upsert("account", [1.0, money], {"money": money})
            case _:
                await self.documents.update("account", f"amount{money}", payload={"money": money})

    async def audit(self) -> int:
        """Add up all accounts; returns how many moves there were."""
        amounts = {kind: await self.read(kind) for kind in KINDS}
        require(sum(amounts.values()) == TOTAL, f"{amounts} is not {TOTAL}")
        return await self.moves()


def require(holds: bool, what: str) -> None:
    """Notice."""
    if not holds:
        raise LostMoneyError(what)


def blob_of(money: int) -> bytes:
    """The content of an account that is a blob."""
    return b"%10d" % money + bytes([money % 251]) * FILLING_BYTES


async def found(tx: Transaction) -> None:
    """Make the bank."""
    await tx.new_btree("rows")
    await tx.open_model_store("models")
    await tx.open_blob_store("blobs", BlobConfig(chunk_bytes=CHUNK_BYTES))
    await tx.open_vector_store("vectors", VectorConfig(dimension=2, metric="l2"))
    documents = await tx.open_search("documents", SearchConfig())
    await documents.add("account", "new", payload={"money": 0})
    bank = await Bank.open(tx)
    for kind in KINDS:
        await bank.write(kind, EACH)


async def move(tx: Transaction, source: str, target: str, amount: int) -> int:
    """Move money between two accounts; returns the number of the move."""
    bank = await Bank.open(tx)
    if source != target:
        await bank.write(source, await bank.read(source) - amount)
        await bank.write(target, await bank.read(target) + amount)
    number = await bank.moves() + 1
    await bank.rows.upsert("moves", number)
    return number


async def work(folder: str) -> None:
    """Move money, upload, and break off, until killed."""
    generator = random.Random()

    async def clients(db: Database) -> None:
        while True:
            source, target = generator.choice(KINDS), generator.choice(KINDS)
            number = await db.run(move, source, target, generator.randrange(1, 50))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    async def uploads(db: Database) -> None:
        while True:
            data = generator.randbytes(5 * CHUNK_BYTES + 17)
            await db.upload_blob("blobs", "upload", io.BytesIO(data), replace=True)

    async def broken(db: Database) -> None:
        while True:
            tx = db.begin_transaction()
            tx.begin()
            async with (await tx.open_blob_store("blobs")).create("never", replace=True) as writer:
                await writer.write(generator.randbytes(4 * CHUNK_BYTES))
            tx.rollback()

    async with Database(folder) as db, anyio.create_task_group() as tasks:
        for client in (clients, clients, uploads, broken):
            tasks.start_soon(client, db)


if __name__ == "__main__":
    anyio.run(work, sys.argv[1])
