"""What `Database.statistics` and `Transaction.stores` return: frozen pictures of a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from ._enforced import relations_of
from ._kinds import Kind
from ._schema import StoreSchema
from ._search_config import SearchSchema

if TYPE_CHECKING:
    from ._btree_options import Relation, ValueDataSize
    from ._core import StoreInfo
    from ._core import Transaction as Native

KindName = Literal["btree", "vector", "search", "model", "blob", "other"]

_NAMES: dict[int, KindName] = {
    Kind.BTREE: "btree",
    Kind.VECTOR: "vector",
    Kind.SEARCH: "search",
    Kind.MODEL: "model",
    Kind.BLOB: "blob",
}


@dataclass(frozen=True, slots=True)
class StoreDescription:
    """What the catalogue says about a store."""

    name: str
    store_id: int
    kind: KindName
    is_unique: bool
    index_fields: tuple[tuple[str, bool], ...] | None
    """Name, and whether ascending, of each field of record keys; ``None`` for single keys."""
    value_size: ValueDataSize
    text: str
    """The description it was made with."""
    relations: tuple[Relation, ...]
    """Those it was made with, and those that were added; without the enforced ones that were dropped."""

    @classmethod
    def of(cls, info: StoreInfo, native: Native) -> StoreDescription:
        """Describe a catalogue entry."""
        if info.kind == Kind.BTREE:
            schema = StoreSchema.from_bytes(info.name, info.options)
            return cls.of_schema(info.name, info.id, schema, relations_of(native, schema, info.id))
        if info.kind == Kind.SEARCH:
            return cls.of_search(
                info.name, info.id, SearchSchema.from_bytes(info.name, info.options).description
            )
        return cls(
            info.name,
            info.id,
            _NAMES.get(info.kind, "other"),
            is_unique=True,
            index_fields=None,
            value_size=StoreSchema().value_size,
            text="",
            relations=(),
        )

    @classmethod
    def of_search(cls, name: str, store_id: int, text: str) -> StoreDescription:
        """Describe a search store."""
        return cls(
            name,
            store_id,
            "search",
            is_unique=True,
            index_fields=None,
            value_size=StoreSchema().value_size,
            text=text,
            relations=(),
        )

    @classmethod
    def of_schema(
        cls, name: str, store_id: int, schema: StoreSchema, relations: tuple[Relation, ...]
    ) -> StoreDescription:
        """Describe a B-tree store."""
        return cls(
            name=name,
            store_id=store_id,
            kind="btree",
            is_unique=schema.unique,
            index_fields=schema.fields,
            value_size=schema.value_size,
            text=schema.description,
            relations=relations,
        )


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `Database.check` found."""

    problems: tuple[str, ...]
    """What is wrong, and where; empty when the database is sound."""
    verified: Mapping[str, object]
    """How much was looked at: pages, stores, items."""
    derived: tuple[str, ...] = ()
    """Index files that are missing or damaged. Nothing is lost with them: they are built again."""

    @classmethod
    def of(cls, report: Mapping[str, object]) -> CheckReport:
        """Make a report of what the engine returned."""
        problems = cast("Sequence[object]", report.get("problems", ()))
        derived = cast("Sequence[object]", report.get("derived_problems", ()))
        verified = {
            name: value for name, value in report.items() if name not in ("problems", "derived_problems")
        }
        return cls(tuple(str(problem) for problem in problems), verified, tuple(str(one) for one in derived))


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """What the actor of one store has done since this handle was opened."""

    name: str
    participants: int
    """Transactions that have it open now."""
    turns_inline: int
    """Messages that ran in their sender without waiting."""
    turns_waited: int
    """Messages that waited for the disk."""
    turns_queued: int
    """Messages that waited in the mailbox behind another one of their transaction."""
    turns_pushed_back: int
    """Messages that waited in front of a full mailbox."""
    mailbox_high_water: int
    """Most messages a mailbox has held."""


@dataclass(frozen=True, slots=True)
class DatabaseStatistics:
    """Counters and gauges of a database; ``engine`` is shared by all handles of the process."""

    transactions_open: int
    """Transactions this handle has open."""
    commits_waiting: int
    """Commits and reads of this handle that are with the engine now."""
    conflicts_retried: int
    """Conflicts that `Database.run` and `Database.attempts` of this handle have retried."""
    stores: tuple[StoreStatistics, ...]
    """One for each store this handle has opened."""
    engine: Mapping[str, int | float | str]
    """The engine's own numbers: commits, groups, conflicts, cache, log, checkpoint."""
