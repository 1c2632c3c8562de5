"""Keys of ``_core``, in a file of their own. There is no such module at run time."""

from collections.abc import Sequence
from typing import final
from uuid import UUID

@final
class KeyCodec:
    """How the keys of one store become bytes whose order is the order of the keys.

    Without ``fields`` keys are scalars or tuples: None, bool, int, float, str, bytes, UUID, datetime,
    date, and tuples of these. With ``fields``, (name, ascending) pairs, keys are records (dataclass,
    msgspec.Struct or Mapping): the named fields decide order and identity, the others ride along.
    """

    def __new__(cls, *, unique: bool, fields: Sequence[tuple[str, bool]] | None = None) -> KeyCodec: ...
    @property
    def unique(self) -> bool: ...
    @property
    def fields(self) -> tuple[tuple[str, bool], ...] | None: ...
    def encode(self, key: object, item_id: UUID | None = None) -> bytes:
        """The key's bytes. In a non-unique store the prefix of all its items, or with ``item_id`` of that one."""

    def meta(self, key: object) -> bytes:
        """The fields that ride along, packed; empty when there are none."""

    def decode(self, data: bytes, meta: bytes | None = None) -> object:
        """The key: a dict for records (indexed fields, then those that ride along), else scalar or tuple."""

    def item_id(self, data: bytes) -> UUID | None:
        """Identity of an item of a non-unique store from its key bytes."""

    def prefix(self, key: object, *, open_end: bool = False) -> bytes:
        """What the bytes of every matching key begin with.

        A str or bytes matches whatever begins with it; a tuple, or for records a tuple of leading values or a
        Mapping of leading fields, matches whatever has these elements first. With ``open_end`` the last of them,
        if it is str or bytes, matches whatever begins with it.
        """

@final
class KeyBatch:
    """Keys that are encoded a piece at a time, for one call on many of them, which takes them all away."""

    def __new__(cls, codec: KeyCodec) -> KeyBatch: ...
    def extend(self, keys: Sequence[object]) -> None:
        """Encode more keys, up to the first that is none."""

    def __len__(self) -> int: ...

def prefix_end(prefix: bytes) -> bytes | None:
    """The lowest bytes above everything that begins with ``prefix``; None if there is none."""
