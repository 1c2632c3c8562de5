"""`python -m benches`: measure sopasync beside its peers, print a table, write JSON, Markdown and a plot."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from . import environment, table
from .adapters import OURS, STORES
from .measuring import ROOT, STEPS, Measurements, measure
from .plot import draw
from .rust_figures import RustFigure, rust_figures
from .scale import SCALES
from .summary import Line, summarize


def main() -> int:
    """Measure and report; fails when one of our own workloads fails."""
    arguments = _arguments()
    folder: Path = arguments.data or arguments.out / "data"
    folder.mkdir(parents=True, exist_ok=True)
    kind = environment.file_system(folder)
    if kind in environment.IN_MEMORY and not arguments.allow_memory:
        print(f"{folder} lies on {kind}, where a sync costs nothing: give --data a folder on a real disk")
        return 2
    scale = SCALES[arguments.scale]
    machine = environment.describe(folder)
    print(
        f"{machine['processors']} x {machine['processor']}, {kind}, fdatasync {machine['fdatasync_us']} us, "
        f"load average {machine['load_average']:.1f}"
    )
    begun = time.monotonic()
    found = measure(scale, folder, arguments.only, arguments.stores, _say)
    lines = summarize(found)
    print(f"\n\nMedians of {scale.rounds} rounds; {scale.rounds_of_loads} of loads; one after the commits.\n")
    print(table.text(lines))
    rust = rust_figures(ROOT)
    if rust:
        print("\nEngine alone, from Rust (make bench-rust):\n")
        print(table.rust_text(rust))
    _write(arguments.out, machine, arguments.scale, found, lines, rust)
    drawn = draw(lines, arguments.out / "ratios.png")
    print(
        f"\n{time.monotonic() - begun:.0f} s; results in {arguments.out}"
        + ("" if drawn is None else f"; {drawn}")
    )
    return _problems(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument(
        "--only", nargs="*", default=[], choices=[step.workload for step in STEPS], metavar="WORK"
    )
    parser.add_argument("--stores", nargs="*", default=STORES, choices=STORES, metavar="STORE")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results", help="where results are written")
    parser.add_argument("--data", type=Path, help="where the databases lie; below --out unless given")
    parser.add_argument("--allow-memory", action="store_true", help="accept a file system in memory")
    return parser.parse_args()


def _say(message: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\033[K{message}", end="", flush=True)
    else:
        print(message, flush=True)


def _write(
    out: Path,
    machine: dict[str, object],
    scale: str,
    found: Measurements,
    lines: list[Line],
    rust: list[RustFigure],
) -> None:
    results = {
        "environment": machine,
        "scale": {"name": scale, **asdict(SCALES[scale])},
        "figures": [
            {
                "title": line.figure.title,
                "unit": line.figure.unit,
                "target": line.figure.target,
                "sopasync": line.value,
                "lowest": line.low,
                "highest": line.high,
                "verdict": line.verdict,
                "peers": {name: asdict(peer) for name, peer in line.peers.items()},
            }
            for line in lines
        ],
        "rust": [asdict(figure) for figure in rust],
        "samples": found.samples,
        "problems": found.problems,
    }
    (out / "results.json").write_text(json.dumps(results, indent=2), encoding="utf-8")
    (out / "table.md").write_text(table.markdown(lines), encoding="utf-8")
    if rust:
        (out / "table-rust.md").write_text(table.rust_markdown(rust), encoding="utf-8")


def _problems(found: Measurements) -> int:
    """Say what failed; a peer that is missing or hangs is no failure of ours."""
    failed = 0
    for workload, stores in found.problems.items():
        for store, problem in stores.items():
            if store.startswith(OURS):
                failed = 1
            print(f"{workload}, {store}: {problem}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
