"""The native engine as Python sees it. Private: the public face is ``sopasync``.

Calls marked *blocking* release the GIL and belong on a worker thread. All others run inline and
never wait: where an answer is not in memory they return ``MISS``, and ``Participant.retry`` has an
engine thread fetch it. Engine threads never touch Python; what they finish waits in a
``Completions`` queue for ``drain`` on the loop's thread.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, final
from uuid import UUID

from ._core_index import (
    IndexParticipant,
    JoinParticipant,
    Places,
    create_index,
    drop_index,
    has_made,
    list_indexes,
    open_index,
    open_join,
)
from ._core_keys import KeyBatch, KeyCodec, prefix_end
from ._core_memory import BegunRead, KeptValue, MappedBytes
from ._core_search import SearchParticipant, SearchSchema, search_language
from ._core_vector import VectorHit, VectorHits, VectorParticipant

__all__ = [
    "ADD",
    "APPEND",
    "MAX",
    "MIN",
    "MISS",
    "BegunRead",
    "BulkLoader",
    "ChangeFeed",
    "Completions",
    "Engine",
    "IndexParticipant",
    "JoinParticipant",
    "KeptValue",
    "KeyBatch",
    "KeyCodec",
    "MappedBytes",
    "Miss",
    "Participant",
    "Places",
    "SearchParticipant",
    "SearchSchema",
    "StoreInfo",
    "Transaction",
    "ValueForm",
    "VectorHit",
    "VectorHits",
    "VectorParticipant",
    "__version__",
    "_shutdown_all",
    "create_index",
    "decode_value",
    "drop_index",
    "encode_value",
    "has_made",
    "list_indexes",
    "open_index",
    "open_join",
    "payload_matches",
    "prefix_end",
    "read_usearch",
    "search_language",
    "write_usearch",
]

@final
class Miss:
    """Type of ``MISS``."""

MISS: Final[Miss]
"""The answer is not in memory: nothing was changed; call ``Participant.retry``."""

__version__: Final[str]
ADD: Final[int]
MAX: Final[int]
MIN: Final[int]
APPEND: Final[int]
"""Operations for ``Participant.merge``."""

@final
class Engine:
    """One database of this process, shared by every handle of the same canonical path."""

    @staticmethod
    def open(
        path: str,
        *,
        cache_bytes: int = ...,
        page_bytes: int = ...,
        durability: str = ...,
        read_only: bool = ...,
        create: bool = ...,
        checkpoint_log_bytes: int = ...,
        checkpoint_interval_s: float = ...,
        changes_kept_bytes: int = ...,
    ) -> Engine:
        """Open the database at ``path``, or join the engine that has it open. Blocking.

        ``durability`` is "full" or "relaxed". Joining with options other than the engine's is refused, except
        that a read-only handle may join a writing engine.
        """

    @property
    def path(self) -> str:
        """The canonical path."""

    @property
    def closed(self) -> bool:
        """This handle has been closed."""

    @property
    def read_only(self) -> bool:
        """This handle takes no writes."""

    @property
    def last_seq(self) -> int:
        """Number of the newest commit that is visible."""

    def begin(self, isolation: int, read_only: bool) -> Transaction:
        """Begin a transaction: 0 checks nothing at commit, 1 is snapshot, 2 serializable isolation."""

    def statistics(self) -> dict[str, int | float | str]:
        """Counters and gauges of the engine."""

    def changes(self, after: int, change: type[object]) -> ChangeFeed:
        """Read changes from the commit after ``after`` on; ``change`` is what puts are made with. Blocking."""

    def when_published(self, after: int, completions: Completions, token: int) -> None:
        """Tell by ``completions`` once, when a commit above ``after`` is visible or the engine is closed."""

    def refresh(self) -> int:
        """Follow the owner's log up to its end; the newest visible commit. Read-only databases. Blocking."""

    def checkpoint(self) -> None:
        """Write what is only in the log to the page file. Blocking."""

    def begin_checkpoint(self, completions: Completions, token: int) -> None:
        """Have the engine's own thread do the same; ``completions`` tells when it has."""

    def bulk_load(
        self,
        codec: KeyCodec,
        form: ValueForm | None = None,
        *,
        store_id: int | None = None,
        name: str = "",
        kind: int = 0,
        options: bytes | None = None,
        memory_bytes: int = ...,
        refuse_duplicates: bool = False,
    ) -> BulkLoader:
        """Begin to load the empty store ``store_id``, or a new one. Blocking.

        Entries may come in any order; past ``memory_bytes`` they are sorted through temporary files. Of two entries
        of one key the last one holds, or the load fails.
        """

    def settle(self, store_id: int) -> None:
        """Wait until maintenance has nothing left to do for a store. Blocking."""

    def check(self, progress: Callable[[int, int], object] | None = None) -> dict[str, object]:
        """Verify everything stored; ``progress(done, total)`` may raise to stop. Blocking."""

    def backup(self, path: str, progress: Callable[[int, int], object] | None = None) -> dict[str, object]:
        """Copy the newest snapshot to a database at ``path``. Blocking."""

    def close(self) -> None:
        """Close this handle; the last one waits for commits in flight and closes the engine. Blocking, idempotent."""

