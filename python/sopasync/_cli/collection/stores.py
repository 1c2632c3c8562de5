"""The stores of a collection NAME, all changed in the same transactions.

NAME.text              search store: the texts, found by words as soon as they are committed
NAME.vectors           vector store: the vector of each text, by the same ids
sopasync.models        model store: "embedding"/NAME, what made those vectors
sopasync.collections   B-tree: under NAME the row that says which version of the embedding is in use
"""

# Annotations are evaluated here: msgspec makes a Collection of what is stored.
from collections.abc import Mapping
from typing import Final

import msgspec

import sopasync
from sopasync import BtreeOptions, SearchConfig

COLLECTIONS: Final = "sopasync.collections"
MODELS: Final = "sopasync.models"
EMBEDDING: Final = "embedding"
"""Category of the models."""

TEXT_SUFFIX: Final = ".text"
VECTORS_SUFFIX: Final = ".vectors"


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """The row of a collection."""

    fields: list[str]
    """Parts of a text, as the search store has them."""
    language: str
    """Whose stems and stop words; empty for none."""
    changes: int = 0
    """Texts added or replaced since the collection was made."""
    version: int = 0
    """Version of the embedding, as the model store counts; 0: there is none yet."""
    trained_changes: int = 0
    """What `changes` was when it was learned."""
    vectors: int = 0
    """Texts that have a vector."""
    metrics: dict[str, float] = {}
    """Of the embedding."""

    @property
    def is_up_to_date(self) -> bool:
        """Whether the embedding was learned from all texts there are."""
        return self.version > 0 and self.changes == self.trained_changes


def text_of(fields: Mapping[str, str | None]) -> str:
    """Return the text of a document that is embedded: its fields, one after the other."""
    return "\n".join(part for part in fields.values() if part)


async def open_texts(tx: sopasync.Transaction, name: str, collection: Collection) -> sopasync.SearchStore:
    """Open the search store of a collection, or make it."""
    config = SearchConfig(fields=collection.fields, language=collection.language or None)
    return await tx.open_search(name + TEXT_SUFFIX, config)


async def find_row(tx: sopasync.Transaction, name: str) -> Collection | None:
    """Return the row of a collection; None when there is none of that name."""
    if not any(store.name == COLLECTIONS for store in await tx.stores()):
        return None
    rows = await tx.open_btree(COLLECTIONS, key_type=str, value_type=Collection)
    return await rows.get(name)


async def put_row(tx: sopasync.Transaction, name: str, collection: Collection) -> None:
    """Write the row of a collection."""
    options = BtreeOptions(description="which version of its embedding each collection is at")
    rows = await tx.new_btree(COLLECTIONS, options, key_type=str, value_type=Collection)
    await rows.upsert(name, collection)
