"""The vector stores of ``_core``, in a file of their own. There is no such module at run time."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, final, overload

import numpy as np
from numpy.typing import NDArray

from ._core import Completions, KeyBatch, Miss

_I = TypeVar("_I", covariant=True)
_P = TypeVar("_P", covariant=True)

@final
class VectorHit(Generic[_I, _P]):
    """A vector that a query found. Its payload is unpacked when it is first looked at."""

    __match_args__ = ("id", "score", "distance", "payload")

    def __new__(
        cls,
        id: _I,  # noqa: A002 - the name it has everywhere
        score: float,
        distance: float,
        payload: _P | None = None,
    ) -> VectorHit[_I, _P]: ...
    @property
    def id(self) -> _I:
        """Its id."""

    @property
    def score(self) -> float:
        """Larger is nearer: cosine, inner product, or the negative distance."""

    @property
    def distance(self) -> float:
        """Smaller is nearer: 1 - cosine, the negative inner product, Euclidean distance, or bits that differ."""

    @property
    def payload(self) -> _P | None:
        """Its payload; ``None`` when it has none, or payloads were not asked for."""

    def __hash__(self) -> int: ...

@final
class VectorHits(Sequence[VectorHit[_I, _P]], Generic[_I, _P]):
    """What a query found, nearest first. Each hit is made when it is first looked at, and kept."""

    def __new__(cls, hits: Iterable[VectorHit[_I, _P]] | None = None) -> VectorHits[_I, _P]: ...
    @property
    def ids(self) -> list[_I]:
        """Their ids: quicker than by the hits, which are not made for it."""

    @property
    def scores(self) -> NDArray[np.float32]:
        """Their scores, read-only."""

    @property
    def distances(self) -> NDArray[np.float32]:
        """Their distances, read-only."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, at: int, /) -> VectorHit[_I, _P]: ...
    @overload
    def __getitem__(self, at: slice, /) -> list[VectorHit[_I, _P]]: ...
    def __iter__(self) -> Iterator[VectorHit[_I, _P]]: ...
    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int: ...
    def count(self, value: Any) -> int: ...
    def __add__(self, other: Sequence[VectorHit[_I, _P]], /) -> list[VectorHit[_I, _P]]: ...
    def __radd__(self, other: list[VectorHit[_I, _P]], /) -> list[VectorHit[_I, _P]]: ...

@final
class VectorParticipant:
    """One vector store inside one transaction.

    A vector is a list or tuple of numbers, or a buffer: float32 for f32, uint16 for f16, int8, or bits packed into
    uint8.
    A search that takes about a millisecond or more returns ``MISS`` as well.
    """

    @property
    def store_id(self) -> int: ...
    def upsert(self, key: object, vector: object, payload: bytes | None = None) -> bool | Miss:
        """Whether the key was there."""

    def upsert_many(
        self, keys: Sequence[object], vectors: object, payloads: Sequence[bytes] | None = None, first: int = 0
    ) -> int | Miss:
        """How many were there. ``vectors`` is a list of vectors or a buffer with a row for each.

        ``first`` is the position of the first one, for messages.
        """

    def delete(self, key: object) -> bool | Miss: ...
    def delete_many(self, keys: Sequence[object]) -> int | Miss:
        """How many were there."""

    def get(self, key: object) -> tuple[bytes, bytes] | Miss | None:
        """(elements, packed payload)."""

    def get_many(self, keys: Sequence[object]) -> list[tuple[bytes, bytes] | None] | Miss: ...
    def contains(self, key: object) -> bool | Miss: ...
    def count(self) -> int | Miss: ...
    def scan(self, after: bytes | None, limit: int, entries: bool) -> tuple[list[Any], bytes | None] | Miss:
        """Keys, or (key, (elements, packed payload)), in key order; and the raw key to go on after."""

    def statistics(self) -> dict[str, Any]:
        """What the index knows at this moment; reads nothing."""

    def query(
        self,
        vectors: object,
        k: int | None,
        *,
        many: bool = False,
        within: float | None = None,
        packed_filter: bytes | None = None,
        ef: int | None = None,
        exact: bool = False,
        payloads: bool = True,
        among: KeyBatch | None = None,
        first: int = 0,
    ) -> VectorHits[Any, Any] | list[VectorHits[Any, Any]] | Miss:
        """The nearest; with ``many``, a list with those of each vector.

        ``first`` is the position of the first one, for messages.
        """

    def find(
        self,
        vector: object,
        k: object,
        filter: object,  # noqa: A002 - the name it has everywhere
        ef: object,
        exact: object,
        payloads: object,
    ) -> VectorHits[Any, Any] | Miss | None:
        """`query` for what is asked most often. None: it is something else, to be looked at and converted first."""

    @property
    def took_long(self) -> bool:
        """The last search took more than its share of a turn."""

    def know_filter(self, filter: object, packed: bytes) -> None:  # noqa: A002 - the name it has everywhere
        """From now on `find` knows what this filter packs to, if it is a plain dict."""

    def retry(self, completions: Completions, token: int) -> None:
        """Run the last call that returned ``MISS`` on an engine thread; its result arrives by ``completions``."""
