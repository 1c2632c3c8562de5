"""Indexes and joins of ``_core``, in a file of their own. There is no such module at run time."""

from collections.abc import Sequence
from typing import Any, TypeVar, final

from ._core import Completions, Miss, Transaction, ValueForm
from ._core_keys import KeyCodec

_T = TypeVar("_T")

@final
class IndexParticipant:
    """One index of one store inside one transaction. ``lo`` and ``hi`` are bytes of entries."""

    @property
    def index_id(self) -> int: ...
    def scan(
        self,
        lo: bytes | None,
        hi: bytes | None,
        *,
        lo_open: bool = False,
        hi_open: bool = True,
        reverse: bool = False,
        limit: int = 1000,
        what: int = 1,
    ) -> Any:
        """Return a page as ``Participant.scan`` does, with the entry to go on after. ``what`` 5: fields and key."""

    def count(self, lo: bytes | None, hi: bytes | None) -> int | Miss: ...
    def skip(self, lo: bytes | None, hi: bytes | None, reverse: bool, n: int) -> bytes | Miss | None:
        """Return the entry after ``n`` others in the range; ``None`` past its end. Counted, not walked."""

    def fill(
        self, after: bytes | None, items: int, target: KeyCodec
    ) -> tuple[bytes | None, list[tuple[Any, Any, str]]] | Miss:
        """Make the entries of so many items after a raw key of the store, of a relation that is being added.

        Returns the key to go on after, and the items refused: key, the key it refers to in the target (``None`` where
        that is not the reason), and why.
        """

    def state(self) -> tuple[str, int, Any, str | None] | Miss:
        """Return ``"ready"``, ``"building"`` or ``"failed"``, items done, the key that failed, and why."""

    def retry(self, completions: Completions, token: int) -> None: ...

@final
class JoinParticipant:
    """A join inside one transaction."""

    def fill(self, limit: int) -> Miss | None:
        """Make up to ``limit`` rows, for ``page``."""

    def page(self) -> tuple[tuple[list[Any], list[Any], list[Any] | None, Places | None], ...]:
        """Return the rows that were made.

        For each store its items, each once: keys, values and, where keys repeat, item ids; and which of them the
        rows have, ``None`` when each row has the next one.
        """

    @property
    def ended(self) -> bool:
        """Whether all rows have been made. Until then a page may be empty."""

    def retry(self, completions: Completions, token: int) -> None: ...

@final
class Places:
    """Which of the items of a store the rows of a page have."""

    def spread(self, of: list[_T]) -> list[_T | None]:
        """Return, for every row, what ``of`` has for its item; ``None`` for rows without one."""

def create_index(
    transaction: Transaction,
    store: str,
    name: str,
    fields: Sequence[tuple[int, str, int, bool]],
    *,
    unique: bool,
    key: tuple[bool, list[bool] | None],
    reference: tuple[str, tuple[bool, list[bool] | None], bool] | None = None,
    to_fill: bool = False,
) -> None:
    """Declare an index. A field: 0 (of the value), 1 (of the key) or 2 (rides along); path; position; ascending.

    With ``to_fill`` it is complete with the commit, and the caller has it filled before.
    """

def drop_index(transaction: Transaction, store_id: int, name: str) -> bool:
    """Drop an index; false when there is none of that name."""

def has_made(transaction: Transaction, store_id: int) -> bool:
    """Whether the transaction has made the store itself."""

def list_indexes(
    transaction: Transaction, store_id: int
) -> list[
    tuple[
        int,
        tuple[
            str,
            bool,
            list[tuple[int, str, int, bool]],
            tuple[str, tuple[bool, list[bool] | None], bool] | None,
        ],
    ]
]:
    """Return the number of each index's own store, its name, whether unique, its fields and its reference."""

def open_index(
    transaction: Transaction,
    store_id: int,
    name: str,
    codec: KeyCodec,
    form: ValueForm | None,
    fields: KeyCodec,
) -> IndexParticipant | None:
    """Open an index; ``None`` when the store has none of that name. ``fields`` is the codec of its fields."""

def open_join(
    transaction: Transaction,
    left: tuple[int, str | None, bytes | None, bytes | None, bool],
    steps: Sequence[
        tuple[
            int,
            tuple[bool, list[bool] | None],
            Sequence[tuple[int, str, int, bool]],
            int,
            str | None,
            tuple[bool, list[bool] | None],
            bool,
        ]
    ],
    places: Sequence[tuple[KeyCodec, ValueForm | None]],
) -> JoinParticipant:
    """Begin a join.

    ``left``: the store to go along, an index of it, first and last key, reverse. Each step: the place of the row its
    fields are of and how keys there are laid out, the fields, the store and index to look in, how keys there are laid
    out, and whether rows without a match are kept.
    """
