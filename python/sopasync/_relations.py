"""`TransactionRelations`: the part of `Transaction` about secondary indexes, related items and joins."""

# A part of `Transaction`, in a file of its own; what they share is nobody else's.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ._btree_options import Relation, SecondaryIndex
from ._core import prefix_end
from ._exceptions import InvalidArgumentError
from ._indexes import make_index, remove_index
from ._item import Item, is_item
from ._joins import How, Join, Related, Rows, check_how, step
from ._kinds import Kind
from ._scan import KeyRange
from ._schema import StoreSchema

if TYPE_CHECKING:
    from ._btree import BtreeStore
    from ._core import StoreInfo
    from ._core import Transaction as Native
    from ._turns import Turns

K = TypeVar("K")
V = TypeVar("V")
OK = TypeVar("OK")
OV = TypeVar("OV")


class TransactionRelations:
    """The part of `Transaction` about indexes and relations."""

    __slots__ = ()

    _native: Native
    _turns: Turns

    async def _turn(self) -> None:
        raise NotImplementedError

    def _find(self, name: str, kind: Kind) -> StoreInfo:
        raise NotImplementedError

    def _require_writing(self, what: str) -> None:
        raise NotImplementedError

    async def create_index(self, store: str, index: SecondaryIndex) -> None:
        """Add a secondary index to a B-tree store.

        When this commits, the index is built in the background, by small transactions that go on after a restart; it is
        used once it is complete: `Database.settle` waits for that. From the commit on every change keeps it.
        A store this transaction has made itself gets its index at once. Adding the same index again does nothing.

        Transactions that wrote to the store meanwhile without knowing the index conflict, and are to be run again.

        Args:
            store: Name of the store.
            index: What to add.

        Raises:
            StoreNotFoundError: There is no such store at this snapshot.
            InvalidArgumentError: There is an index of that name with other fields, or the fields make no sense.
            ReadOnlyError: The transaction only reads.
        """
        await self._turn()
        self._require_writing(f"add index '{index.name}' to store '{store}'")
        info = self._find(store, Kind.BTREE)
        make_index(self._native, store, StoreSchema.from_bytes(store, info.options), index)

    async def drop_index(self, store: str, name: str) -> None:
        """Remove a secondary index of a B-tree store.

        Raises:
            IndexNotFoundError: The store has no index of that name at this snapshot.
            StoreNotFoundError: There is no such store at this snapshot.
            ReadOnlyError: The transaction only reads.
        """
        await self._turn()
        self._require_writing(f"remove index '{name}' of store '{store}'")
        remove_index(self._native, store, self._find(store, Kind.BTREE).id, name)

    def join(
        self,
        left: BtreeStore[K, V],
        right: BtreeStore[OK, OV],
        *,
        relation: Relation | None = None,
        through: BtreeStore[Any, Any] | None = None,
        how: How = "inner",
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> Join[Item[K, V], Item[OK, OV]]:
        """Iterate over the items of two stores that belong together, in the key order of the first.

        A relation of either store says which fields are equal; one of both sides must be a key or have an index, and
        is looked up. Items with a field that is missing, or has no place in an order, belong to none.

        Args:
            left: The store to go along.
            right: The store to look in.
            relation: Which relation is meant, when the stores have several or none; its fields need be in no options.
            through: A link store whose items refer to one of `left` and one of `right`: many to many.
            how: ``"inner"``: pairs only. ``"left"``: also items of `left` without a partner; ``right`` is ``None``.
            prefix: Only keys of `left` that begin with it, as in `BtreeStore.items`.
            start: First key of `left`, inclusive.
            stop: First key of `left` that is left out.
            reverse: From the last key of `left` to the first.

        Raises:
            InvalidArgumentError: It is not clear which items belong together, or there is no index to find them by.
        """
        outer = check_how(how)
        bounds = KeyRange.of(left, prefix, start, stop)
        return Join(self._rows(left, right, relation, through, bounds, reverse=reverse, outer=outer))

    def related(
        self,
        store: BtreeStore[K, V],
        item: Item[K, V] | K,
        other: BtreeStore[OK, OV],
        *,
        relation: Relation | None = None,
        through: BtreeStore[Any, Any] | None = None,
    ) -> Related[Item[OK, OV]]:
        """Iterate over items that belong to one: ``async for order in tx.related(users, "ann", orders)``.

        Args:
            store: The store of the item.
            item: An item of it, or its key.
            other: The store to look in.
            relation: As in `join`.
            through: As in `join`.
        """
        codec = store.actor.codec
        key: Any = item.key if is_item(item) else item
        store.check_key(key)
        identity = item.id if is_item(item) else None
        low = codec.encode(key, identity)
        exact = store.is_unique or identity is not None
        bounds = KeyRange(low, low + b"\0" if exact else prefix_end(low))
        return Related(Join(self._rows(store, other, relation, through, bounds, reverse=False, outer=False)))

    def _rows(
        self,
        left: BtreeStore[Any, Any],
        right: BtreeStore[Any, Any],
        relation: Relation | None,
        through: BtreeStore[Any, Any] | None,
        bounds: KeyRange,
        *,
        reverse: bool,
        outer: bool,
    ) -> Rows:
        self._turns.check()
        native = self._native
        for store in (left, right, through):
            if store is not None and store.turns is not self._turns:
                raise InvalidArgumentError(
                    f"store '{store.name}' was opened in another transaction: open the stores of a join in its own"
                )
        if through is None:
            stores, steps = [left, right], [step(native, 0, left, right, relation)]
        else:
            if relation is not None:
                raise InvalidArgumentError("give relation= or through=, not both")
            stores = [left, through, right]
            steps = [step(native, 0, left, through, None), step(native, 1, through, right, None)]
        return Rows(native, self._turns, stores, steps, bounds, reverse=reverse, outer=outer)
