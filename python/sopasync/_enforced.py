"""Enforced relations of a store: which there are, and how they are made, filled and found.

An enforced relation is there when its index is: the options of a store say which ones it was made with, its indexes
which ones it has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ._btree_options import Relation
from ._core import create_index, has_made
from ._exceptions import (
    InvalidArgumentError,
    NotIndexableError,
    RelationError,
    StoreNotFoundError,
    UnsupportedError,
)
from ._indexes import IndexDescription, describe_indexes, place_of, shape_of
from ._kinds import Kind
from ._limits import BATCH_ITEMS_FIRST, BATCH_ITEMS_MAX, CONFLICT_KEYS_SHOWN
from ._pace import Pace
from ._schema import StoreSchema

if TYPE_CHECKING:
    from ._core import KeyCodec
    from ._core import Transaction as Native
    from ._index import StoreIndex


def relation_index(relation: Relation) -> str:
    """The name of the index that keeps an enforced relation."""
    return f"{', '.join(relation.source_fields)} -> {relation.target_store}"


def make_relation(
    native: Native, store: str, schema: StoreSchema, relation: Relation, *, to_fill: bool = False
) -> None:
    """Declare the index that keeps an enforced relation; `to_fill` leaves its entries to `fill_relation`."""
    target = native.find_store(relation.target_store)
    if target is None:
        raise StoreNotFoundError(
            f"store '{store}' refers to store '{relation.target_store}', which is not there: make that first, "
            "or leave out on_delete",
            store=relation.target_store,
        )
    if target.kind != Kind.BTREE:
        raise UnsupportedError(f"store '{target.name}' is no B-tree store, so no relation to it is enforced")
    target_schema = StoreSchema.from_bytes(target.name, target.options)
    fields = [place_of(store, schema, name) for name in _in_key_order(relation, target_schema)]
    create_index(
        native,
        store,
        relation_index(relation),
        fields,
        unique=False,
        key=shape_of(schema),
        reference=(target.name, shape_of(target_schema), relation.on_delete == "cascade"),
        to_fill=to_fill,
    )


def _in_key_order(relation: Relation, target: StoreSchema) -> list[str]:
    """The source fields in the order in which the target's key has the fields they are paired with."""
    if not target.unique:
        raise InvalidArgumentError(
            f"keys of store '{relation.target_store}' repeat, so no relation to them is enforced: leave out on_delete"
        )
    if target.fields is None:
        if len(relation.source_fields) == 1:
            return list(relation.source_fields)
        wanted = "one field"
    else:
        paired = dict(zip(relation.target_fields, relation.source_fields, strict=True))
        paired = {name.removeprefix("key."): source for name, source in paired.items()}
        names = [name for name, _ in target.fields]
        if sorted(paired) == sorted(names):
            return [paired[name] for name in names]
        wanted = ", ".join(names)
    raise InvalidArgumentError(
        f"an enforced relation refers to the whole key of store '{relation.target_store}', which is {wanted}; "
        f"it names {', '.join(relation.target_fields)}"
    )


def make_relations(native: Native, store: str, schema: StoreSchema, store_id: int) -> None:
    """Make the enforced relations of a store that this transaction has made."""
    wanted = [relation for relation in schema.relations if relation.on_delete is not None]
    if wanted and has_made(native, store_id):
        there = {index.name for index in describe_indexes(native, schema, store_id).values()}
        for relation in wanted:
            if relation_index(relation) not in there:
                make_relation(native, store, schema, relation)


def relations_of(native: Native, schema: StoreSchema, store_id: int) -> tuple[Relation, ...]:
    """The relations a store has: those it was made with, and those that were added and dropped since."""
    enforced = [index for index in describe_indexes(native, schema, store_id).values() if index.target_store]
    if not enforced and all(relation.on_delete is None for relation in schema.relations):
        return schema.relations
    found: list[Relation] = []
    for relation in schema.relations:
        index = next((index for index in enforced if _keeps(index, relation)), None)
        if index is None:
            found += [relation] if relation.on_delete is None else []
        elif index.on_delete == relation.on_delete:
            found.append(relation)
            enforced.remove(index)
    return (*found, *(_relation_of(native, index) for index in enforced))


def find_relation(indexes: Iterable[IndexDescription], wanted: Relation | str) -> IndexDescription | None:
    """The index that keeps a relation, given that or its name."""
    for index in indexes:
        found = index.name == wanted if isinstance(wanted, str) else _keeps(index, wanted)
        if found and index.target_store is not None:
            return index
    return None


def _keeps(index: IndexDescription, relation: Relation) -> bool:
    fields = {name for name, _ in index.fields}
    return index.target_store == relation.target_store and fields == set(relation.source_fields)


def _relation_of(native: Native, index: IndexDescription) -> Relation:
    assert index.target_store is not None, "it keeps a relation"
    target = native.find_store(index.target_store)
    fields = None if target is None else StoreSchema.from_bytes(target.name, target.options).fields
    names = ["key"] if fields is None else [name for name, _ in fields]
    return Relation([name for name, _ in index.fields], index.target_store, names, index.on_delete)


async def fill_relation(index: StoreIndex[Any, Any], target: KeyCodec) -> None:
    """Make the entries of what a store holds, and see that it may hold it.

    Raises:
        RelationError: Items refer to what is not there.
        NotIndexableError: Items have a field that cannot be part of an index.
    """
    pace = Pace(index.actor, BATCH_ITEMS_FIRST, BATCH_ITEMS_MAX)
    after: bytes | None = None
    refused: list[tuple[Any, Any, str]] = []
    async with index.turns.turn(index) as turn:
        while True:
            items = pace.items
            pace.begin()
            after, more = await turn.call(index.participant.fill, after, items, target)
            pace.end()
            refused += more
            if after is None or len(refused) > CONFLICT_KEYS_SHOWN:
                break
            await turn.pause_if_due(items)
    if refused:
        raise _not_kept(index, refused)


def _not_kept(index: StoreIndex[Any, Any], refused: list[tuple[Any, Any, str]]) -> Exception:
    description, store = index.description, index.actor.name
    key, target, reason = refused[0]
    if target is None:
        return NotIndexableError(
            f"relation '{description.name}' is not added to store '{store}': key {key!r}: {reason}",
            store=store,
            index_name=description.name,
        )
    refused = [one for one in refused if one[1] is not None]
    shown = ", ".join(f"key {key!r} to {target!r}" for key, target, _ in refused[:CONFLICT_KEYS_SHOWN])
    more = ", and more" if len(refused) > CONFLICT_KEYS_SHOWN else ""
    return RelationError(
        f"relation '{description.name}' is not added to store '{store}': items refer to what is not in store "
        f"'{description.target_store}': {shown}{more}. Add that, or change or remove them, first",
        store=store,
        key=key,
        index_name=description.name,
        other_store=description.target_store,
        other_key=target,
    )
