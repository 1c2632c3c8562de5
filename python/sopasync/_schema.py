"""`StoreSchema`: what the catalogue keeps about a B-tree store, and how it is written there.

The catalogue entry is a msgpack map; ``format`` is its version and an unknown one is refused:

    {"format": 1 or 2, "unique": bool, "fields": [[name, ascending], ...] | nil, "value_size": str,
     "description": str, "relations": [[[source field, ...], target store, [target field, ...], on delete], ...]}

``on delete`` is "restrict" or "cascade", left out of a relation that is not enforced. A store made with enforced
relations has format 2, so that what cannot enforce them does not write to it. Indexes have other entries.

Two schemas of the same contents have the same bytes: the engine compares bytes when two
transactions create one store at once.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any, Final, get_type_hints, is_typeddict

import msgspec

from ._btree_options import BtreeOptions, IndexSpecification, Relation, ValueDataSize
from ._exceptions import InvalidArgumentError, UnsupportedFormatError

PLAIN: Final = 1
WITH_ENFORCED_RELATIONS: Final = 2
FORMATS: Final = (PLAIN, WITH_ENFORCED_RELATIONS)

Fields = tuple[tuple[str, bool], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class StoreSchema:
    """The lasting properties of one store."""

    unique: bool = True
    fields: Fields | None = None
    value_size: ValueDataSize = ValueDataSize.AUTOMATIC
    description: str = ""
    relations: tuple[Relation, ...] = ()

    def to_bytes(self) -> bytes:
        """Pack into the catalogue's form."""
        return msgspec.msgpack.encode(
            {
                "format": WITH_ENFORCED_RELATIONS if any(r.on_delete for r in self.relations) else PLAIN,
                "unique": self.unique,
                "fields": self.fields,
                "value_size": self.value_size.value,
                "description": self.description,
                "relations": [
                    [r.source_fields, r.target_store, r.target_fields]
                    + ([r.on_delete] if r.on_delete else [])
                    for r in self.relations
                ],
            }
        )

    @classmethod
    def from_bytes(cls, store: str, data: bytes) -> StoreSchema:
        """Unpack the catalogue's form."""
        entry: dict[str, Any] = msgspec.msgpack.decode(data)
        if entry["format"] not in FORMATS:
            raise UnsupportedFormatError(
                f"store '{store}' was made by a newer sopasync (schema format {entry['format']}; this version "
                f"reads up to {FORMATS[-1]}). Use a newer sopasync",
                found=entry["format"],
                supported=FORMATS[-1],
            )
        fields = entry["fields"]
        return cls(
            unique=entry["unique"],
            fields=None if fields is None else tuple((name, ascending) for name, ascending in fields),
            value_size=ValueDataSize(entry["value_size"]),
            description=entry["description"],
            relations=tuple(Relation(*relation) for relation in entry["relations"]),
        )

    def differences(self, wanted: StoreSchema, relations: tuple[Relation, ...] | None = None) -> str:
        """Name what is otherwise in `wanted`; empty when nothing that matters is.

        `relations` are those the store has now, where it may have others than it was made with.
        """
        found: list[str] = []
        if self.unique != wanted.unique:
            found.append(f"it is {_kind(self.unique)} but {_kind(wanted.unique)} was asked for")
        if self.fields != wanted.fields:
            found.append(
                f"its keys are {_describe(self.fields)} but {_describe(wanted.fields)} were asked for"
            )
        if self.value_size != wanted.value_size:
            found.append(
                f"its value size is {self.value_size.value} but {wanted.value_size.value} was asked for"
            )
        if not _same_relations(self.relations if relations is None else relations, wanted.relations):
            found.append(
                "its relations are other ones (tx.create_relation() and tx.drop_relation() change enforced ones)"
            )
        if wanted.description and self.description != wanted.description:
            found.append(f"its description is {self.description!r}")
        return "; ".join(found)


def schema_of(
    store: str, options: BtreeOptions | None, index_spec: IndexSpecification | None, key_type: Any
) -> StoreSchema:
    """Join everything `Transaction.new_btree` was told into one schema."""
    options = options or BtreeOptions()
    specification = index_spec or options.index_specification
    names = record_fields(key_type)
    fields: Fields | None = None
    if specification is not None:
        fields = tuple((field.field_name, field.ascending_sort_order) for field in specification.index_fields)
    elif names is not None:
        fields = tuple((name, True) for name in names)
    elif options.is_primitive_key is False:
        raise InvalidArgumentError(
            f"store '{store}' is to have record keys: give key_type= or an IndexSpecification, "
            "so that their order is known"
        )
    if fields is not None and options.is_primitive_key:
        raise InvalidArgumentError(
            f"store '{store}': is_primitive_key=True contradicts its record keys; leave it out"
        )
    check_fields(store, fields, key_type)
    return StoreSchema(
        unique=options.is_unique,
        fields=fields,
        value_size=options.value_size,
        description=options.description,
        relations=tuple(options.relations),
    )


def record_fields(key_type: Any) -> tuple[str, ...] | None:
    """Field names of a record type, in order; ``None`` for a type that is no record."""
    if is_typeddict(key_type):
        return tuple(get_type_hints(key_type))
    if not isinstance(key_type, type):
        return None
    if dataclasses.is_dataclass(key_type):
        return tuple(field.name for field in dataclasses.fields(key_type))
    if issubclass(key_type, msgspec.Struct):
        return key_type.__struct_fields__
    return None


def check_fields(store: str, fields: Fields | None, key_type: Any) -> None:
    """Refuse a key type that cannot be the key of a store with these fields."""
    names = record_fields(key_type)
    if fields is None:
        if names is not None:
            raise InvalidArgumentError(
                f"store '{store}' has single keys, and {key_type.__name__} is a record: open it without key_type="
            )
        return
    if key_type is None or key_type is dict:
        return
    missing = [name for name, _ in fields if names is None or name not in names]
    if missing:
        raise InvalidArgumentError(
            f"keys of store '{store}' are ordered by {_describe(fields)}, and {type_name(key_type)} has no field "
            f"{', '.join(missing)}"
        )


def _same_relations(there: tuple[Relation, ...], wanted: tuple[Relation, ...]) -> bool:
    """In any order, for relations may have been added. The name of a single key is free."""

    def known(relation: Relation) -> object:
        pairs = frozenset(zip(relation.source_fields, relation.target_fields, strict=True))
        fields = frozenset(relation.source_fields) if relation.on_delete and len(pairs) == 1 else pairs
        return relation.target_store, relation.on_delete, fields

    return Counter(map(known, there)) == Counter(map(known, wanted))


def _kind(unique: bool) -> str:
    return "unique" if unique else "not unique"


def _describe(fields: Fields | None) -> str:
    if fields is None:
        return "single values"
    return "records by (" + ", ".join(name if up else f"{name} descending" for name, up in fields) + ")"


def type_name(given: Any) -> str:
    """Name a type for a message."""
    return getattr(given, "__name__", str(given))
