"""How a B-tree store is made: uniqueness, order of record keys, size of values, relations."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ._exceptions import InvalidArgumentError


class ValueDataSize(enum.Enum):
    """How large values are expected to be. Kept with the store; where a value goes is decided by its size."""

    AUTOMATIC = "automatic"
    SMALL = "small"
    MEDIUM = "medium"
    BIG = "big"
    Small = SMALL
    Medium = MEDIUM
    Big = BIG


@dataclass(frozen=True, slots=True)
class IndexFieldSpecification:
    """One field of a record key that takes part in its order."""

    field_name: str
    ascending_sort_order: bool = True


@dataclass(frozen=True, slots=True)
class IndexSpecification:
    """Which fields of a record key decide order and uniqueness, the first one first.

    Fields that are not listed ride along: they are stored with the key, are read without touching
    the value, and can be changed in place.
    """

    index_fields: Sequence[IndexFieldSpecification]

    def __post_init__(self) -> None:
        fields = tuple(self.index_fields)
        if not fields:
            raise InvalidArgumentError("an IndexSpecification needs at least one field")
        names = [field.field_name for field in fields]
        if len(set(names)) != len(names):
            raise InvalidArgumentError(f"an IndexSpecification names each field once; got {names}")
        object.__setattr__(self, "index_fields", fields)


@dataclass(frozen=True, slots=True)
class SecondaryIndex:
    """Another order of a store's items, by fields of their values, kept in the same commit.

    Fields are names, joined by dots into nested values (``address.city``), or `IndexFieldSpecification` for
    descending ones. The name of a field of record keys is that field; ``key.<name>`` is one that rides along, and
    ``key`` a single key. An item that lacks a field has no entry; ``None`` is a value like others.

    Args:
        name: Name of the index, unique within its store.
        fields: What it is ordered by, the first field first.
        unique: Whether one combination of the fields can be there once only.
    """

    name: str
    fields: Sequence[str | IndexFieldSpecification]
    unique: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.fields, str):
            raise InvalidArgumentError(f"fields of an index are a list: give [{self.fields!r}]")
        fields = tuple(self.fields)
        if not self.name or not fields:
            raise InvalidArgumentError(
                f"a SecondaryIndex has a name and at least one field; got {self.name!r} and {list(fields)}"
            )
        object.__setattr__(self, "fields", fields)

    @property
    def ordered_fields(self) -> tuple[tuple[str, bool], ...]:
        """Name, and whether ascending, of each field."""
        return tuple(
            (field, True) if isinstance(field, str) else (field.field_name, field.ascending_sort_order)
            for field in self.fields
        )


OnDelete = Literal["restrict", "cascade"]


@dataclass(frozen=True, slots=True)
class Relation:
    """Fields of this store whose values are keys, or fields, of another one.

    With `on_delete` it is enforced: an item is only there while the item it refers to is. Its `target_fields` are then
    the key of the target store, and an index keeps who refers to what.

    Args:
        source_fields: Fields of this store, named as in `SecondaryIndex`.
        target_store: The other store.
        target_fields: Its fields; the name of a single key is free.
        on_delete: ``"restrict"``: an item that others refer to is not removed. ``"cascade"``: they go with it.
    """

    source_fields: Sequence[str]
    target_store: str
    target_fields: Sequence[str]
    on_delete: OnDelete | None = None

    def __post_init__(self) -> None:
        if self.on_delete not in (None, "restrict", "cascade"):
            raise InvalidArgumentError(f"on_delete is 'restrict', 'cascade' or None, not {self.on_delete!r}")
        if isinstance(self.source_fields, str) or isinstance(self.target_fields, str):
            raise InvalidArgumentError("fields of a Relation are lists of names")
        if not self.source_fields or len(self.source_fields) != len(self.target_fields):
            raise InvalidArgumentError(
                f"a Relation pairs fields one to one; got {list(self.source_fields)} and {list(self.target_fields)}"
            )
        object.__setattr__(self, "source_fields", tuple(self.source_fields))
        object.__setattr__(self, "target_fields", tuple(self.target_fields))


@dataclass(slots=True)
class BtreeOptions:
    """How to make a store. They are kept with it, so opening it needs none.

    Args:
        name: Name of the store; may stay empty, as `Transaction.new_btree` is told it too.
        is_unique: Whether a key can be there once only. When not, every item has an id of its own.
        description: Free text.
        value_size: How large values are expected to be.
        is_primitive_key: ``False`` says that keys are records; an index specification or a key type
            must then be given.
        relations: Which fields point to other stores.
        indexes: Other orders of the items, made with the store.
        index_specification: Order of record keys.
    """

    name: str = ""
    is_unique: bool = True
    description: str = ""
    value_size: ValueDataSize = ValueDataSize.AUTOMATIC
    is_primitive_key: bool | None = None
    relations: Sequence[Relation] = ()
    indexes: Sequence[SecondaryIndex] = ()
    index_specification: IndexSpecification | None = None

    def set_value_data_size(self, size: ValueDataSize) -> None:
        """Say how large values are expected to be."""
        self.value_size = size

    def set_index_specification(self, specification: IndexSpecification | None) -> None:
        """Say which fields of record keys decide their order."""
        self.index_specification = specification
