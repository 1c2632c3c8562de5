"""Calls that take a list: done wholly or not at all, in pieces that do not keep the event loop waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ._exceptions import InvalidArgumentError, StoreError
from ._item import is_item, is_pair
from ._limits import BATCH_BYTES, BATCH_ITEMS_FIRST, BATCH_ITEMS_MAX
from ._pace import Pace

if TYPE_CHECKING:
    from ._btree import BtreeStore

Refusal = Callable[[Any, int | None], StoreError]
"""Makes the error for a key and its position in the list."""


async def write(
    store: BtreeStore[Any, Any], operation: Callable[..., Any], items: list[Any], refuse: Refusal | None
) -> None:
    """Run an ``*_items`` call of the engine over a list; the first key it refuses undoes everything."""
    async with store.turns.turn(store) as turn:
        turn.undo_on_error()
        done = 0
        pace = Pace(store.actor, BATCH_ITEMS_FIRST, BATCH_ITEMS_MAX)
        while done < len(items):
            try:
                piece, start, count = packed(store, items, done, pace.items)
                refused = await turn.call(operation, piece, start, count)
            except StoreError as error:
                raise store.named(error) from error.__cause__
            if refuse is not None and refused >= 0:
                key, _ = key_and_value(piece[start + refused])
                raise refuse(key, done + refused)
            taken = store.participant.taken
            done += taken
            pace.end()
            await turn.pause_if_due(taken)
            pace.begin()


async def remove(store: BtreeStore[Any, Any], keys: list[Any], refuse: Refusal) -> None:
    """Remove every key; the first that is not there undoes everything."""
    async with store.turns.turn(store) as turn:
        turn.undo_on_error()
        done = 0
        pace = Pace(store.actor, BATCH_ITEMS_FIRST, BATCH_ITEMS_MAX)
        while done < len(keys):
            piece = keys[done : done + pace.items]
            try:
                for key in piece:
                    store.check_key(key)
                refused = await turn.call(store.participant.remove_many, piece)
            except StoreError as error:
                raise store.named(error) from error.__cause__
            if refused >= 0:
                raise refuse(piece[refused], done + refused)
            done += len(piece)
            pace.end()
            await turn.pause_if_due(len(piece))
            pace.begin()


class _PresentError(StoreError):
    """A key is there already, so what was done of the list is taken back."""


async def add_absent(store: BtreeStore[Any, Any], items: list[Any]) -> bool:
    """Add every item when none of the keys is there; returns whether it did."""
    try:
        if store.is_unique:
            await write(store, store.participant.add_items, items, lambda _key, _index: _PresentError())
        else:
            await _add_absent_of_repeating(store, items)
    except _PresentError:
        return False
    return True


async def _add_absent_of_repeating(store: BtreeStore[Any, Any], items: list[Any]) -> None:
    """The same where keys repeat, so that `add` alone would always add."""
    async with store.turns.turn(store) as turn:
        turn.undo_on_error()
        for item in items:
            key, value = key_and_value(item)
            store.check_key(key)
            try:
                present = await turn.call(store.participant.contains, key)
                if not present:
                    await turn.call(store.participant.add, key, store.encode(value))
            except StoreError as error:
                raise store.named(error) from error.__cause__
            if present:
                raise _PresentError
            await turn.pause_if_due(1)


async def get(store: BtreeStore[Any, Any], keys: list[Any]) -> list[Any]:
    """Read the values of keys, in their order."""
    found: list[Any] = []
    async with store.turns.turn(store) as turn:
        pace = Pace(store.actor, BATCH_ITEMS_FIRST, BATCH_ITEMS_MAX)
        while len(found) < len(keys):
            piece = keys[len(found) : len(found) + pace.items]
            try:
                for key in piece:
                    store.check_key(key)
                data = await turn.call(store.participant.get_many, piece)
            except StoreError as error:
                raise store.named(error) from error.__cause__
            found.extend(data if store.engine_unpacks else _unpacked(store, data))
            pace.end()
            await turn.pause_if_due(len(piece))
            pace.begin()
    return found


def packed(
    store: BtreeStore[Any, Any], items: list[Any], start: int, count: int
) -> tuple[list[Any], int, int]:
    """A piece of a list as the engine takes it: the list, where the piece begins, and its length.

    Where the engine packs values itself that is the list as it is; else the piece with packed values.
    """
    if store.engine_packs:
        if store.checks_keys:
            for item in items[start : start + count]:
                store.check_key(key_and_value(item)[0])
        return items, start, count
    piece: list[Any] = []
    size = 0
    for item in items[start : start + count]:
        key, value = item if is_pair(item) else key_and_value(item)
        store.check_key(key)
        data = store.encode(value)
        piece.append((key, data))
        size += len(data)
        if size >= BATCH_BYTES:
            break
    return piece, 0, len(piece)


def _unpacked(store: BtreeStore[Any, Any], data: list[Any]) -> Iterator[Any]:
    return (None if value is None else store.decode(value) for value in data)


def key_and_value(item: Any) -> tuple[Any, Any]:
    """Take an element of a list apart."""
    if is_pair(item):
        return item
    if is_item(item):
        return item.key, item.value
    raise InvalidArgumentError(
        f"a list holds Items or (key, value) tuples; got {type(item).__name__}: {item!r}"
    )
