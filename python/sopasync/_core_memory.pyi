"""Memory that the native engine shares with Python. Part of `_core`."""

from typing import final

@final
class MappedBytes:
    """The bytes of a stored value: a read-only buffer, which stays as it is while there is a view of it."""

    @property
    def mapped(self) -> bool:
        """Whether it is a view of the page file, and no copy."""

    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
