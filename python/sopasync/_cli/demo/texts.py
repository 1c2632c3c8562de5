"""The definitions as texts: what is found by words, what is embedded, and the ids and payloads they go by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio.to_thread

import sopasync
from sopasync._cli.collection import Collection, learn, open_texts, publish, text_of
from sopasync._cli.demo.corpus import Definition
from sopasync._cli.embedding import Fitted
from sopasync._cli.terminal import Progress

COLLECTION = "definitions"
FIELDS = ["name", "signature", "docstring"]
LANGUAGE = "english"
TEXTS_PER_PAGE = 250
"""Texts made at a time on the event loop's thread: about a millisecond's."""
TEXTS_PER_STEP = 4_096
"""Texts added between two reports of progress."""

Id = tuple[str, str, str]


def id_of(definition: Definition) -> Id:
    """Return the id of a definition: the key it has in the store of definitions."""
    return (definition.module, definition.kind, definition.qualified_name)


def fields_of(definition: Definition) -> dict[str, str]:
    """Return what can be found of a definition by words."""
    return {
        "name": f"{definition.module}.{definition.qualified_name}",
        "signature": definition.signature,
        "docstring": definition.docstring,
    }


def payload_of(definition: Definition) -> dict[str, Any]:
    """Return what filters ask about."""
    return {
        "kind": definition.kind,
        "module": definition.module,
        "line": definition.line,
        "is_test": definition.module.partition(".")[0] == "test",
    }


def _ids_and_payloads(definitions: Sequence[Definition]) -> tuple[list[Id], list[dict[str, Any]]]:
    return [id_of(found) for found in definitions], [payload_of(found) for found in definitions]


async def learn_definitions(definitions: Sequence[Definition]) -> Fitted:
    """Learn an embedding from all definitions."""

    async def pages() -> AsyncIterator[list[str]]:
        for start in range(0, len(definitions), TEXTS_PER_PAGE):
            yield [text_of(fields_of(found)) for found in definitions[start : start + TEXTS_PER_PAGE]]

    return await learn(pages(), len(definitions), LANGUAGE)


async def write_everything(
    tx: sopasync.Transaction, definitions: Sequence[Definition], fitted: Fitted
) -> Collection:
    """Index all texts, write all vectors, save the embedding, raise the version: one transaction."""
    collection = Collection(fields=FIELDS, language=LANGUAGE, changes=len(definitions))
    texts = await open_texts(tx, COLLECTION, collection)
    ids, payloads = await anyio.to_thread.run_sync(_ids_and_payloads, definitions)
    with Progress("texts", len(ids), "texts") as progress:
        for start in range(0, len(ids), TEXTS_PER_STEP):
            step = slice(start, start + TEXTS_PER_STEP)
            fields = map(fields_of, definitions[step])
            await texts.add_many(zip(ids[step], fields, payloads[step], strict=True))
            progress.update(min(start + TEXTS_PER_STEP, len(ids)))
    with Progress("vectors", len(ids), "vectors") as progress:
        return await publish(tx, COLLECTION, collection, ids, payloads, fitted, on_progress=progress.update)
