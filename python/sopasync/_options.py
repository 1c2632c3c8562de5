"""What a database can be opened with, and the modes of a transaction."""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ._exceptions import InvalidArgumentError, UnsupportedError

Durability = Literal["full", "relaxed"]
Isolation = Literal["serializable", "snapshot"]


class DatabaseType(enum.Enum):
    """Where a database lives."""

    STANDALONE = "standalone"
    CLUSTERED = "clustered"
    Standalone = STANDALONE
    Clustered = CLUSTERED


class TransactionMode(enum.IntEnum):
    """What a transaction may do.

    ``FOR_WRITING`` reads and writes. ``FOR_READING`` only reads; it never conflicts and never waits
    for anyone. ``NO_CHECK`` writes without asking whether another commit changed the same keys.
    """

    NO_CHECK = 0
    FOR_WRITING = 1
    FOR_READING = 2
    NoCheck = 0
    ForWriting = 1
    ForReading = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseOptions:
    """How to open a database.

    Args:
        stores_folders: The folder of the database; one for now.
        type: Where it lives; only `DatabaseType.STANDALONE` for now.
        cache_bytes: Memory for pages.
        page_bytes: Size of a page, fixed when the database is made. Small pages are for tests.
        durability: ``"full"``: a commit that returned survives power loss. ``"relaxed"``: it survives
            a crash of the process, and power loss may take the last moments.
        checkpoint_log_bytes: Size of the log at which a checkpoint is written.
        checkpoint_interval_s: Longest time between two checkpoints while there are commits.
        changes_kept_bytes: How much of the log is kept after a checkpoint, so that `Database.watch` can begin in the
            past and slow watchers are not overtaken. Without it, changes are kept until the next checkpoint only.
    """

    stores_folders: Sequence[str | os.PathLike[str]]
    type: DatabaseType = DatabaseType.STANDALONE
    cache_bytes: int = 256 * 1024 * 1024
    page_bytes: int = 8192
    durability: Durability = "full"
    checkpoint_log_bytes: int = 64 * 1024 * 1024
    checkpoint_interval_s: float = 60.0
    changes_kept_bytes: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.stores_folders, (str, os.PathLike)):
            raise InvalidArgumentError(
                f"stores_folders={self.stores_folders!r} is not a list: write stores_folders=[{self.stores_folders!r}]"
            )
        if len(self.stores_folders) != 1:
            raise UnsupportedError(
                f"stores_folders lists {len(self.stores_folders)} folders: this version keeps a database in one"
            )
        if self.type is not DatabaseType.STANDALONE:
            raise UnsupportedError("DatabaseType.CLUSTERED is not offered yet: use DatabaseType.STANDALONE")
        if self.durability not in ("full", "relaxed"):
            raise InvalidArgumentError(f"durability={self.durability!r} is unknown: use 'full' or 'relaxed'")
        self._check_sizes()

    def _check_sizes(self) -> None:
        if self.changes_kept_bytes < 0:
            raise InvalidArgumentError(f"changes_kept_bytes={self.changes_kept_bytes} cannot be below zero")
        if self.cache_bytes < 1 or self.checkpoint_log_bytes < 1 or self.checkpoint_interval_s <= 0:
            raise InvalidArgumentError(
                f"cache_bytes={self.cache_bytes}, checkpoint_log_bytes={self.checkpoint_log_bytes}, "
                f"checkpoint_interval_s={self.checkpoint_interval_s} must all be above zero"
            )
        if not 512 <= self.page_bytes <= 32_768 or self.page_bytes & (self.page_bytes - 1):
            raise InvalidArgumentError(
                f"page_bytes={self.page_bytes} must be a power of two from 512 to 32768"
            )

    @property
    def path(self) -> str:
        """The folder of the database."""
        return os.fspath(self.stores_folders[0])
