"""What the demonstration writes: its stores, and batches of definitions that fill all of them in one commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

import sopasync
from sopasync import BtreeOptions, IndexFieldSpecification, IndexSpecification
from sopasync._cli.demo.corpus import Definition, Module

DEFINITIONS_PER_BATCH = 16
STORES = {"definitions", "names", "modules", "imports", "counters", "batches"}


class DefinitionKey(msgspec.Struct, frozen=True):
    """Module, kind and name order the definitions; the line rides along with the key."""

    module: str
    kind: str
    qualified_name: str
    line: int = 0


class DefinitionText(msgspec.Struct, frozen=True):
    """What is stored under a definition's key."""

    signature: str
    docstring: str
    file: str


class ModuleFacts(msgspec.Struct, frozen=True):
    """What is stored for a module."""

    file: str
    lines: int
    definitions: int
    imports: int


class BatchRecord(msgspec.Struct, frozen=True):
    """Says that a batch is there, written in the same commit as its rows."""

    module: str
    definitions: int


class Batch(msgspec.Struct, frozen=True):
    """The work of one transaction: some definitions of one module, the first time with the module itself."""

    number: int
    module: str
    definitions: list[Definition]
    facts: ModuleFacts | None
    imports: list[str]

    @property
    def counts(self) -> Counter[str]:
        """What this batch adds to the counters."""
        counts = Counter(definition.kind for definition in self.definitions)
        counts["definitions"] = len(self.definitions)
        if self.imports:
            counts["imports"] = len(self.imports)
        return counts

    @property
    def rows(self) -> int:
        """Rows written into all stores, counters not counted."""
        return 2 * len(self.definitions) + len(self.imports) + (self.facts is not None) + 1


def batches(modules: Iterable[Module]) -> Iterator[Batch]:
    """Cut modules into batches, numbered from 0."""
    number = 0
    for module in modules:
        facts = ModuleFacts(module.file, module.lines, len(module.definitions), len(module.imports))
        for start in range(0, len(module.definitions), DEFINITIONS_PER_BATCH):
            part = module.definitions[start : start + DEFINITIONS_PER_BATCH]
            first = start == 0
            yield Batch(number, module.name, part, facts if first else None, module.imports if first else [])
            number += 1


def save(found: Iterable[Batch], path: Path) -> None:
    """Write batches to a file that another process can read."""
    path.write_bytes(msgspec.msgpack.encode(list(found)))


def load(path: Path) -> list[Batch]:
    """Read what `save` wrote."""
    return msgspec.msgpack.decode(path.read_bytes(), type=list[Batch])


def definition_key(definition: Definition) -> DefinitionKey:
    """Return the key under which a definition is stored."""
    return DefinitionKey(definition.module, definition.kind, definition.qualified_name, definition.line)


async def make_stores(tx: sopasync.Transaction) -> None:
    """Make the six stores."""
    order = IndexSpecification(
        [IndexFieldSpecification(name) for name in ("module", "kind", "qualified_name")]
    )
    await tx.new_btree("definitions", index_spec=order, key_type=DefinitionKey, value_type=DefinitionText)
    await tx.new_btree("names", options=BtreeOptions(is_unique=False, description="identities by name"))
    await tx.new_btree("modules", value_type=ModuleFacts)
    await tx.new_btree("imports", options=BtreeOptions(description="(imported, importer)"))
    await tx.new_btree("counters", value_type=int)
    await tx.new_btree("batches", value_type=BatchRecord)


async def write(tx: sopasync.Transaction, batch: Batch) -> None:
    """Write one batch into all stores; its transaction makes it one change."""
    definitions = await tx.open_btree("definitions", key_type=DefinitionKey, value_type=DefinitionText)
    names: sopasync.BtreeStore[str, Any] = await tx.open_btree("names")
    counters = await tx.open_btree("counters", value_type=int)
    records = await tx.open_btree("batches", value_type=BatchRecord)
    await definitions.add(
        [
            (definition_key(found), DefinitionText(found.signature, found.docstring, found.file))
            for found in batch.definitions
        ]
    )
    await names.add(
        [(found.name, (found.module, found.kind, found.qualified_name)) for found in batch.definitions]
    )
    if batch.facts is not None:
        modules = await tx.open_btree("modules", value_type=ModuleFacts)
        await modules.add(batch.module, batch.facts)
    if batch.imports:
        imports: sopasync.BtreeStore[tuple[str, str], Any] = await tx.open_btree("imports")
        await imports.add([((imported, batch.module), None) for imported in batch.imports])
    for name, count in batch.counts.items():
        # Added when the commit is sequenced: sixty-four tasks count in one place without a conflict.
        await counters.increment(name, count)
    await records.add(batch.number, BatchRecord(batch.module, len(batch.definitions)))
