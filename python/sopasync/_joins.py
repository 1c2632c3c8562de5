"""`Join`: rows of items of two stores, or three, that belong together; and how relations say which ones do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeVar, final

import msgspec

from ._btree_options import Relation
from ._core import MISS, open_join
from ._exceptions import IndexNotReadyError, InvalidArgumentError, StoreError
from ._indexes import FieldPlace, IndexDescription, describe_indexes, place_of, shape_of
from ._item import Item
from ._iteration import Iteration
from ._limits import PAGE_ITEMS, PAGE_ITEMS_FIRST
from ._pace import Pace
from ._scan import KeyRange

if TYPE_CHECKING:
    from ._btree import BtreeStore
    from ._btree_actor import BtreeActor
    from ._core import JoinParticipant, Places
    from ._core import Transaction as Native
    from ._turns import Turns

L = TypeVar("L")
R = TypeVar("R")
T = TypeVar("T")

How = Literal["inner", "left"]
_HOW: Final = ("inner", "left")


class Joined(msgspec.Struct, Generic[L, R], gc=False):
    """A row of a join. Unpacks into `left`, `right` and `link`.

    Like `Item` it is not looked at by the garbage collector.
    """

    left: L
    """The item of the first store."""
    right: R
    """The item of the other store; ``None`` in a left join where none belongs to it."""
    link: Item[Any, Any] | None = None
    """The item of the link store, where there is one."""

    def __iter__(self) -> Iterator[Any]:
        return iter((self.left, self.right, self.link))


class JoinColumn(NamedTuple):
    """The items of one store in a page of rows, as lists."""

    keys: list[Any]
    values: list[Any]
    """Both hold ``None`` where no item belongs to the row."""


@dataclass(frozen=True, slots=True)
class Step:
    """From the items at one place of a row to those of another store."""

    origin: int
    fields: list[FieldPlace]
    index: str | None
    """The index of the other store to look in; without one, by its key."""


def relation_between(one: BtreeStore[Any, Any], other: BtreeStore[Any, Any]) -> tuple[Relation, bool]:
    """The relation between two stores, and whether it is the first one's."""
    found = [(relation, True) for relation in _relations(one) if relation.target_store == other.name]
    if one.name != other.name:
        found += [(relation, False) for relation in _relations(other) if relation.target_store == one.name]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidArgumentError(
            f"stores '{one.name}' and '{other.name}' have {len(found)} relations: give the one meant as relation="
        )
    raise InvalidArgumentError(
        f"stores '{one.name}' and '{other.name}' have no relation: make one of them with "
        "BtreeOptions(relations=[Relation(...)]), or give a Relation as relation="
    )


def direction(
    relation: Relation | None, one: BtreeStore[Any, Any], other: BtreeStore[Any, Any]
) -> tuple[Relation, bool]:
    """The relation that is meant, and whether it is the first store's."""
    if relation is None:
        return relation_between(one, other)
    # A relation does not say whose it is: the store that has it, or the one it does not lead to.
    if relation in _relations(one):
        return relation, True
    if relation in _relations(other):
        return relation, False
    if relation.target_store == other.name:
        return relation, True
    if relation.target_store == one.name:
        return relation, False
    raise InvalidArgumentError(
        f"the relation leads to store '{relation.target_store}', which is neither '{one.name}' nor '{other.name}'"
    )


def _relations(store: BtreeStore[Any, Any]) -> tuple[Relation, ...]:
    return store.relations()


def step(
    native: Native,
    origin: int,
    one: BtreeStore[Any, Any],
    other: BtreeStore[Any, Any],
    relation: Relation | None,
) -> Step:
    """How to get from the items of one store to those of another."""
    meant, forward = direction(relation, one, other)
    far = meant.target_fields if forward else meant.source_fields
    of_target = _target_places(native, other if forward else one, meant)
    of_source = _places(one if forward else other, meant.source_fields)
    places, targets = (of_source, of_target) if forward else (of_target, of_source)
    order, index = _way_to(native, other, targets, far)
    return Step(origin, [places[at] for at in order], index)


