"""Small trainings whose every version is seen at once: other definitions, another word in every text, other weights."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

import sopasync
from sopasync._cli.collection import Collection, find_row, learn, open_texts, put_row, text_of
from sopasync._cli.demo.corpus import Definition
from sopasync._cli.demo.texts import COLLECTION, FIELDS, LANGUAGE, Id, fields_of, id_of
from sopasync._cli.embedding import Fitted

POOL = 1_800
"""Definitions to choose from: few, so that a version takes a fraction of a second."""


class Version(msgspec.Struct, frozen=True):
    """What one version consists of."""

    number: int
    documents: dict[Id, dict[str, str]]

    @property
    def stamp(self) -> str:
        """The word that stands in every text of this version, and in no other."""
        return f"version{self.number}"

    @property
    def payload(self) -> dict[str, Any]:
        """What every text and vector of this version carries."""
        return {"version": self.number}


def version_of(pool: Sequence[Definition], number: int) -> Version:
    """Make the content of a version: two thirds of the definitions, each with the version in its name."""
    documents = {
        id_of(found): fields_of(found) | {"name": f"{found.name} version{number}"}
        for place, found in enumerate(pool)
        if (place + number) % 3
    }
    return Version(number, documents)


def pool_of(definitions: Sequence[Definition]) -> list[Definition]:
    """Choose definitions spread over all of them."""
    step = max(len(definitions) // POOL, 1)
    return list(definitions[::step][:POOL])


def save(pool: Sequence[Definition], path: Path) -> None:
    """Write definitions to a file that another process can read."""
    path.write_bytes(msgspec.msgpack.encode(list(pool)))


def load(path: Path) -> list[Definition]:
    """Read what `save` wrote."""
    return msgspec.msgpack.decode(path.read_bytes(), type=list[Definition])


async def train(version: Version) -> Fitted:
    """Learn the embedding of a version."""

    async def pages() -> AsyncIterator[list[str]]:
        yield [text_of(fields) for fields in version.documents.values()]

    return await learn(pages(), len(version.documents), LANGUAGE, seed=version.number, quiet=True)


async def write_texts(tx: sopasync.Transaction, version: Version, before: Version | None) -> Collection:
    """Index the texts of a version in place of those of the version before it; returns the row without its training."""
    row = await find_row(tx, COLLECTION) or Collection(fields=FIELDS, language=LANGUAGE)
    row = msgspec.structs.replace(row, changes=row.changes + len(version.documents))
    texts = await open_texts(tx, COLLECTION, row)
    if before is not None:
        await texts.delete_many(before.documents.keys() - version.documents.keys())
    await texts.add_many((id_, fields, version.payload) for id_, fields in version.documents.items())
    await put_row(tx, COLLECTION, row)
    return row
