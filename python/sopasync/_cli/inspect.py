"""The `inspect` command: what stores there are, or one store more closely."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import anyio

import sopasync
from sopasync._cli import arguments
from sopasync._cli.display import as_json
from sopasync._cli.failure import DONE
from sopasync._cli.opening import existing_database
from sopasync._cli.terminal import table

if TYPE_CHECKING:
    from sopasync._cli.arguments import Subparsers

SAMPLE_CHARS_MAX = 100

EXAMPLES = """\
  sopasync inspect                  every store: items, keys, description
  sopasync inspect employees        one store: its options, its first and last item"""


def add_to(commands: Subparsers) -> None:
    """Add the command to the parser."""
    parser = arguments.command(
        commands,
        "inspect",
        summary="show what stores there are, or one store more closely",
        description="Show the stores of a database, or the options and the ends of one of them.",
        examples=EXAMPLES,
    )
    parser.add_argument("store", metavar="STORE", nargs="?", help="look at this store only")
    arguments.add_database(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Show the stores, or the store."""
    anyio.run(_inspect, parsed)
    return DONE


async def _inspect(parsed: argparse.Namespace) -> None:
    async with (
        existing_database(parsed.db) as db,
        db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx,
    ):
        if parsed.store is None:
            await _all_stores(tx)
        else:
            await _one_store_of_any_kind(tx, parsed.store)


async def _all_stores(tx: sopasync.Transaction) -> None:
    rows: list[tuple[str, str, str, str]] = []
    for description in await tx.stores():
        if description.kind == "vector":
            vectors = await tx.open_vector_store(description.name)
            rows.append((description.name, f"{await vectors.count():,}", _space(vectors), description.text))
            continue
        if description.kind == "search":
            texts = await tx.open_search(description.name)
            fields = f"search: {', '.join(texts.fields)}"
            rows.append((description.name, f"{await texts.count():,}", fields, description.text))
            continue
        if description.kind != "btree":
            rows.append((description.name, "", description.kind, description.text))
            continue
        store = await tx.open_btree(description.name)
        rows.append((description.name, f"{await store.count():,}", _keys(description), description.text))
    if rows:
        print(table(sorted(rows), heading=("store", "items", "keys", "description"), right=(1,)))
    else:
        print("no stores yet")


async def _one_store_of_any_kind(tx: sopasync.Transaction, name: str) -> None:
    kind = (await tx.describe(name)).kind
    if kind == "vector":
        await _vector_store(await tx.open_vector_store(name))
    elif kind == "search":
        await _search_store(await tx.open_search(name))
    else:
        await _one_store(await tx.open_btree(name))


async def _vector_store(store: sopasync.VectorStore[Any, Any]) -> None:
    config = store.config
    facts = [
        ("store", store.name),
        ("kind", "vector"),
        ("vectors", f"{await store.count():,}"),
        ("space", f"{config.dimension} x {config.element}, {config.metric}"),
        ("index", f"{config.index}, {config.links} links, ef {config.ef}, codes {config.codes}"),
    ]
    async for item in store.items():
        facts.append(("first id", as_json(item.id)))
        facts.append(("first payload", _shortened(as_json(item.payload))))
        break
    _print_facts(facts)


async def _search_store(store: sopasync.SearchStore) -> None:
    statistics = await store.statistics()
    schema = store.actor.schema
    facts = [("store", store.name), ("kind", "search"), ("documents", f"{statistics.documents:,}")]
    for name, boost, analyzer in schema.fields:
        language = f", {analyzer['language']}" if analyzer["language"] else ""
        facts.append(("field", f"{name}, boost {boost:g}, {analyzer['kind']}{language}"))
    facts += [
        ("k1, b", f"{schema.k1:g}, {schema.b:g}"),
        ("texts kept", "yes" if schema.stored else "no"),
        ("to be merged", f"{statistics.unmerged:,} in {statistics.deltas:,} rows"),
    ]
    if schema.description:
        facts.append(("description", schema.description))
    _print_facts(facts)


def _print_facts(facts: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        print(f"{name:<{width}}  {value}")


def _space(store: sopasync.VectorStore[Any, Any]) -> str:
    return f"vector: {store.config.dimension} x {store.config.element}, {store.config.metric}"


async def _one_store(store: sopasync.BtreeStore[Any, Any]) -> None:
    description = store.description
    facts = [
        ("store", store.name),
        ("items", f"{await store.count():,}"),
        ("keys", _keys(description)),
        ("value size", description.value_size.value),
    ]
    if description.text:
        facts.append(("description", description.text))
    facts += [("relation", _relation(relation)) for relation in description.relations]
    for index in store.indexes():
        facts.append(("index", f"{index.name}: {await _index(store, index)}"))
    for end, reverse in (("first", False), ("last", True)):
        async for item in store.items(reverse=reverse):
            facts.append((f"{end} key", as_json(item.key)))
            facts.append((f"{end} value", _shortened(as_json(item.value))))
            break
    _print_facts(facts)


def _relation(relation: sopasync.Relation) -> str:
    enforced = f", enforced: on delete {relation.on_delete}" if relation.on_delete else ""
    source, target = ", ".join(relation.source_fields), ", ".join(relation.target_fields)
    return f"{source} -> {relation.target_store} ({target}){enforced}"


async def _index(store: sopasync.BtreeStore[Any, Any], index: sopasync.IndexDescription) -> str:
    fields = ", ".join(name + ("" if ascending else " descending") for name, ascending in index.fields)
    state = await store.index(index.name).state()
    if state.stage == "ready":
        stage = f"{await store.index(index.name).count():,} entries"
    elif state.stage == "building":
        stage = f"being built, {state.done:,} items done"
    else:
        stage = f"cannot be built: key {as_json(state.key)}: {state.reason}"
    return f"{'unique, ' if index.unique else ''}by {fields}; {stage}"


def _keys(description: sopasync.StoreDescription) -> str:
    kind = "" if description.is_unique else ", not unique"
    if description.index_fields is None:
        return f"single values{kind}"
    fields = [name + ("" if ascending else " descending") for name, ascending in description.index_fields]
    return f"by {', '.join(fields)}{kind}"


def _shortened(text: str) -> str:
    return text if len(text) <= SAMPLE_CHARS_MAX else f"{text[: SAMPLE_CHARS_MAX - 3]}..."
