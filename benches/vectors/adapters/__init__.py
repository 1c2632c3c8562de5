"""The stores that are measured, by short name. An adapter is imported only when its store is measured."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from .interface import Unsupported, VectorIndex

OURS = "sopasync"

_PLACES = {
    OURS: ("sopasync_vectors", "SopasyncVectors"),
    "hnswlib": ("hnswlib_index", "HnswlibIndex"),
    "faiss": ("faiss_index", "FaissIndex"),
    "usearch": ("usearch_index", "UsearchIndex"),
    "lancedb": ("lancedb_table", "LancedbTable"),
}

STORES = tuple(_PLACES)
PEERS = tuple(name for name in STORES if name != OURS)
LABELS = {
    OURS: "sopasync",
    "hnswlib": "hnswlib",
    "faiss": "faiss",
    "usearch": "usearch",
    "lancedb": "LanceDB",
}

__all__ = ["LABELS", "OURS", "PEERS", "STORES", "Unsupported", "VectorIndex", "index"]


def index(name: str, folder: Path, metric: str, dimension: int) -> VectorIndex:
    """Make the store of that short name, empty; ImportError when its package is not there."""
    module, class_name = _PLACES[name]
    made: VectorIndex = getattr(import_module(f".{module}", __name__), class_name)(folder, metric, dimension)
    return made
