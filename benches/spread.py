"""Medians, percentiles, and ratios of paired rounds."""

from __future__ import annotations

import statistics


def percentile(samples: list[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(samples)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def median(samples: list[float]) -> float:
    """The middle one."""
    return statistics.median(samples)


def paired_ratio(ours: list[float], theirs: list[float], *, more_is_better: bool) -> float | None:
    """How many times better ours is: the median over rounds of ours against theirs in the same round."""
    pairs = list(zip(ours, theirs, strict=False))
    if not pairs or any(one <= 0 or other <= 0 for one, other in pairs):
        return None
    return median([one / other if more_is_better else other / one for one, other in pairs])
