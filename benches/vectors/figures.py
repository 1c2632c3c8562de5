"""The figures sopasync is to reach with vectors, each against one metric of one dataset."""

from __future__ import annotations

from benches.figures import Figure

from .adapters import OURS, PEERS
from .data import SHARES
from .scale import VectorScale


def figures(scale: VectorScale) -> list[Figure]:
    """In the order of the table."""
    found: list[Figure] = []
    names = [
        f"synthetic {rows // 1_000_000}M" if rows >= 1_000_000 else f"synthetic {rows / 1000:g}k"
        for rows in scale.synthetic
    ]
    for number, name in enumerate([*names, "texts", "digits"]):
        found.append(
            _more(
                f"{name}: exact scan", name, "exact_gb_per_s", "GB/s", 20.0 if number < len(names) else None
            )
        )
        found.append(_more(f"{name}: exact scan, every vector measured", name, "measured_gb_per_s", "GB/s"))
        found.append(_more(f"{name}: searches, recall >= 0.97", name, "search_per_s", "/s"))
        found.append(_more(f"{name}: thousands of queries at once", name, "together_per_s", "/s"))
        found += [
            _more(f"{name}: {share / 10:g} % pass, recall >= 0.99", name, f"filtered_{share}_per_s", "/s")
            for share in SHARES
        ]
        found.append(_more(f"{name}: build", name, "build_per_s", "rows/s"))
        found.append(_less(f"{name}: open to first answer", name, "open_ms", "ms", 1000.0))
    first = names[0]
    found += [
        _more(f"{first}: rows added while searches run", first, "ingest_per_s", "rows/s", 100_000.0),
        _more(f"{first}: searches meanwhile", first, "ingest_searches_per_s", "/s"),
        _less(f"{first}: cost of a call", first, "call_us", "us", 40.0),
        _less("recall lost by ten rounds of churn", "churn", "churn_loss", "", 0.005, compared=False),
    ]
    for when, metric in (("vectors are added", "added"), ("a graph is built", "built")):
        title = f"memory beyond the cache while {when}"
        found.append(_less(title, "memory", f"{metric}_over_cache_mib", "MiB", 64.0, compared=False))
    return found


def _more(title: str, dataset: str, metric: str, unit: str, target: float | None = None) -> Figure:
    return Figure(title, dataset, metric, unit, OURS, target, peers=PEERS)


def _less(
    title: str, dataset: str, metric: str, unit: str, target: float | None, *, compared: bool = True
) -> Figure:
    return Figure(
        title, dataset, metric, unit, OURS, target, more_is_better=False, compared=compared, peers=PEERS
    )
