"""`VectorStore`: vectors found by their nearness, as one transaction sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, final, overload

from sopasync._vector import VectorStore as AsyncVectorStore

from ._calls import Blocking, StandingStore, drive_aside
from ._scan import Scan

if TYPE_CHECKING:
    from sopasync._vector_config import VectorConfig
    from sopasync._vector_items import VectorItem
    from sopasync._vector_statistics import VectorStatistics

I = TypeVar("I")  # noqa: E741 - as in `sopasync.VectorStore`
P = TypeVar("P")


@final
class VectorStore(StandingStore[AsyncVectorStore[I, P]], Generic[I, P]):
    """A vector store, opened by `Transaction.open_vector_store`.

    What the calls take, do, return and raise is told by the calls of the same names of `sopasync.VectorStore`.
    """

    __slots__ = ()

    @property
    def config(self) -> VectorConfig:
        """How the store was made."""
        return self.awaited.config

    # Overloads are not taken over by a type checker, so that these are said again.
    @overload
    def upsert(self, id: I, vector: Any, payload: P | None = None) -> None: ...
    @overload
    def upsert(self, id: VectorItem[I, P] | list[VectorItem[I, P]]) -> None: ...
    def upsert(self, id: Any, vector: Any = None, payload: Any = None) -> None:
        """Add a vector or replace it; or an item, or a list of items."""
        drive_aside(self.awaited.upsert(id, vector, payload))

    @overload
    def delete(self, id: list[I]) -> int: ...  # type: ignore[overload-overlap]
    @overload
    def delete(self, id: I) -> bool: ...
    def delete(self, id: Any) -> bool | int:
        """Delete a vector; returns whether it was there. Of a list, how many were."""
        return cast("bool | int", drive_aside(self.awaited.delete(id)))

    upsert_many = Blocking(AsyncVectorStore[I, P].upsert_many)
    get = Blocking(AsyncVectorStore[I, P].get)
    get_many = Blocking(AsyncVectorStore[I, P].get_many)
    contains = Blocking(AsyncVectorStore[I, P].contains)
    count = Blocking(AsyncVectorStore[I, P].count)
    query = Blocking(AsyncVectorStore[I, P].query)
    query_many = Blocking(AsyncVectorStore[I, P].query_many)
    query_range = Blocking(AsyncVectorStore[I, P].query_range)
    export_usearch = Blocking(AsyncVectorStore[I, P].export_usearch)
    import_usearch = Blocking(AsyncVectorStore[I, P].import_usearch)

    def ids(self) -> Scan[I]:
        """Iterate over the ids, in their order."""
        return Scan(self.awaited.ids())

    def items(self) -> Scan[VectorItem[I, P]]:
        """Iterate over ids, vectors and payloads, in the order of ids."""
        return Scan(self.awaited.items())

    def statistics(self) -> VectorStatistics:
        """Describe how the vectors lie."""
        return self.awaited.statistics()
