"""Collections: texts that are searched by words, by meaning, and by both, and the stores that takes."""

from __future__ import annotations

from sopasync._cli.collection.answers import Answer, OpenCollection, ask, find_collection
from sopasync._cli.collection.learning import learn
from sopasync._cli.collection.publishing import publish, publish_model, publish_vectors
from sopasync._cli.collection.stores import Collection, find_row, open_texts, put_row, text_of

__all__ = (
    "Answer",
    "Collection",
    "OpenCollection",
    "ask",
    "find_collection",
    "find_row",
    "learn",
    "open_texts",
    "publish",
    "publish_model",
    "publish_vectors",
    "put_row",
    "text_of",
)