def _target_places(native: Native, store: BtreeStore[Any, Any], relation: Relation) -> list[FieldPlace]:
    names = relation.target_fields
    if store.actor.schema.fields is None and len(names) == 1 and names[0] != "key":
        # A single key has no name of its own: unless an index knows the field, the key is meant. Where the relation is
        # enforced it always is.
        firsts = {index.fields[0][0] for index in _indexes(native, store)}
        if relation.on_delete is not None or names[0] not in firsts:
            return [(1, "", 0, True)]
    return _places(store, names)


def _places(store: BtreeStore[Any, Any], names: Sequence[str]) -> list[FieldPlace]:
    schema = store.actor.schema
    return [place_of(store.name, schema, name) for name in names]


def _indexes(native: Native, store: BtreeStore[Any, Any]) -> list[IndexDescription]:
    return list(describe_indexes(native, store.actor.schema, store.participant.store_id).values())


def _way_to(
    native: Native, store: BtreeStore[Any, Any], targets: list[FieldPlace], names: Sequence[str]
) -> tuple[list[int], str | None]:
    """In which order the fields are looked up, and in which index."""
    schema = store.actor.schema
    positions = [position if code == 1 else -1 for code, _, position, _ in targets]
    if sorted(positions) == list(range(len(targets))):
        return [positions.index(at) for at in range(len(targets))], None
    wanted = [place[:3] for place in targets]
    for index in _indexes(native, store):
        first = [place_of(store.name, schema, name)[:3] for name, _ in index.fields[: len(targets)]]
        if sorted(first) == sorted(wanted):
            return [wanted.index(place) for place in first], index.name
    raise InvalidArgumentError(
        f"store '{store.name}' has neither a key nor an index that begins with {', '.join(names)}: make one with "
        f"tx.create_index('{store.name}', SecondaryIndex('by_{names[0].replace('.', '_')}', {list(names)}))"
    )


class Column(NamedTuple):
    """The items of one store in a page of rows, each made once, and which of them the rows have."""

    keys: list[Any]
    values: list[Any]
    ids: list[Any] | None
    places: Places | None

    def spread(self, of: list[Any]) -> list[Any]:
        """What the rows have of a list with something for each item."""
        return of if self.places is None else self.places.spread(of)

    def items(self) -> list[Any]:
        """An item, or ``None``, for each row."""
        parts = (self.keys, self.values) if self.ids is None else (self.keys, self.values, self.ids)
        return self.spread(list(map(Item, *parts)))


class Rows:
    """The rows of a join, in columns: one for each store."""

    __slots__ = (
        "_indexes",
        "_is_ready",
        "_native",
        "_pace",
        "actor",
        "done",
        "participant",
        "stores",
        "turns",
        "turns_granted",
        "turns_left",
    )

    def __init__(
        self,
        native: Native,
        turns: Turns,
        stores: list[BtreeStore[Any, Any]],
        steps: list[Step],
        bounds: KeyRange,
        *,
        reverse: bool,
        outer: bool,
    ) -> None:
        self.stores = stores
        self.turns = turns
        self.done = False
        self.turns_granted = 0
        self.turns_left = 0
        self.actor: BtreeActor = stores[0].actor
        self._native = native
        self._is_ready = False
        self._pace = Pace(self.actor, PAGE_ITEMS_FIRST, PAGE_ITEMS)
        self._indexes = [
            (store, one.index) for store, one in zip(stores[1:], steps, strict=True) if one.index is not None
        ]
        found: list[Any] = []
        for store, one in zip(stores[1:], steps, strict=True):
            origin = stores[one.origin].actor.schema
            found.append(
                (
                    one.origin,
                    shape_of(origin),
                    one.fields,
                    store.participant.store_id,
                    one.index,
                    shape_of(store.actor.schema),
                    outer,
                )
            )
        self.participant: JoinParticipant = open_join(
            native,
            (stores[0].participant.store_id, None, bounds.low, bounds.high, reverse),
            found,
            [(store.actor.codec, store.value_form) for store in stores],
        )
        turns.join(self)

    async def fetch(self, limit: int) -> list[Column] | None:
        """Return up to `limit` further rows; ``None`` at the end only."""
        if not self._is_ready:
            for store, name in self._indexes:
                state = await store.index(name).state()
                if state.stage != "ready":
                    raise IndexNotReadyError(
                        f"the join goes through index '{name}' of store '{store.name}', which is {state.stage}: "
                        f"wait for it with db.settle({store.name!r})",
                        store=store.name,
                        index_name=name,
                    )
            self._is_ready = True
        while not self.done:
            self._pace.begin()
            await self._fill(min(limit, self._pace.items))
            page = self.participant.page()
            # Where few items match a page may be empty and another one not.
            self.done = self.participant.ended
            made = [
                Column(store.made_keys(keys), store.decoded(values), ids, places)
                for store, (keys, values, ids, places) in zip(self.stores, page, strict=True)
            ]
            self._pace.end()
            self.turns.look_soon(self)
            if any(column.keys for column in made):
                return made
        return None

    async def _fill(self, limit: int) -> None:
        try:
            if self.turns_left:
                self.turns_left -= 1
                if self.participant.fill(limit) is MISS:
                    await self.turns.resume(self)
            else:
                await self.turns.run(self, self.participant.fill, limit)
        except StoreError as error:
            raise self.stores[0].named(error) from error.__cause__


