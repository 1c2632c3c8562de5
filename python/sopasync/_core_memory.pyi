"""Memory that the native engine shares with Python. Part of `_core`."""

from typing import final

from ._core import Completions, Participant

@final
class MappedBytes:
    """The bytes of a stored value: a read-only buffer, which stays as it is while there is a view of it."""

    @property
    def mapped(self) -> bool:
        """Whether it is a view of the page file, and no copy."""

    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class KeptValue:
    """A stored value that is read later, beside other calls of its transaction and after its end.

    Its place in the page file is kept while it is there.
    """

    def read(self) -> bytes:
        """Return its bytes; the thread waits for the disk."""

    def begin_read(self, participant: Participant, completions: Completions, token: int) -> bytes | None:
        """Return its bytes when they are in memory; else an engine thread reads them and tells ``completions``."""

    def begin_read_for_threads(self, participant: Participant) -> bytes | BegunRead:
        """Return its bytes when they are in memory; else what to wait for while an engine thread reads them."""

    def __len__(self) -> int: ...

@final
class BegunRead:
    """A stored value that an engine thread is reading."""

    def bytes(self) -> bytes:
        """Return its bytes, once; the thread, any thread, waits for them."""
