"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VectorScale:
    """Sizes and durations."""

    rounds: int
    synthetic: tuple[int, ...]
    """Rows of the synthetic datasets, 128 elements each."""
    texts: int
    """Real texts that are embedded; 0 for none."""
    queries: int
    seconds: float
    """Of each measured stretch of searches."""
    ingested: int
    """Rows added while searches run."""
    churned: int
    """Rows of the dataset that is replaced piece by piece; 0 for none."""
    digits: bool = True
    poured: int = 0
    """Rows that are added to a store with a small cache, whose memory is looked at; 0 for none."""


SCALES = {
    "tiny": VectorScale(1, (1_500,), 0, 20, 0.02, 600, 1_500, digits=False, poured=3_000),
    "quick": VectorScale(2, (20_000,), 3_000, 200, 0.3, 20_000, 5_000, poured=200_000),
    "short": VectorScale(3, (100_000,), 10_000, 500, 0.7, 50_000, 20_000, poured=200_000),
    "full": VectorScale(3, (100_000, 1_000_000), 20_000, 1_000, 1.0, 100_000, 20_000, poured=1_000_000),
}
