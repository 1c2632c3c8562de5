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

from ._batch import key_and_value
from ._core import KeyCodec, list_indexes
from ._exceptions import InvalidArgumentError, StoreError, StoreExistsError
from ._keys import key_check
from ._kinds import Kind
from ._limits import BULK_ITEMS
from ._opening import on_thread
from ._schema import StoreSchema
from ._values import value_codec

if TYPE_CHECKING:
    from ._btree_options import BtreeOptions
    from ._core import BulkLoader, Engine, StoreInfo
    from ._core import Transaction as Native

Rows = Iterable[Any] | AsyncIterable[Any]


def refuse_indexed(
    name: str, schema: StoreSchema, options: BtreeOptions | None, existing: StoreInfo | None, native: Native
) -> None:
    """A load makes no entries of indexes, so it is not for stores that have any."""
    indexed = existing is not None and bool(list_indexes(native, existing.id))
    enforced = any(relation.on_delete for relation in schema.relations)
    if indexed or enforced or (options is not None and options.indexes):
        raise InvalidArgumentError(
            f"store '{name}' is to be loaded in bulk, and has indexes or enforced relations: load it without them, "
            "and then add them with tx.create_index()"
        )


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
        key_type, value_type = types
        self._check_key = key_check(name, key_type)
        self._codec = value_codec(value_type)
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
            async for piece in _Pieces(rows):
                await on_thread(functools.partial(loader.add_items, self._packed(piece)))
                if progress is not None:
                    progress(loader.rows)
            count = loader.rows
            await on_thread(loader.finish)
        except BaseException as error:
            # On a thread of its own: taking it back waits for a piece that is under way.
            threading.Thread(target=loader.cancel, name="sopasync-bulk-cancel").start()
            self._name_store(error)
            raise
        return count

    def run_blocking(
        self, rows: Iterable[Any], *, refuse_duplicates: bool, progress: Callable[[int], object] | None
    ) -> int:
        """`run` on this thread. Blocks."""
        loader = self._begin(refuse_duplicates=refuse_duplicates)
        try:
            remaining = iter(rows)
            while piece := list(itertools.islice(remaining, BULK_ITEMS)):
                loader.add_items(self._packed(piece))
                if progress is not None:
                    progress(loader.rows)
            count = loader.rows
            loader.finish()
        except BaseException as error:
            loader.cancel()
            self._name_store(error)
            raise
        return count

    def _name_store(self, error: BaseException) -> None:
        if isinstance(error, StoreError) and error.store is None:
            error.store = self._name
            error.message = f"store '{self._name}': {error.message}"

    def _begin(self, *, refuse_duplicates: bool) -> BulkLoader:
        schema = self._schema
        codec = KeyCodec(unique=schema.unique, fields=schema.fields)
        form = self._codec.form
        if self._existing is not None:
            return self._engine.bulk_load(
                codec, form, store_id=self._existing.id, refuse_duplicates=refuse_duplicates
            )
        return self._engine.bulk_load(
            codec,
            form,
            name=self._name,
            kind=Kind.BTREE,
            options=schema.to_bytes(),
            refuse_duplicates=refuse_duplicates,
        )

    def _packed(self, piece: list[Any]) -> list[Any]:
        """The piece as the loader takes it, which packs values itself where it can."""
        check_key, encode = self._check_key, self._codec.encode
        if check_key is not None:
            for item in piece:
                check_key(key_and_value(item)[0])
        if self._codec.form is not None:
            return piece
        return [(key, encode(value)) for key, value in map(key_and_value, piece)]


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
