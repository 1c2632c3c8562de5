"""The indexes of a B-tree store: where their fields are, making, dropping and describing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ._btree_options import OnDelete, SecondaryIndex
from ._core import create_index, drop_index, has_made, list_indexes
from ._exceptions import (
    IndexNotFoundError,
    InvalidArgumentError,
    StoreError,
    StoreExistsError,
)
from ._schema import StoreSchema

if TYPE_CHECKING:
    from ._core import Transaction as Native

FieldPlace = tuple[int, str, int, bool]
"""As the engine takes it: 0 of the value, 1 of the key or 2 rides along; path; position in the key; ascending."""

KeyShape = tuple[bool, list[bool] | None]
"""As the engine takes it: unique, and the directions of the fields of record keys."""

IndexStage = Literal["ready", "building", "failed"]


@dataclass(frozen=True, slots=True)
class IndexState:
    """How complete an index is."""

    stage: IndexStage
    """``"ready"``, ``"building"`` or ``"failed"``."""
    done: int = 0
    """Items taken in so far, while it is being built."""
    key: object = None
    """The key where building failed."""
    reason: str | None = None
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class IndexDescription:
    """What the catalogue says about an index."""

    name: str
    fields: tuple[tuple[str, bool], ...]
    """Name, and whether ascending, of each field."""
    unique: bool
    target_store: str | None = None
    """The store to which its fields refer, where a relation is enforced."""
    on_delete: OnDelete | None = None


def place_of(store: str, schema: StoreSchema, name: str) -> FieldPlace:
    """Where a field is, ascending."""
    if schema.fields is None:
        if name == "key":
            return 1, "", 0, True
        if name.startswith("key."):
            raise InvalidArgumentError(
                f"field '{name}': store '{store}' has single keys; the key itself is called 'key'"
            )
        return 0, name, 0, True
    names = [field for field, _ in schema.fields]
    of_key = name.removeprefix("key.")
    if of_key in names:
        return 1, "", names.index(of_key), True
    return (2, of_key, 0, True) if of_key != name else (0, name, 0, True)


def shape_of(schema: StoreSchema) -> KeyShape:
    """How the keys of a store are laid out."""
    return schema.unique, None if schema.fields is None else [ascending for _, ascending in schema.fields]


def name_of(schema: StoreSchema, place: FieldPlace) -> str:
    """The name of a field, given where it is."""
    code, path, position, _ = place
    if code == 1:
        return "key" if schema.fields is None else schema.fields[position][0]
    return f"key.{path}" if code == 2 else path


def make_index(native: Native, store: str, schema: StoreSchema, index: SecondaryIndex) -> None:
    """Declare an index."""
    fields = [(*place_of(store, schema, name)[:3], up) for name, up in index.ordered_fields]
    try:
        create_index(native, store, index.name, fields, unique=index.unique, key=shape_of(schema))
    except (InvalidArgumentError, StoreError) as error:
        raise _naming(error, store, index.name) from error.__cause__


def remove_index(native: Native, store: str, store_id: int, name: str) -> None:
    """Drop an index."""
    for _, (found, _, _, reference) in list_indexes(native, store_id):
        if found == name and reference is not None:
            raise InvalidArgumentError(
                f"index '{name}' of store '{store}' keeps an enforced relation: drop that with tx.drop_relation()"
            )
    if not drop_index(native, store_id, name):
        raise index_missing(store, name, native, store_id)


def index_missing(store: str, name: str, native: Native, store_id: int) -> IndexNotFoundError:
    """The store has no such index."""
    names = [found for _, (found, *_) in list_indexes(native, store_id)]
    there = f"it has {', '.join(names)}" if names else "it has none"
    return IndexNotFoundError(
        f"store '{store}' has no index '{name}': {there}. Make one with tx.create_index()",
        store=store,
        index_name=name,
    )


def describe_indexes(native: Native, schema: StoreSchema, store_id: int) -> dict[int, IndexDescription]:
    """The indexes of a store, by the numbers of their own stores."""
    found: dict[int, IndexDescription] = {}
    for index_id, (name, unique, places, reference) in list_indexes(native, store_id):
        fields = tuple((name_of(schema, place), place[3]) for place in places)
        if reference is None:
            found[index_id] = IndexDescription(name, fields, unique)
        else:
            target, _, cascade = reference
            found[index_id] = IndexDescription(
                name, fields, unique, target, "cascade" if cascade else "restrict"
            )
    return found


def make_or_compare(
    native: Native, store: str, schema: StoreSchema, store_id: int, indexes: list[SecondaryIndex]
) -> None:
    """Make the indexes of a store this transaction has made; of another one, see that it has them."""
    if not indexes:
        return
    there = {index.name: index for index in describe_indexes(native, schema, store_id).values()}
    made_here = has_made(native, store_id)
    for index in indexes:
        found = there.get(index.name)
        wanted = tuple(
            (name_of(schema, place_of(store, schema, name)), up) for name, up in index.ordered_fields
        )
        if found is None and made_here:
            make_index(native, store, schema, index)
        elif found is None or (found.fields, found.unique) != (wanted, index.unique):
            otherwise = "it has no such index" if found is None else f"that is {_shown(found)}"
            raise StoreExistsError(
                f"store '{store}' exists already, otherwise than asked for: index '{index.name}' was asked for, and "
                f"{otherwise}. Change it with tx.create_index() and tx.drop_index(), or leave it out",
                store=store,
            )


def _shown(index: IndexDescription) -> str:
    fields = ", ".join(name + ("" if up else " descending") for name, up in index.fields)
    return f"{'unique, ' if index.unique else ''}by {fields}"


def _naming(error: InvalidArgumentError | StoreError, store: str, index: str) -> Exception:
    if isinstance(error, StoreError) and error.store is None:
        error.store = store
        error.message = f"store '{store}', index '{index}': {error.message}"
    return error
