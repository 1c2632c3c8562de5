"""`load`: fills an empty store from any number of items, faster than by transactions, in one commit.

Values are packed on the event loop's thread, a piece at a time; sorting, building pages and writing
them run on a worker thread that does not hold the interpreter. Nothing shows before the end.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import AsyncIterable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from ._btree_actor import BtreeActor
from ._core import KeyCodec
from ._exceptions import InvalidArgumentError, StoreError, StoreExistsError
from ._item import is_item, is_pair
from ._kinds import Kind
from ._limits import BULK_ITEMS
from ._opening import on_thread
from ._schema import StoreSchema

if TYPE_CHECKING:
    from ._core import BulkLoader, Engine, StoreInfo

Rows = Iterable[Any] | AsyncIterable[Any]


class BulkLoad:
    """One load: where it goes, and how keys and values become bytes."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        schema: StoreSchema,
        existing: StoreInfo | None,
        types: tuple[Any, Any],
    ) -> None:
        self._engine = engine
        self._name = name
        self._schema = schema
        self._existing = existing
        self._types = types
        if existing is not None:
            differences = StoreSchema.from_bytes(name, existing.options).differences(schema)
            if existing.kind != Kind.BTREE or differences:
                otherwise = differences or "it is of another kind"
                raise StoreExistsError(
                    f"store '{name}' exists already, otherwise than asked for: {otherwise}. "
                    "Load into a store of another name, or remove it first",
                    store=name,
                )

    async def run(
        self, rows: Rows, *, refuse_duplicates: bool, progress: Callable[[int], object] | None
    ) -> int:
        """Load everything; returns how many items there were. Cancelled or failing, nothing is left."""
        loader = await on_thread(lambda: self._begin(refuse_duplicates=refuse_duplicates))
        try:
            actor = BtreeActor(loader.store)
            async for piece in _Pieces(rows):
                keys, values = self._pack(actor, piece)
                await on_thread(functools.partial(loader.add, keys, values))
                if progress is not None:
                    progress(loader.rows)
            count = loader.rows
            await on_thread(loader.finish)
        except BaseException as error:
            # On a thread of its own: taking it back waits for a piece that is under way.
            threading.Thread(target=loader.cancel, name="sopasync-bulk-cancel").start()
            if isinstance(error, StoreError) and error.store is None:
                error.store = self._name
                error.message = f"store '{self._name}': {error.message}"
            raise
        return count

    def _begin(self, *, refuse_duplicates: bool) -> BulkLoader:
        schema = self._schema
        codec = KeyCodec(unique=schema.unique, fields=schema.fields)
        if self._existing is not None:
            return self._engine.bulk_load(
                codec, store_id=self._existing.id, refuse_duplicates=refuse_duplicates
            )
        return self._engine.bulk_load(
            codec,
            name=self._name,
            kind=Kind.BTREE,
            options=schema.to_bytes(),
            refuse_duplicates=refuse_duplicates,
        )

    def _pack(self, actor: BtreeActor, piece: list[Any]) -> tuple[list[Any], list[bytes]]:
        check_key, _, codec = actor.typed(*self._types)
        encode = codec.encode
        keys: list[Any] = []
        values: list[bytes] = []
        for item in piece:
            if is_pair(item):
                key, value = item
            elif is_item(item):
                key, value = item.key, item.value
            else:
                raise InvalidArgumentError(
                    f"a bulk load takes Items or (key, value) tuples; got {type(item).__name__}: {item!r}"
                )
            if check_key is not None:
                check_key(key)
            keys.append(key)
            values.append(encode(value))
        return keys, values


class _Pieces:
    """Rows in lists of a fixed size. Not a generator: trio asks for those to be closed."""

    def __init__(self, rows: Rows) -> None:
        self._later = aiter(rows) if isinstance(rows, AsyncIterable) else None
        self._now = iter(()) if isinstance(rows, AsyncIterable) else iter(rows)

    def __aiter__(self) -> _Pieces:
        return self

    async def __anext__(self) -> list[Any]:
        piece = list(itertools.islice(self._now, BULK_ITEMS))
        while self._later is not None and len(piece) < BULK_ITEMS:
            try:
                piece.append(await anext(self._later))
            except StopAsyncIteration:
                self._later = None
        if not piece:
            raise StopAsyncIteration
        return piece
