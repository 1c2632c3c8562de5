"""`SearchStore`: documents found by their words, as one transaction sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sopasync._search import SearchStore as AsyncSearchStore

from ._calls import Blocking, StandingStore

if TYPE_CHECKING:
    from sopasync._statistics import StoreDescription


@final
class SearchStore(StandingStore[AsyncSearchStore]):
    """A search store, opened by `Transaction.open_search`.

    What the calls take, do, return and raise is told by the calls of the same names of `sopasync.SearchStore`.
    """

    __slots__ = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of its documents."""
        return self.awaited.fields

    @property
    def description(self) -> StoreDescription:
        """What the catalogue says about the store."""
        return self.awaited.description

    def terms(self, text: str, *, field: str | None = None) -> list[str]:
        """The terms that a text is found by."""
        return self.awaited.terms(text, field=field)

    add = Blocking(AsyncSearchStore.add)
    add_many = Blocking(AsyncSearchStore.add_many)
    update = Blocking(AsyncSearchStore.update)
    delete = Blocking(AsyncSearchStore.delete)
    delete_many = Blocking(AsyncSearchStore.delete_many)
    get = Blocking(AsyncSearchStore.get)
    contains = Blocking(AsyncSearchStore.contains)
    count = Blocking(AsyncSearchStore.count)
    search = Blocking(AsyncSearchStore.search)
    statistics = Blocking(AsyncSearchStore.statistics)
