"""How much is measured: tiny for the tests, quick while developing, short and full for figures to quote."""

from __future__ import annotations

from dataclasses import dataclass

MB = 1_000_000


@dataclass(frozen=True)
class Scale:
    """Sizes and durations of every workload."""

    rounds: int
    rounds_of_loads: int
    seconds: float
    """Of each measured stretch of commits."""
    rows: int
    """Loaded, then read."""
    gets: int
    """Single reads of sync stores; a tenth of it where a read takes a hop to a thread."""
    replayed: int
    """Rows in the log that an opening finds."""
    checkpoint_rounds: int
    memory_rows: int
    memory_cache_bytes: int
    slow_rows: int
    """Rows for sop4py, which would take hours for the others' number."""
    slow_seconds_max: float
    """Time limit of a process that may hang."""
    weights_bytes: int
    blob_bytes: int
    """Of a blob that is timed."""
    long_blob_bytes: int
    """Of one whose memory is measured."""


SCALES = {
    "tiny": Scale(1, 1, 0.05, 3_000, 500, 2_000, 1, 4_000, 1 << 20, 200, 20.0, 4 * MB, 8 * MB, 16 * MB),
    "quick": Scale(
        2, 1, 0.3, 50_000, 50_000, 50_000, 3, 100_000, 4 << 20, 1_000, 20.0, 100 * MB, 200 * MB, 500 * MB
    ),
    "short": Scale(
        3, 2, 0.7, 150_000, 100_000, 300_000, 4, 400_000, 16 << 20, 5_000, 20.0, 100 * MB, 400 * MB, 2000 * MB
    ),
    "full": Scale(
        3,
        3,
        1.0,
        300_000,
        200_000,
        500_000,
        6,
        600_000,
        32 << 20,
        10_000,
        25.0,
        100 * MB,
        1000 * MB,
        10_000 * MB,
    ),
}
