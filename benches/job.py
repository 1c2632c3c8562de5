"""What one measuring process is asked to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .adapters import store
from .adapters.interface import AsyncStore, Settings, SyncStore
from .scale import Scale

Metrics = dict[str, float]


@dataclass(frozen=True)
class Job:
    """One workload of one store, in its own process and folder."""

    workload: str
    store: str
    folder: str
    scale: Scale

    def to_dict(self) -> dict[str, Any]:
        """For the process that does it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Job:
        """What `to_dict` made."""
        return cls(data["workload"], data["store"], data["folder"], Scale(**data["scale"]))

    @property
    def slow(self) -> bool:
        """Whether the store is one that is given less to do."""
        return self.store == "sop4py"

    @property
    def rows(self) -> int:
        """How many rows to load or read."""
        return self.scale.slow_rows if self.slow else self.scale.rows

    def open(self, **settings: Any) -> SyncStore | AsyncStore:
        """The store in the job's folder, not yet open."""
        return store(self.store, Settings(Path(self.folder), **settings))

    def sync_store(self, **settings: Any) -> SyncStore:
        """The same for a store known to be a sync one."""
        made = self.open(**settings)
        assert isinstance(made, SyncStore), f"{self.store} is not a store of plain calls"
        return made