@final
class Join(Iteration[Joined[L, R]], Generic[L, R]):
    """An iterator over joined rows, for ``async for``; made by `Transaction.join`.

    Rows come in the key order of the first store, those of one item in the order of the other store or of the index it
    is read through. An item that stands in several rows is one object in all of them. Memory is bounded by a page.
    """

    __slots__ = ("_rows",)

    _unit = "rows"

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self._rows = rows

    def _end(self) -> None:
        self._rows.done = True

    def columns(self, size: int = PAGE_ITEMS) -> JoinColumns:
        """Iterate over pages as columns, one for each store: the fastest way to read a join.

        Example:
            ```python
            async for users, orders in tx.join(users, orders).columns():
                for name, total in zip(users.values, orders.values): ...
            ```
        """
        self._check_size(size)
        return JoinColumns(self._rows, size)

    async def _more(self, limit: int) -> list[Joined[L, R]]:
        columns = await self._rows.fetch(limit)
        if columns is None:
            return []
        left, *links, right = [column.items() for column in columns]
        # Without a call of Python code for each row.
        return list(map(Joined, left, right, *links))


@final
class JoinColumns:
    """Pages of a join as columns; made by `Join.columns`."""

    __slots__ = ("_rows", "_size")

    def __init__(self, rows: Rows, size: int) -> None:
        self._rows = rows
        self._size = size

    def __aiter__(self) -> JoinColumns:
        return self

    async def __anext__(self) -> tuple[JoinColumn, ...]:
        found = await self._rows.fetch(self._size)
        if found is None:
            raise StopAsyncIteration
        columns = [JoinColumn(column.spread(column.keys), column.spread(column.values)) for column in found]
        if len(columns) > 2:
            left, link, right = columns
            return left, right, link
        return tuple(columns)

    async def aclose(self) -> None:
        """End the iteration."""
        self._rows.done = True


@final
class Related(Iteration[T]):
    """An iterator over the items that belong to one, for ``async for``; made by `Transaction.related`."""

    __slots__ = ("_join",)

    def __init__(self, join: Join[Any, T]) -> None:
        super().__init__()
        self._join = join

    def _end(self) -> None:
        self._join._end()  # pyright: ignore[reportPrivateUsage]

    async def _more(self, limit: int) -> list[T]:
        return [row.right for row in await self._join.fetch(limit)]


def check_how(how: str) -> bool:
    """Whether rows without a partner are kept."""
    if how not in _HOW:
        raise InvalidArgumentError(f"how is 'inner' or 'left', not {how!r}")
    return how == "left"
