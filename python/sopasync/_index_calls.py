"""`IndexCalls`: the part of `BtreeStore` about its secondary indexes and what its items are related to."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ._cursor_calls import CursorCalls
from ._enforced import relations_of
from ._exceptions import RelationError, SopasyncError, StoreError, UniqueIndexError
from ._index import StoreIndex
from ._indexes import IndexDescription, describe_indexes, index_missing

if TYPE_CHECKING:
    from ._btree_options import Relation
    from ._core import Transaction as Native
    from ._turns import Turns

K = TypeVar("K")
V = TypeVar("V")


class IndexCalls(CursorCalls[K, V]):
    """The part of `BtreeStore` about indexes."""

    __slots__ = ("_indexes", "_native", "_turns")

    _indexes: dict[str, StoreIndex[K, V]] | None
    _native: Native
    _turns: Turns

    def indexes(self) -> list[IndexDescription]:
        """List the secondary indexes there are at this snapshot, the ones made here included."""
        store = self._itself()
        self._turns.check()
        found = describe_indexes(self._native, store.actor.schema, store.participant.store_id)
        return list(found.values())

    def relations(self) -> tuple[Relation, ...]:
        """List the relations there are at this snapshot, those added and dropped here included."""
        store = self._itself()
        self._turns.check()
        return relations_of(self._native, store.actor.schema, store.participant.store_id)

    def index(self, name: str) -> StoreIndex[K, V]:
        """The store in the order of one of its indexes: ``store.index("by_city").items(equals="Oslo")``.

        Raises:
            IndexNotFoundError: The store has no index of that name at this snapshot.
        """
        known = self._indexes
        found = None if known is None else known.get(name)
        store = self._itself()
        description = next((one for one in self.indexes() if one.name == name), None)
        if description is None:
            raise index_missing(store.name, name, self._native, store.participant.store_id)
        if found is not None and found.description == description:
            return found
        made = StoreIndex(store, self._native, self._turns, description)
        self._turns.join(made)
        if known is None:
            known = self._indexes = {}
        known[name] = made
        return made

    def named(self, error: StoreError) -> StoreError:
        """Say in an error which store it was, and which of its keys."""
        store = self._itself()
        if isinstance(error, UniqueIndexError | RelationError):
            self._name_keys(error)
        if error.store is None:
            error.store = store.name
            error.message = f"store '{store.name}': {error.message}"
        return error

    def _name_keys(self, error: UniqueIndexError | RelationError) -> None:
        decode = self._itself().actor.decode_key
        if isinstance(error.key, bytes) and error.store in (None, self._itself().name):
            try:
                error.key = decode(error.key)
                if isinstance(error, UniqueIndexError) and isinstance(error.held_by, bytes):
                    error.held_by = decode(error.held_by)
                    error.message += (
                        f": key {error.held_by!r} has them, and key {error.key!r} was to get them"
                    )
                else:
                    error.message += f" (key {error.key!r})"
            except SopasyncError:
                return
