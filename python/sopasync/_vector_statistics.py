"""What `VectorStore.statistics` returns: a frozen picture of the index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class VectorSegment:
    """One sealed segment of a vector store."""

    number: int
    kind: Literal["flat", "hnsw", "usearch"]
    """Without a graph, with the engine's own, or with that of the usearch library."""
    rows: int
    """Vectors in it, deleted ones too."""
    deleted: int
    file_bytes: int
    recall_estimate: float | None
    """What a sample of queries found of the ten nearest when its graph was built."""


@dataclass(frozen=True, slots=True)
class VectorStatistics:
    """What the index of a vector store knows. Vectors in no segment are the tail: they are measured one by one."""

    segments: tuple[VectorSegment, ...]
    tail_rows: int
    """Vectors in the tail, deleted ones too."""
    tail_deleted: int
    memory_bytes: int
    recall_estimate: float
    """Over all vectors; 1.0 where every query is exact."""
    pulled_seq: int | None
    """Newest commit the index has read; ``None`` before its first use. Queries read what is newer."""
    broken_segments: tuple[tuple[int, str], ...]
    """Segments whose files are missing or damaged, each with the reason; they are built again."""

    @property
    def rows(self) -> int:
        """Vectors in the index that are not deleted."""
        return sum(one.rows - one.deleted for one in self.segments) + self.tail_rows - self.tail_deleted

    @classmethod
    def of(cls, found: dict[str, Any]) -> VectorStatistics:
        """Make statistics of what the engine returned."""
        return cls(
            segments=tuple(VectorSegment(**segment) for segment in found["segments"]),
            tail_rows=found["tail_rows"],
            tail_deleted=found["tail_deleted"],
            memory_bytes=found["memory_bytes"],
            recall_estimate=found["recall_estimate"],
            pulled_seq=found["pulled_seq"],
            broken_segments=tuple(found["broken_segments"]),
        )