@final
class BulkLoader:
    """A load being filled. Nothing of it shows before ``finish``; dropping it takes everything back."""

    @property
    def store(self) -> StoreInfo:
        """The store being loaded."""

    @property
    def rows(self) -> int:
        """Entries added so far, replaced ones counted."""

    def add(self, keys: Sequence[object], values: Sequence[object]) -> None:
        """Add entries. Keys are encoded with the GIL, what follows runs without it. Blocking."""

    def add_items(self, items: list[Any]) -> None:
        """The same with (key, value) tuples and Items."""

    def finish(self) -> int:
        """Build what is left and commit it; the commit's number. Blocking."""

    def cancel(self) -> None:
        """Take everything back. Idempotent. Blocking."""

@final
class ChangeFeed:
    """What committed transactions changed, in the order of commits."""

    def next(self, size: int, stores: Sequence[str] | None = None) -> list[tuple[int, list[Any], bool]]:
        """Commits that are there, about ``size`` bytes of them. Blocking.

        Of each its number, its changes in ``stores``, and whether all of these were made, as ``make_puts`` says. One
        that was not is a tuple: the store; 0 made, 1 removed, 2 loaded, 3 put, 4 deleted, 5 ride-along part changed, 6
        merged, 7 changed, once for a store that is no B-tree store; which operation was merged; key; ride-along part;
        value or operand. The value of a put is None when it was large and has been overwritten since.
        """

    def next_resident(
        self, size: int, stores: Sequence[str] | None = None
    ) -> list[tuple[int, list[Any], bool]] | None:
        """The same of what is in memory, in little time; ``None`` when ``next`` has to be asked."""

    def make_puts(self, store_id: int, name: str, codec: KeyCodec, form: ValueForm) -> None:
        """Have further puts of a store made into changes, where they can be read."""

@final
class Completions:
    """What engine threads have finished for one event loop."""

    def __init__(self) -> None: ...
    def fileno(self) -> int:
        """A descriptor that is readable when ``drain`` has something to give."""

    def drain(self) -> list[tuple[int, int, object]]:
        """Take everything finished: (token, 0, result) or (token, 1, exception)."""

    def submit(self, transactions: list[Transaction], tokens: list[int]) -> list[tuple[int, Exception]]:
        """Commit all of them in one group; the index of each that could not be handed over, and why."""

    def close(self) -> None:
        """Drop what is waiting and whatever finishes later. Idempotent."""

