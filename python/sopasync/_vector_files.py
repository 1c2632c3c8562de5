"""`.usearch` files: a vector store written as one, and one read into a vector store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ._core import read_usearch, write_usearch
from ._exceptions import InvalidArgumentError
from ._opening import on_thread

if TYPE_CHECKING:
    from ._vector import VectorStore

KEY_MAX = (1 << 64) - 2
"""The library keeps the last number for places that are free."""


async def export_usearch(store: VectorStore[Any, Any], path: str | os.PathLike[str]) -> int:
    """Write the vectors of a store, under their ids, with a graph; how many there were."""
    keys: list[int] = []
    rows = bytearray()
    async for item in store.items():
        if not isinstance(item.id, int) or isinstance(item.id, bool) or not 0 <= item.id <= KEY_MAX:
            raise InvalidArgumentError(
                f"store '{store.name}': id {item.id!r} is no whole number from 0 to 2**64 - 2, which is what "
                "a .usearch file has for ids"
            )
        keys.append(item.id)
        rows += item.vector.tobytes()
    target, options, data = os.fspath(path), store.config.to_bytes(), bytes(rows)
    await on_thread(lambda: write_usearch(target, options, keys, data))
    return len(keys)


async def import_usearch(store: VectorStore[Any, Any], path: str | os.PathLike[str]) -> int:
    """Upsert the vectors of a file under their keys; how many there were."""
    import numpy as np

    source = os.fspath(path)
    _, element, dimension, keys, data = await on_thread(lambda: read_usearch(source))
    config = store.config
    if (element, dimension) != (config.element, config.dimension):
        raise InvalidArgumentError(
            f"{source} has vectors of {dimension} x {element}, and store '{store.name}' of "
            f"{config.dimension} x {config.element}: open a store with such a config"
        )
    rows = np.frombuffer(data, dtype=config.numpy_type).reshape(len(keys), config.width)
    await store.upsert_many(keys, rows)
    return len(keys)
