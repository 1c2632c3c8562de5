"""Queries on what was ingested, each compared with the parsed sources, and how fast they are answered."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import NamedTuple

import sopasync
from sopasync._cli.demo.batches import DefinitionKey, DefinitionText, definition_key
from sopasync._cli.demo.corpus import Definition, Module
from sopasync._cli.failure import CommandError

POINT_QUERIES = 20_000
TRANSACTION_QUERIES = 2_000
PREFIX = "get_"


class Answer(NamedTuple):
    """One query, what came back, how long it took."""

    question: str
    found: int
    unit: str
    elapsed_s: float


async def check_queries(
    db: sopasync.Database, modules: Sequence[Module], choices: random.Random
) -> list[Answer]:
    """Run every query; raises `CommandError` at the first wrong answer."""
    everything = [definition for module in modules for definition in module.definitions]
    chosen = choices.choices(everything, k=POINT_QUERIES)
    answers: list[Answer] = []
    async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
        answers.append(await _points(tx, chosen))
        answers.append(await _names(tx, everything))
        answers.append(await _leading_fields(tx, everything))
        answers.append(await _importers(tx, modules))
        answers.append(await _keys_only(tx, everything))
        answers.append(await _typed_scan(tx, everything))
    answers.insert(1, await _transactions(db, chosen[:TRANSACTION_QUERIES]))
    return answers


def _expect(question: str, found: object, expected: object) -> None:
    if found != expected:
        raise CommandError(f"{question}: the answer differs from the sources")


async def _points(tx: sopasync.Transaction, chosen: Sequence[Definition]) -> Answer:
    store = await tx.open_btree("definitions", key_type=DefinitionKey, value_type=DefinitionText)
    keys = [definition_key(definition) for definition in chosen]
    began_s = time.perf_counter()
    found = [await store.get(key) for key in keys]
    elapsed_s = time.perf_counter() - began_s
    expected = [DefinitionText(wanted.signature, wanted.docstring, wanted.file) for wanted in chosen]
    _expect("point query", found, expected)
    return Answer("definition by its record key", len(found), "gets", elapsed_s)


async def _transactions(db: sopasync.Database, chosen: Sequence[Definition]) -> Answer:
    began_s = time.perf_counter()
    for wanted in chosen:
        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            store = await tx.open_btree("definitions", key_type=DefinitionKey, value_type=DefinitionText)
            found = await store.get(definition_key(wanted))
            _expect("query in a transaction of its own", found and found.file, wanted.file)
    elapsed_s = time.perf_counter() - began_s
    return Answer("the same, each in its own transaction", len(chosen), "gets", elapsed_s)


async def _names(tx: sopasync.Transaction, everything: Sequence[Definition]) -> Answer:
    store = await tx.open_btree("names")
    began_s = time.perf_counter()
    found = [(name, tuple(place)) async for name, place in store.items(prefix=PREFIX)]
    elapsed_s = time.perf_counter() - began_s
    expected = [
        (wanted.name, (wanted.module, wanted.kind, wanted.qualified_name))
        for wanted in everything
        if wanted.name.startswith(PREFIX)
    ]
    _expect("prefix query", sorted(found), sorted(expected))
    return Answer(f"names that begin with {PREFIX}", len(found), "rows", elapsed_s)


async def _leading_fields(tx: sopasync.Transaction, everything: Sequence[Definition]) -> Answer:
    store = await tx.open_btree("definitions", key_type=DefinitionKey, value_type=DefinitionText)
    first, last = {"module": "asyncio"}, {"module": "asyncio.zz"}
    began_s = time.perf_counter()
    found = [key async for key, _ in store.items(start=first, stop=last)]
    elapsed_s = time.perf_counter() - began_s
    expected = [definition_key(wanted) for wanted in everything if "asyncio" <= wanted.module < "asyncio.zz"]
    expected.sort(key=lambda key: (key.module, key.kind, key.qualified_name))
    _expect("range query", found, expected)
    return Answer("range on the leading field: asyncio.*", len(found), "rows", elapsed_s)


async def _importers(tx: sopasync.Transaction, modules: Sequence[Module]) -> Answer:
    store = await tx.open_btree("imports")
    began_s = time.perf_counter()
    found = [importer async for _, importer in store.keys(prefix=("os",))]
    elapsed_s = time.perf_counter() - began_s
    _expect("tuple prefix query", found, sorted(module.name for module in modules if "os" in module.imports))
    return Answer("who imports os: tuple prefix, keys only", len(found), "rows", elapsed_s)


async def _keys_only(tx: sopasync.Transaction, everything: Sequence[Definition]) -> Answer:
    store = await tx.open_btree("definitions", key_type=DefinitionKey, value_type=DefinitionText)
    found: list[DefinitionKey] = []
    began_s = time.perf_counter()
    async for page in store.keys().pages(1000):
        found += page
    elapsed_s = time.perf_counter() - began_s
    _expect("scan of the keys", sorted(map(repr, found)), sorted(repr(definition_key(d)) for d in everything))
    return Answer("every key, in pages, no value read", len(found), "keys", elapsed_s)


async def _typed_scan(tx: sopasync.Transaction, everything: Sequence[Definition]) -> Answer:
    store = await tx.open_btree("definitions", key_type=DefinitionKey, value_type=DefinitionText)
    characters = 0
    count = 0
    began_s = time.perf_counter()
    async for page in store.values().pages(1000):
        count += len(page)
        for text in page:
            characters += len(text.docstring)
    elapsed_s = time.perf_counter() - began_s
    _expect(
        "scan of the values",
        (count, characters),
        (len(everything), sum(len(d.docstring) for d in everything)),
    )
    return Answer("every value, typed, in pages", count, "rows", elapsed_s)
