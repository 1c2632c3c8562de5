"""`VectorStore`: vectors with ids and payloads, and the nearest of them, as one transaction sees them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, final, overload

from ._among import Among, encoded
from ._core import MISS
from ._exceptions import InvalidArgumentError, StoreError
from ._filters import Filter, pack_filter
from ._limits import BATCH_BYTES, BATCH_ITEMS_FIRST, BATCH_ITEMS_MAX, QUERIES_MAX, QUERY_NUMBERS_FIRST
from ._pace import Pace
from ._vector_arguments import distance, positive, truth, vector_items
from ._vector_files import export_usearch, import_usearch
from ._vector_input import (
    PayloadRows,
    id_list,
    many_vectors,
    one_vector,
    slice_of,
    sliceable_ids,
    vector_rows,
    vectors_to_store,
)
from ._vector_items import VectorHits, VectorItem
from ._vector_scan import VectorScan
from ._vector_statistics import VectorStatistics

if TYPE_CHECKING:
    from ._core import KeyBatch
    from ._core import Transaction as Native
    from ._turns import Turns
    from ._vector_actor import PayloadCodec, VectorActor
    from ._vector_config import VectorConfig

I = TypeVar("I")  # noqa: E741 - the type of ids
P = TypeVar("P")

FilterLike = Filter | Mapping[str, Any]
"""A filter in either form."""


@final
class VectorStore(Generic[I, P]):
    """A vector store, opened by `Transaction.open_vector_store`.

    Everything is as the transaction's snapshot has it, with its own changes: a query finds what was committed before
    the transaction began and what the transaction itself has added, and nothing else.

    A call returns without giving up the event loop unless it must wait for the disk or takes about a millisecond; then
    it runs on a thread of the engine. A call that is cancelled has changed nothing. Calls that take many do
    all of it or nothing.
    """

    __slots__ = ("_payload", "_turns", "actor", "participant", "turns_granted", "turns_left")

    def __init__(self, turns: Turns, native: Native, actor: VectorActor, payload: PayloadCodec) -> None:
        self.actor = actor
        self.participant = native.vector_participant(actor.name, actor.codec, payload.decode)
        self.turns_granted = 0
        self.turns_left = 0
        self._turns = turns
        self._payload = payload

    def __repr__(self) -> str:
        config = self.config
        kind = f"{config.dimension} x {config.element}, {config.metric}"
        return f"<sopasync.VectorStore {self.name!r}, {kind}, {id(self):#x}>"

    @property
    def name(self) -> str:
        """Name of the store."""
        return self.actor.name

    @property
    def config(self) -> VectorConfig:
        """How the store was made."""
        return self.actor.config

    # -- writing ------------------------------------------------------------------------------------

    @overload
    async def upsert(self, id: I, vector: Any, payload: P | None = None) -> None: ...
    @overload
    async def upsert(self, id: VectorItem[I, P] | list[VectorItem[I, P]]) -> None: ...
    async def upsert(self, id: Any, vector: Any = None, payload: Any = None) -> None:
        """Give an id a vector and a payload, whatever it had before.

        Args:
            id: Whatever can be a key: int, str, bytes, UUID, datetime, or a tuple of these. Or, alone, a `VectorItem`
                or a list of them.
            vector: A list or tuple of numbers, a numpy array of any float or int type, or anything with a buffer.
            payload: A dict, or a record with named fields (dataclass, Struct); what filters ask about.

        Two transactions that insert different ids never conflict; of two that upsert one id, the later fails.

        Raises:
            VectorError: Wrong dimension or type, NaN or infinity, a payload that is no record; nothing was changed.
            KeyTypeError, CodecError: The id or payload cannot be stored.
            ReadOnlyError: The transaction only reads.
        """
        if vector is None:
            items = vector_items(id)
            if items is not None:
                await self.upsert_many(
                    [item.id for item in items],
                    [item.vector for item in items],
                    [item.payload for item in items],
                )
                return
        if isinstance(id, VectorItem) and vector is None:
            item = cast("VectorItem[Any, Any]", id)
            id, vector, payload = item.id, item.vector, item.payload
        try:
            made = one_vector(self.config, vector)
            packed = self._payload.encode(payload)
        except StoreError as error:
            raise self._named(error) from error.__cause__
        await self.run_call(self.participant.upsert, id, made, packed)

    async def upsert_many(
        self,
        ids: Iterable[I],
        vectors: Any,
        payloads: Sequence[P | None] | Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        """Give many ids their vectors and payloads: all of them or, when one is refused, none.

        Args:
            ids: A list, range or numpy array. Of an id that comes twice the last vector holds.
            vectors: A list of vectors, or a numpy array with a row for each, which is read where it lies.
            payloads: A list of payloads (``None`` for none), or columns: a dict of one list or array for each field.

        Raises:
            VectorError, KeyTypeError, CodecError, ReadOnlyError: As `upsert`; the message names the position.
            InvalidArgumentError: The lists are not of one length.
        """
        keys = sliceable_ids(ids)
        rows = PayloadRows(payloads, len(keys))
        try:
            vectors = vectors_to_store(vectors)
        except StoreError as error:
            raise self._named(error) from error.__cause__
        if len(vectors) != len(keys):
            raise InvalidArgumentError(
                f"{len(keys)} ids and {len(vectors)} vectors: give one vector for each id"
            )
        async with self._turns.turn(self) as turn:
            turn.undo_on_error()
            most = max(min(BATCH_ITEMS_MAX, BATCH_BYTES // self.config.row_bytes), 1)
            pace = Pace(self.actor, BATCH_ITEMS_FIRST, most)
            done = 0
            while done < len(keys):
                end = min(done + pace.items, len(keys))
                try:
                    piece = many_vectors(self.config, vectors[done:end])
                    packed = self._packed(rows.piece(done, end))
                    ids_here = slice_of(keys, done, end)
                    await turn.call(self.participant.upsert_many, ids_here, piece, packed, done)
                except StoreError as error:
                    raise self._named(error) from error.__cause__
                pace.end()
                await turn.pause_if_due(end - done)
                done = end
                pace.begin()

    def _packed(self, payloads: list[Any] | None) -> list[bytes] | None:
        return None if payloads is None else [self._payload.encode(payload) or b"" for payload in payloads]

    @overload
    async def delete(self, id: list[I]) -> int: ...  # type: ignore[overload-overlap]
    @overload
    async def delete(self, id: I) -> bool: ...
    async def delete(self, id: Any) -> bool | int:
        """Delete an id's vector and payload; returns whether it was there. Of a list of ids, how many were.

        Raises:
            ReadOnlyError: The transaction only reads.
        """
        if isinstance(id, list):
            return await self._delete_many(cast("list[Any]", id))
        return cast("bool", await self.run_call(self.participant.delete, id))

    async def _delete_many(self, ids: list[Any]) -> int:
        deleted = 0
        async with self._turns.turn(self) as turn:
            turn.undo_on_error()
            pace = Pace(self.actor, BATCH_ITEMS_FIRST, BATCH_ITEMS_MAX)
            done = 0
            while done < len(ids):
                piece = ids[done : done + pace.items]
                try:
                    deleted += await turn.call(self.participant.delete_many, piece)
                except StoreError as error:
                    raise self._named(error) from error.__cause__
                done += len(piece)
                pace.end()
                await turn.pause_if_due(len(piece))
                pace.begin()
        return deleted

    # -- reading ------------------------------------------------------------------------------------

    async def get(self, id: I) -> VectorItem[I, P] | None:
        """Return an id's vector (a read-only numpy array) and payload; ``None`` when it is not there."""
        entry = await self.run_call(self.participant.get, id)
        return None if entry is None else self.made_item(id, entry)

    async def get_many(self, ids: Iterable[I]) -> list[VectorItem[I, P] | None]:
        """Return the items of ids, in their order; ``None`` for those that are not there."""
        keys = id_list(ids)
        found: list[VectorItem[I, P] | None] = []
        most = max(min(BATCH_ITEMS_MAX, BATCH_BYTES // self.config.row_bytes), 1)
        async with self._turns.turn(self) as turn:
            pace = Pace(self.actor, BATCH_ITEMS_FIRST, most)
            while len(found) < len(keys):
                piece = keys[len(found) : len(found) + pace.items]
                try:
                    entries = await turn.call(self.participant.get_many, piece)
                except StoreError as error:
                    raise self._named(error) from error.__cause__
                found += [
                    None if entry is None else self.made_item(key, entry)
                    for key, entry in zip(piece, entries, strict=True)
                ]
                pace.end()
                await turn.pause_if_due(len(piece))
                pace.begin()
        return found

    async def contains(self, id: I) -> bool:
        """Tell whether an id is there."""
        return cast("bool", await self.run_call(self.participant.contains, id))

    async def count(self) -> int:
        """Count the vectors."""
        return cast("int", await self.run_call(self.participant.count))

    def ids(self) -> VectorScan[I]:
        """Iterate over the ids in their order."""
        return VectorScan(self, entries=False)

    def items(self) -> VectorScan[VectorItem[I, P]]:
        """Iterate over the items in the order of their ids."""
        return VectorScan(self, entries=True)

    def statistics(self) -> VectorStatistics:
        """What the index knows at this moment: segments, tail, memory, an estimate of recall."""
        return VectorStatistics.of(self.participant.statistics())

    async def export_usearch(self, path: str | os.PathLike[str]) -> int:
        """Write the vectors, with a graph, as a ``.usearch`` file that the usearch library opens; returns how many.

        Ids must be whole numbers from 0 to 2**64 - 2; payloads are left out. Vectors are held in memory meanwhile.
        """
        return await export_usearch(self, path)

    async def import_usearch(self, path: str | os.PathLike[str]) -> int:
        """Upsert the vectors of a ``.usearch`` file under their keys; returns how many.

        Raises:
            InvalidArgumentError: It is no such file, or its vectors are of another dimension or element.
        """
        return await import_usearch(self, path)

    # -- searching ----------------------------------------------------------------------------------

    async def query(
        self,
        vector: Any,
        k: int = 10,
        filter: FilterLike | None = None,
        *,
        among: Among | None = None,
        ef: int | None = None,
        exact: bool = False,
        payloads: bool = True,
    ) -> VectorHits[I, P]:
        """Find the `k` nearest vectors, nearest first: always `k` of them, or all that match.

        Args:
            vector: As in `upsert`.
            k: How many.
            filter: What their payloads must be: ``{"price": {"$lt": 100}}`` or ``field("price") < 100``.
            among: Only these ids, from any iterable, such as keys of a B-tree store at the same snapshot:
                ``products.index("by_maker").keys(equals="Acme")``. Each of them is measured, exactly.
            ef: Candidates to keep in graphs, more than `k`: more find more of the true nearest, slower.
            exact: Miss nothing: find what measuring every vector that matches would.
            payloads: Bring the payloads of the hits.

        In a serializable transaction that also writes, the commit depends on what was found: it fails when others have
        changed the store meanwhile.

        Raises:
            VectorError: Wrong dimension or type, NaN or infinity.
            InvalidArgumentError: `k` is less than 1, the filter is none, or no payload has a field that it names.
        """
        if among is not None:
            try:
                ids = await encoded(among, self.actor.codec, self._turns)
            except StoreError as error:
                raise self._named(error) from error.__cause__
            return await self._search(
                vector, positive("k", k), filter, exact=exact, payloads=payloads, ef=ef, among=ids
            )
        participant = self.participant
        found: Any
        try:
            if self.turns_left or self._turns.grant(self):
                self.turns_left -= 1
                found = participant.find(vector, k, filter, ef, exact, payloads)
                if found is MISS:
                    found = await self._turns.resume(self)
            else:
                found = await self._turns.run(self, participant.find, vector, k, filter, ef, exact, payloads)
            if participant.took_long:
                self.look_soon()
        except StoreError as error:
            raise self._named(error) from error.__cause__
        if found is None:
            # A form that has to be converted, a filter that is new, or a mistake, which is told in detail here.
            found = await self._search(
                vector, positive("k", k), filter, ef=ef, exact=exact, payloads=payloads
            )
        hits: VectorHits[I, P] = found
        return hits

    async def query_many(
        self,
        vectors: Any,
        k: int = 10,
        filter: FilterLike | None = None,
        *,
        ef: int | None = None,
        exact: bool = False,
        payloads: bool = True,
    ) -> list[VectorHits[I, P]]:
        """Find the `k` nearest of each of many vectors: `query` for all of them at once, faster than one by one.

        They are searched for in pieces, each on several threads when it takes long, and all at the same snapshot.

        Args:
            vectors: A list of vectors, or a numpy array with a row for each.
            k: How many for each of them.
            filter: As in `query`.
            ef: As in `query`.
            exact: As in `query`.
            payloads: As in `query`.

        Raises:
            VectorError: As `query`; the message names the position.
            InvalidArgumentError: As `query`.
        """
        k, ef = positive("k", k), None if ef is None else positive("ef", ef)
        exact, payloads = truth("exact", exact), truth("payloads", payloads)
        packed = self._known(filter)
        try:
            rows = vector_rows(vectors)
        except StoreError as error:
            raise self._named(error) from error.__cause__
        found: list[VectorHits[I, P]] = []
        first = max(QUERY_NUMBERS_FIRST // self.config.dimension, 1)
        pace = Pace(self.actor, first, QUERIES_MAX)

        def search(piece: Any) -> Any:
            hits = self.participant.query(
                many_vectors(self.config, piece),
                k,
                many=True,
                packed_filter=packed,
                ef=ef,
                exact=exact,
                payloads=payloads,
                first=len(found),
            )
            pace.end()  # an engine thread's work is no part of it
            return hits

        async with self._turns.turn(self) as turn:
            while len(found) < len(rows):
                piece = rows[len(found) : len(found) + pace.items]
                try:
                    pace.begin()
                    found += await turn.call(search, piece)
                except StoreError as error:
                    raise self._named(error) from error.__cause__
                await turn.pause_if_due(len(piece))
        return found

    async def query_range(
        self,
        vector: Any,
        radius: float,
        filter: FilterLike | None = None,
        *,
        limit: int | None = None,
        payloads: bool = True,
    ) -> VectorHits[I, P]:
        """Find every vector whose distance is at most `radius`, nearest first; exactly.

        Args:
            vector: As in `upsert`.
            radius: The largest `VectorHit.distance`.
            filter: As in `query`.
            limit: Only the nearest so many.
            payloads: Bring the payloads of the hits.
        """
        within = distance(radius)
        k = None if limit is None else positive("limit", limit)
        return await self._search(vector, k, filter, within=within, exact=True, payloads=payloads)

    def _known(self, given: FilterLike | None) -> bytes | None:
        """The packed filter, from now on known to the engine."""
        packed = pack_filter(given)
        if packed is not None:
            self.participant.know_filter(given, packed)
        return packed

    async def _search(
        self,
        vector: Any,
        k: int | None,
        given: FilterLike | None,
        *,
        within: float | None = None,
        ef: int | None = None,
        exact: bool = False,
        payloads: bool = True,
        among: KeyBatch | None = None,
    ) -> VectorHits[I, P]:
        packed = self._known(given)
        ef = None if ef is None else positive("ef", ef)
        exact, payloads = truth("exact", exact), truth("payloads", payloads)
        try:
            made = one_vector(self.config, vector)
        except StoreError as error:
            raise self._named(error) from error.__cause__

        def query() -> Any:
            return self.participant.query(
                made,
                k,
                within=within,
                packed_filter=packed,
                ef=ef,
                exact=exact,
                payloads=payloads,
                among=among,
            )

        hits: VectorHits[I, P] = await self.run_call(query)
        if self.participant.took_long:
            self.look_soon()
        return hits

    # -- for the modules beside this one ------------------------------------------------------------

    async def run_call(self, operation: Callable[..., Any], *args: Any) -> Any:
        """Run an engine call as one turn; errors name the store."""
        try:
            if self.turns_left or self._turns.grant(self):
                self.turns_left -= 1
                result = operation(*args)
                return await self._turns.resume(self) if result is MISS else result
            return await self._turns.run(self, operation, *args)
        except StoreError as error:
            raise self._named(error) from error.__cause__

    def look_soon(self) -> None:
        """The last turn was a long one: have the next one look at the clock."""
        self._turns.look_soon(self)

    def made_item(self, key: Any, entry: tuple[bytes, bytes]) -> VectorItem[Any, Any]:
        """Make an item of what the engine returned."""
        import numpy as np

        elements, packed = entry
        return VectorItem(
            key, np.frombuffer(elements, dtype=self.config.numpy_type), self._payload.decode(packed)
        )

    def _named(self, error: StoreError) -> StoreError:
        if error.store is None:
            error.store = self.name
            error.message = f"store '{self.name}': {error.message}"
        return error
