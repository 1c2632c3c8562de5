"""`ModelStore`: models under a category and a name, as one transaction sees them."""

from __future__ import annotations

from typing import Any, TypeVar, final, overload

from sopasync._models import ModelStore as AsyncModelStore
from sopasync._models import Verify

from ._calls import Blocking, StandingStore, drive_aside

T = TypeVar("T")


@final
class ModelStore(StandingStore[AsyncModelStore]):
    """A model store, opened by `Transaction.open_model_store`.

    What the calls take, do, return and raise is told by the calls of the same names of `sopasync.ModelStore`.
    """

    __slots__ = ()

    save = Blocking(AsyncModelStore.save)
    get = Blocking(AsyncModelStore.get)
    info = Blocking(AsyncModelStore.info)
    exists = Blocking(AsyncModelStore.exists)
    list = Blocking(AsyncModelStore.list)
    infos = Blocking(AsyncModelStore.infos)
    categories = Blocking(AsyncModelStore.categories)
    delete = Blocking(AsyncModelStore.delete)

    # Overloads are not taken over by a type checker, so that these are said again.
    @overload
    def load(
        self, category: str, name: str, into: type[T], *, trust_pickle: bool = False, verify: Verify = "once"
    ) -> T: ...
    @overload
    def load(
        self,
        category: str,
        name: str,
        into: None = None,
        *,
        trust_pickle: bool = False,
        verify: Verify = "once",
    ) -> Any: ...
    def load(
        self,
        category: str,
        name: str,
        into: Any = None,
        *,
        trust_pickle: bool = False,
        verify: Verify = "once",
    ) -> Any:
        """Load a model; its arrays are read-only."""
        loading = self.awaited.load(category, name, into, trust_pickle=trust_pickle, verify=verify)
        return drive_aside(loading)
