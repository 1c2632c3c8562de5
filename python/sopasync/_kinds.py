"""`Kind`: what kinds of stores there are, and by which calls they are opened."""

from __future__ import annotations

import enum


class Kind(enum.IntEnum):
    """The number by which the catalogue knows a kind of store."""

    BTREE = 1
    VECTOR = 2
    SEARCH = 3
    MODEL = 4
    BLOB = 5

    @property
    def label(self) -> str:
        """What a store of this kind is called in messages."""
        return _LABELS[self]

    @property
    def opened_by(self) -> str:
        """The method of `Transaction` that opens one."""
        return _OPENED_BY[self]


_LABELS = {
    Kind.BTREE: "B-tree store",
    Kind.VECTOR: "vector store",
    Kind.SEARCH: "search store",
    Kind.MODEL: "model store",
    Kind.BLOB: "blob store",
}

_OPENED_BY = {
    Kind.BTREE: "open_btree()",
    Kind.VECTOR: "open_vector_store()",
    Kind.SEARCH: "open_search()",
    Kind.MODEL: "open_model_store()",
    Kind.BLOB: "open_blob_store()",
}


def label_of(kind: int) -> str:
    """What a store with this number in the catalogue is, also when a newer version made it."""
    return Kind(kind).label if kind in _LABELS else f"store of kind {kind}, which this version does not know"