@final
class StoreInfo:
    """A store as the catalog has it."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> int: ...
    @property
    def options(self) -> bytes: ...

@final
class Transaction:
    """A snapshot and the writes on top of it. Belongs to one thread; dropping it rolls back."""

    @property
    def seq(self) -> int:
        """Number of the commit the snapshot shows."""

    @property
    def has_writes(self) -> bool: ...
    @property
    def write_bytes(self) -> int:
        """Memory the buffered writes take, about."""

    def pending_bytes(self) -> int:
        """About how many bytes a commit has to pack, work put off until then included; -1 with nothing to write."""

    def stores(self) -> list[StoreInfo]: ...
    def store_id(self, name: str) -> int | None:
        """``find_store``, when what the store is like is known."""

    def find_store(self, name: str) -> StoreInfo | None: ...
    def create_store(self, name: str, kind: int, options: bytes) -> StoreInfo:
        """Create a store with this transaction, or return the one that is there with the same kind and options."""

    def remove_store(self, store_id: int) -> None: ...
    def participant(self, store_id: int, codec: KeyCodec, form: ValueForm | None = None) -> Participant:
        """The store inside this transaction. Without a form, values are packed bytes."""

    def vector_participant(
        self, name: str, codec: KeyCodec, decode: Callable[[bytes], Any]
    ) -> VectorParticipant:
        """The vector store inside this transaction; `decode` unpacks payloads."""

    def search_participant(self, name: str, codec: KeyCodec) -> SearchParticipant:
        """The search store inside this transaction."""

    def savepoint(self) -> int: ...
    def rollback_to(self, savepoint: int) -> None:
        """Take back every write since ``savepoint``, which stays usable."""

    def undo(self, savepoint: int, completions: Completions, token: int) -> bool:
        """The same for an event loop: False when an engine thread does it, because it takes long, and tells later."""

    def submit(self, completions: Completions, token: int) -> None:
        """Commit; the outcome (the commit's number, or an exception) arrives by ``completions``."""

    def withdraw(self) -> bool:
        """Take a submitted commit back: True if it was not yet sequenced, then it is rolled back."""

    def commit(self) -> int:
        """Commit and wait until it is durable; the commit's number. Blocking."""

    def rollback(self) -> None:
        """Drop the transaction and its writes. Idempotent; also while a retry is running."""

@final
class ValueForm:
    """In which form the values of a store cross between Python and the engine.

    The stored bytes are msgpack in every form. ``"any"`` takes whatever ``encode_value`` does, ``"bytes"`` and
    ``"str"`` only these types; for other objects, and other stored bytes, the functions are asked.
    """

    def __new__(
        cls,
        kind: Literal["any", "bytes", "str"],
        encode: Callable[[Any], bytes],
        decode: Callable[[bytes], Any],
    ) -> ValueForm: ...

@final
class Participant:
    """One store inside one transaction.

    Keys are Python objects; arguments named ``raw`` or ``lo``/``hi`` are key bytes. Values are in the form the
    participant was made with: packed bytes without one. In a non-unique store ``get``, ``update``, ``remove`` and
    ``update_key`` act on the first item of the key.
    """

    @property
    def store_id(self) -> int: ...
    @property
    def taken(self) -> int:
        """How many elements of its list the last ``*_items`` call took."""

    def get(self, key: object, default: object = None) -> object:
        """The value, ``default``, or ``MISS``."""

    def get_item(self, key: object) -> tuple[object, Any, UUID | None] | Miss | None:
        """(key with what rides along, value, item id) of the first match."""

    def get_raw(self, raw: bytes) -> tuple[object, Any, UUID | None] | Miss | None: ...
    def get_many(self, keys: Sequence[object]) -> list[Any] | Miss:
        """Their values; None where there is none."""

    def contains(self, key: object) -> bool | Miss: ...
    def add(self, key: object, value: object) -> bool | Miss:
        """False if the key is there; a non-unique store always adds.

        Every call that writes a value of 64 KiB and more is ``MISS``: it goes to a file at once.
        """

    def update(self, key: object, value: object) -> bool | Miss:
        """Replace the value, keeping what rides along; False if the key is not there."""

    def upsert(self, key: object, value: object) -> Miss | None:
        """Add or replace, with what rides along. In a unique store ``MISS`` only for a value of 64 KiB and more."""

    def keep(self, key: object) -> KeptValue | Miss | None: ...
    def map(self, key: object, verify: bool) -> MappedBytes | Miss | None:
        """The value of a unique store where it lies; ``MISS`` unless it was verified since opening and not `verify`."""

    def upsert_parts(self, key: object, parts: Iterable[object]) -> Miss | None:
        """Add or replace by a value of the buffers of `parts`, in a unique store without ride-on fields.

        ``MISS`` for 64 KiB and more; then the buffers are read on an engine thread.
        """

    def remove(self, key: object) -> bool | Miss: ...
    def update_raw(self, raw: bytes, value: object) -> bool | Miss: ...
    def remove_raw(self, raw: bytes) -> bool | Miss: ...
    def update_key(self, key: object) -> bool | Miss:
        """Replace what rides along, keeping the value; False if the key is not there."""

    def add_many(self, keys: Sequence[object], values: Sequence[object]) -> int | Miss:
        """-1 when all were added, else the index of the first duplicate and nothing was changed."""

    def update_many(self, keys: Sequence[object], values: Sequence[object]) -> int | Miss:
        """-1, or the index of the first key that is not there and nothing was changed."""

    def upsert_many(self, keys: Sequence[object], values: Sequence[object]) -> int | Miss:
        """-1, always."""

    def add_items(self, items: list[Any], start: int, count: int) -> int | Miss:
        """``add_many`` of (key, value) tuples and Items: those from ``start`` on, ``count`` at most.

        Fewer when their values are large; ``taken`` says how many. The index is counted from ``start``.
        """

    def update_items(self, items: list[Any], start: int, count: int) -> int | Miss: ...
    def upsert_items(self, items: list[Any], start: int, count: int) -> int | Miss: ...
    def remove_many(self, keys: Sequence[object]) -> int | Miss:
        """-1, or the index of the first key that is not there and nothing was changed."""

    def merge(self, key: object, op: int, operand: bytes) -> None:
        """Apply a commutative operation when the commit is sequenced: no read, no conflict."""

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
    ) -> tuple[list[Any], Any] | tuple[list[Any], list[Any], Any] | Miss:
        """One page of a range, and the raw key to continue after (None at its end).

        ``what``: 0 keys, 1 (key, value), 2 values, 3 (key, value, raw key), 4 keys and values in two lists.
        Continue with ``lo=raw, lo_open=True``, in reverse with ``hi=raw, hi_open=True``.
        """

    def skip(self, lo: bytes | None, hi: bytes | None, reverse: bool, n: int) -> bytes | Miss | None:
        """Raw key of the n-th item (from 0) of the range [lo, hi), or None past its end."""

    def count(self) -> int | Miss: ...
    def retry(self, completions: Completions, token: int) -> None:
        """Run the last call that returned ``MISS`` on an engine thread; its result arrives by ``completions``."""

def read_usearch(path: str) -> tuple[str, str, int, list[int], bytes]:
    """Metric, element, dimension, keys and vectors of a ``.usearch`` file. Blocking."""

def write_usearch(path: str, options: bytes, keys: Sequence[int], rows: bytes) -> None:
    """Write vectors, with a graph built of them, as a ``.usearch`` file. Blocking."""

def payload_matches(packed_filter: bytes, payload: bytes) -> bool:
    """Whether a packed payload matches a packed filter; see ``sopasync._filters``."""

def encode_value(value: object) -> bytes:
    """Pack an object as msgpack. Exact for every type it takes; see docs/format.md for the extension types.

    None, bool, int of any size, float, str, bytes, list, dict, tuple, set, frozenset, datetime, date, time, timedelta,
    UUID, Decimal, numpy arrays and scalars. Dataclasses and Structs are packed as dicts, enum members as their values,
    subclasses as their base. An aware datetime keeps its offset, not the name of its zone.
    """

def decode_value(data: bytes) -> object:
    """Unpack what ``encode_value`` made. Arrays are read-only views into ``data``."""

def _shutdown_all() -> None:
    """Close every engine of this process. Blocking; for interpreter exit."""
