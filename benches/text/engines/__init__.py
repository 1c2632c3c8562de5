"""The engines that are measured, by short name. An adapter is imported only when its engine is measured."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from .interface import Engine

OURS = "sopasync"

_PLACES = {
    OURS: ("ours", "Sopasync"),
    "tantivy": ("tantivy_engine", "Tantivy"),
    "fts5": ("fts5", "Fts5"),
    "lancedb": ("lance", "Lance"),
}

ENGINES = tuple(_PLACES)
LABELS = {OURS: "sopasync", "tantivy": "tantivy-py", "fts5": "SQLite FTS5", "lancedb": "LanceDB"}


def engine(name: str, folder: Path) -> Engine:
    """Make the engine of that short name; ImportError when its package is not there."""
    module, class_name = _PLACES[name]
    made: Engine = getattr(import_module(f".{module}", __name__), class_name)(folder)
    return made
