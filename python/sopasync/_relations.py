"""`TransactionRelations`: the part of `Transaction` about secondary indexes, related items and joins."""

# A part of `Transaction`, in a file of its own; what they share is nobody else's.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ._btree_options import Relation, SecondaryIndex
from ._core import drop_index, prefix_end
from ._enforced import fill_relation, find_relation, make_relation, relation_index
from ._exceptions import IndexNotFoundError, InvalidArgumentError
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
    from ._savepoint import Savepoint
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

    async def open_btree(self, name: str) -> BtreeStore[Any, Any]:
        raise NotImplementedError

    def savepoint(self) -> Savepoint:
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

    async def create_relation(self, store: str, relation: Relation, *, in_background: bool = False) -> None:
        """Add an enforced relation to a B-tree store: from this commit on an item is only there while its target is.

        What the store holds is read first; nothing is added when items refer to what is not there. The relation and its
        index come with this commit, complete, or not at all. Adding the same relation again does nothing.

        Whoever writes to the store, or removes what its items refer to, between the snapshot and the commit makes one
        of the two commits conflict, at every isolation: `Database.run` runs it again. It takes about as long as
        writing the store anew, and lets other tasks run meanwhile. Cancelled, it has changed nothing.

        Where others write all the time that may never succeed: `in_background` adds the relation as `create_index`
        adds an index, with a short commit. From that on what is written must refer to what is there. What the store
        held before is looked at by an engine thread, piece by piece; what an item refers to that it has not come to
        can still be removed. `Database.settle` waits, and `StoreIndex.state` of the relation's index tells an item
        that refers to nothing, if there is one: mend it, drop the relation, add it again.

        Args:
            store: Name of the store whose items refer to others.
            relation: With `on_delete`. One that is not enforced needs no adding: give it to `join` as it is.
            in_background: Whether what the store holds is looked at after the commit.

        Raises:
            RelationError: Items refer to what is not there; the first ones are named. Not `in_background`.
            NotIndexableError: A field of an item cannot be part of a key. Not `in_background`.
            StoreNotFoundError: There is no such store, or no target, at this snapshot.
            InvalidArgumentError: It is not enforced, the store has another one of these fields to that target, or it
                does not lead to the whole key of a unique store.
            ReadOnlyError: The transaction only reads.
        """
        await self._turn()
        self._require_writing(f"add a relation to store '{store}'")
        if relation.on_delete is None:
            raise InvalidArgumentError(
                "a relation that is added is enforced: say on_delete='restrict' or 'cascade'. One that is not "
                "can be given to join() and related() as relation="
            )
        opened = await self.open_btree(store)
        there = find_relation(opened.indexes(), relation)
        if there is not None:
            if there.on_delete == relation.on_delete:
                return
            raise InvalidArgumentError(
                f"store '{store}' has the relation '{there.name}' already, with on_delete={there.on_delete!r}: "
                "drop it first"
            )
        if in_background:
            make_relation(self._native, store, opened.actor.schema, relation)
            return
        async with self.savepoint():
            make_relation(self._native, store, opened.actor.schema, relation, to_fill=True)
            target = await self.open_btree(relation.target_store)
            await fill_relation(opened.index(relation_index(relation)), target.actor.codec)

    async def drop_relation(self, store: str, relation: Relation | str) -> None:
        """Enforce a relation of a B-tree store no longer, from this commit on. Items stay as they are.

        Args:
            store: Name of the store whose items refer to others.
            relation: The relation, or the name of its index: ``"user -> users"``.

        Raises:
            IndexNotFoundError: The store enforces no such relation at this snapshot.
            StoreNotFoundError: There is no such store at this snapshot.
            ReadOnlyError: The transaction only reads.
        """
        await self._turn()
        self._require_writing(f"drop a relation of store '{store}'")
        opened = await self.open_btree(store)
        found = find_relation(opened.indexes(), relation)
        if found is None:
            name = relation if isinstance(relation, str) else relation_index(relation)
            enforced = [index.name for index in opened.indexes() if index.target_store is not None]
            raise IndexNotFoundError(
                f"store '{store}' enforces no relation '{name}': it enforces {', '.join(enforced) or 'none'}",
                store=store,
                index_name=name,
            )
        drop_index(self._native, opened.participant.store_id, found.name)

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
