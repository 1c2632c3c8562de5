"""Vector search: the docstrings of the standard library, found by meaning as far as shared word parts carry it.

The embeddings are made here, without a model: parts of words, hashed into 1024 places and weighed by how rare they
are. Put a model's embeddings in their place.
"""

from __future__ import annotations

import inspect
import math
import tempfile
import zlib
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import numpy as np
from numpy.typing import NDArray

import sopasync
from sopasync import VectorConfig, VectorItem, field

MODULES = "asyncio csv datetime hashlib heapq itertools json math os random re shutil sqlite3 statistics string zipfile"
DIMENSION = 1024


def documents() -> list[tuple[str, str, str]]:
    """Name, module and docstring of every public function and class."""
    found: dict[str, tuple[str, str, str]] = {}
    for module in MODULES.split():
        for name, value in inspect.getmembers(import_module(module)):
            text = inspect.getdoc(value) if callable(value) and not name.startswith("_") else None
            if text and len(text) > 30:
                found[f"{module}.{name}"] = (f"{module}.{name}", module, text)
    return list(found.values())


def grams(text: str) -> Counter[int]:
    """Places of the three- and four-letter parts of every word."""
    counts: Counter[int] = Counter()
    for word in text.lower().split():
        padded = f" {word.strip('.,:;()[]')} "
        for size in (3, 4):
            counts.update(
                zlib.crc32(padded[at : at + size].encode()) % DIMENSION
                for at in range(len(padded) - size + 1)
            )
    return counts


class Embedder:
    """Makes vectors of texts; rare parts count for more."""

    def __init__(self, texts: list[str]) -> None:
        seen = Counter(place for text in texts for place in grams(text))
        self._weights = np.array(
            [math.log((1 + len(texts)) / (1 + seen[place])) for place in range(DIMENSION)]
        )

    def __call__(self, text: str) -> NDArray[Any]:
        """The vector of a text."""
        vector = np.zeros(DIMENSION, dtype=np.float32)
        for place, count in grams(text).items():
            vector[place] = math.sqrt(count)
        weighed: NDArray[Any] = (vector * self._weights).astype(np.float32)
        return weighed


async def main(folder: Path) -> None:
    """Index the docstrings, search them, change some in the same transaction as a B-tree."""
    found = documents()
    embed = Embedder([text for _, _, text in found])

    async with sopasync.Database(folder / "library") as db:
        # Vectors and texts in one commit: either both stores have them or none.
        async with db.begin_transaction() as tx:
            vectors = await tx.open_vector_store("docstrings", VectorConfig(DIMENSION, metric="cosine"))
            texts = await tx.new_btree("texts")
            await vectors.upsert_many(
                [name for name, _, _ in found],
                np.stack([embed(text) for _, _, text in found]),
                {"module": [module for _, module, _ in found], "length": [len(text) for _, _, text in found]},
            )
            await texts.add([(name, text) for name, _, text in found])
            # Its own changes are seen inside, before the commit.
            inside = await vectors.query(embed("copy a file object"), k=1)
            assert inside[0].id == "shutil.copyfileobj"
        print(f"Indexed {len(found)} docstrings.")

        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            vectors = await tx.open_vector_store("docstrings")
            texts = await tx.open_btree("texts")
            for question, expected in [
                ("push an item onto the heap", "heapq.heappush"),
                ("compute the Euclidean distance between two points", "math.dist"),
                ("wait for a future with a timeout", "asyncio.wait_for"),
                ("escape special characters in a pattern", "re.escape"),
            ]:
                best = (await vectors.query(embed(question), k=5))[0]
                assert best.id == expected, (question, best)
                first_line = (await texts.get(best.id) or "").splitlines()[0]
                print(f"{question!r}: {best.id} ({best.score:.2f}) {first_line}")

            # The same question, in some modules only; as a dict and as an expression.
            chosen = embed("choose random elements from a sequence")
            as_dict = await vectors.query(chosen, k=3, filter={"module": {"$in": ["random", "itertools"]}})
            as_expression = await vectors.query(
                chosen, k=3, filter=field("module").isin(["random", "itertools"])
            )
            assert as_dict == as_expression
            modules = {hit.payload["module"] for hit in as_dict if hit.payload}
            assert modules <= {"random", "itertools"}
            print("In random and itertools:", ", ".join(hit.id for hit in as_dict))

        # A product catalogue is the same with other vectors: an item, a filter, a score.
        async with db.begin_transaction() as tx:
            products = await tx.open_vector_store("products", VectorConfig(dimension=3))
            await products.upsert(
                VectorItem(id="prod_101", vector=[0.1, 0.5, 0.9], payload={"name": "Laptop", "price": 999})
            )
            for hit in await products.query(vector=[0.1, 0.5, 0.8], k=5, filter={"name": "Laptop"}):
                print(f"Match: {hit.id}, Score: {hit.score:.4f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
