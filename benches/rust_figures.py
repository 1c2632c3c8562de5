"""What the engine's own benchmarks, ``make bench-rust``, have left, beside the figures they are to reach."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

TARGETS = {
    "durable commits of one row, 1 threads": 5_000.0,
    "durable commits of one row, 8 threads": 20_000.0,
    "durable commits of one row, 64 threads": 40_000.0,
    "log replay": 500_000.0,
    "read/get by random key": -800.0,
    "page file after a random load": -1.5,
    "commit p99 with / without checkpoints": -2.0,
}
"""By name; a negative one is an upper limit."""


@dataclass(frozen=True)
class RustFigure:
    """One of them."""

    name: str
    value: float
    unit: str

    @property
    def target(self) -> str:
        """What it is to reach, or empty."""
        limit = TARGETS.get(self.name)
        if limit is None:
            return ""
        return f"{'>=' if limit > 0 else '<='} {_number(abs(limit))} {self.unit}"

    @property
    def verdict(self) -> str:
        """Whether it is reached, or empty."""
        limit = TARGETS.get(self.name)
        if limit is None:
            return ""
        return "reached" if (self.value >= limit if limit > 0 else self.value <= -limit) else "missed"

    @property
    def cells(self) -> list[str]:
        """For a table."""
        return [self.name, self.target, f"{_number(self.value)} {self.unit}", self.verdict]


def rust_figures(root: Path) -> list[RustFigure]:
    """Every figure of the last run; empty when there was none."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    found: list[RustFigure] = []
    writes = target / "engine-writes.json"
    if writes.exists():
        entries = json.loads(writes.read_text(encoding="utf-8"))
        found += [RustFigure(entry["name"], entry["value"], entry["unit"]) for entry in entries]
    for place in sorted((target / "criterion").glob("**/new/estimates.json")):
        estimate = json.loads(place.read_text(encoding="utf-8"))
        about = json.loads((place.parent / "benchmark.json").read_text(encoding="utf-8"))
        found.append(RustFigure(about["full_id"], estimate["median"]["point_estimate"], "ns"))
    return found


def _number(value: float) -> str:
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
