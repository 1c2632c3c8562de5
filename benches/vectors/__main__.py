"""`python -m benches.vectors`: measure, print a table, write JSON, Markdown and a plot."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benches import environment, table
from benches.measuring import ROOT, Measurements
from benches.plot import draw
from benches.spread import median
from benches.summary import Line, summarize

from .adapters import LABELS, OURS, PEERS, STORES
from .figures import figures
from .measuring import measure
from .scale import SCALES, VectorScale

PACKAGES = ("sopasync", "hnswlib", "faiss-cpu", "usearch", "lancedb", "numpy")
NOTE = (
    "In brackets: how many times better sopasync is, the median over rounds of the two measured one after the other.\n"
    "One thread searches, one query at a time; sopasync's are awaited calls in a read transaction. Where a store finds "
    "too little\nat any setting, there is no number. sopasync is durable; LanceDB writes files and never syncs them,\n"
    "the others keep what they have in memory."
)


def main() -> int:
    """Measure and report; fails when one of our own measurements fails."""
    arguments = _arguments()
    folder: Path = arguments.data or arguments.out / "data"
    folder.mkdir(parents=True, exist_ok=True)
    scale = SCALES[arguments.scale]
    machine = environment.describe(folder, PACKAGES)
    begun = time.monotonic()

    def done(dataset: str, found: Measurements) -> None:
        part = Measurements({dataset: found.samples.get(dataset, {})}, found.problems)
        print(f"\n\n{table.text(_lines(part, scale), PEERS, LABELS, '')}{_recalls(part.samples)}\n")
        _write(arguments.out, {"environment": machine, "scale": chosen}, found, scale)

    chosen = {"name": arguments.scale, **asdict(scale)}
    found = measure(scale, folder, arguments.only, arguments.stores, lambda text: _say(text, begun), done)
    lines = _lines(found, scale)
    print(f"\nMedians of {scale.rounds} rounds.\n")
    print(table.text(lines, PEERS, LABELS, NOTE))
    drawn = draw(lines, arguments.out / "vectors.png", PEERS, LABELS)
    note = "" if drawn is None else f"; {drawn}"
    print(f"\n{time.monotonic() - begun:.0f} s; results in {arguments.out}{note}")
    failed = 0
    for dataset, stores in found.problems.items():
        for store, problem in stores.items():
            failed |= store == OURS and "No module named" not in problem
            print(f"{dataset}, {store}: {problem}", file=sys.stderr)
    return int(failed)


def _lines(found: Measurements, scale: VectorScale) -> list[Line]:
    """What was measured of the figures."""
    return [
        line
        for line in summarize(found, figures(scale))
        if line.value is not None or any(peer.value is not None for peer in line.peers.values())
    ]


def _write(out: Path, about: dict[str, Any], found: Measurements, scale: VectorScale) -> None:
    """Leave JSON and Markdown of what was found so far."""
    results = {**about, "samples": found.samples, "problems": found.problems}
    (out / "vectors.json").write_text(json.dumps(results, indent=2), encoding="utf-8")
    (out / "vectors.md").write_text(table.markdown(_lines(found, scale), PEERS, LABELS), encoding="utf-8")


def _recalls(samples: dict[str, dict[str, dict[str, list[float]]]]) -> str:
    lines = []
    for dataset, stores in samples.items():
        for store, metrics in stores.items():
            found = [
                f"{name.removesuffix('_recall')} {median(values):.4f}"
                for name, values in metrics.items()
                if name.endswith("_recall")
            ]
            if found:
                lines.append(f"  {dataset}, {LABELS[store]}: {', '.join(found)}")
    return "Recalls:\n" + "\n".join(lines) if lines else ""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches.vectors", description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="DATASET", help='such as "digits", "texts", "churn"'
    )
    parser.add_argument("--stores", nargs="*", default=STORES, choices=STORES, metavar="STORE")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results", help="where results are written")
    parser.add_argument("--data", type=Path, help="where the stores lie; below --out unless given")
    return parser.parse_args()


def _say(message: str, begun: float) -> None:
    message = f"{time.monotonic() - begun:5.0f} s  {message}"
    if sys.stdout.isatty():
        print(f"\r\033[K{message}", end="", flush=True)
    else:
        print(message, flush=True)


if __name__ == "__main__":
    sys.exit(main())
