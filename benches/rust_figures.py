"""What the engine's own benchmarks, run by ``cargo bench``, have left: criterion's estimates, as lines of text."""

from __future__ import annotations

import json
from pathlib import Path


def rust_lines(root: Path) -> list[str]:
    """One line per benchmark, newest estimate; empty when none has been run."""
    lines: list[str] = []
    for found in sorted((root / "target" / "criterion").glob("**/new/estimates.json")):
        estimate = json.loads(found.read_text(encoding="utf-8"))
        about = json.loads((found.parent / "benchmark.json").read_text(encoding="utf-8"))
        nanoseconds = estimate["median"]["point_estimate"]
        lines.append(f"{about['full_id']}: {nanoseconds:,.0f} ns{_rate(about, nanoseconds)}")
    return lines


def _rate(about: dict[str, object], nanoseconds: float) -> str:
    throughput = about.get("throughput")
    if not isinstance(throughput, dict) or not throughput:
        return ""
    (unit, amount), *_ = throughput.items()
    return f", {amount / nanoseconds * 1e9:,.0f} {str(unit).lower()}/s"
