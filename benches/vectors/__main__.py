"""`python -m benches.vectors`: measure, print a table, write JSON, Markdown and a plot."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benches import environment, table
from benches.measuring import ROOT
from benches.plot import draw
from benches.spread import median
from benches.summary import summarize

from .adapters import LABELS, OURS, PEERS, STORES
from .figures import figures
from .measuring import measure
from .scale import SCALES

PACKAGES = ("sopasync", "hnswlib", "faiss-cpu", "usearch", "lancedb", "numpy")
NOTE = (
    "In brackets: how many times better sopasync is, the median over rounds of the two measured one after the other.\n"
    "One thread searches, one query at a time; sopasync's are awaited calls in a read transaction. Where a store finds "
    "too little\nat any setting, there is no number. sopasync and LanceDB are durable, the others keep what they have "
    "in memory."
)


def main() -> int:
    """Measure and report; fails when one of our own measurements fails."""
    arguments = _arguments()
    folder: Path = arguments.data or arguments.out / "data"
    folder.mkdir(parents=True, exist_ok=True)
    scale = SCALES[arguments.scale]
    machine = environment.describe(folder, PACKAGES)
    begun = time.monotonic()
    found = measure(scale, folder, arguments.only, arguments.stores, _say)
    lines = [
        line
        for line in summarize(found, figures(scale))
        if line.value is not None or any(peer.value is not None for peer in line.peers.values())
    ]
    print(f"\n\nMedians of {scale.rounds} rounds.\n")
    print(table.text(lines, PEERS, LABELS, NOTE))
    print(f"\nRecalls:\n{_recalls(found.samples)}")
    results = {
        "environment": machine,
        "scale": {"name": arguments.scale, **asdict(scale)},
        "samples": found.samples,
        "problems": found.problems,
    }
    (arguments.out / "vectors.json").write_text(json.dumps(results, indent=2), encoding="utf-8")
    (arguments.out / "vectors.md").write_text(table.markdown(lines, PEERS, LABELS), encoding="utf-8")
    drawn = draw(lines, arguments.out / "vectors.png", PEERS, LABELS)
    note = "" if drawn is None else f"; {drawn}"
    print(f"\n{time.monotonic() - begun:.0f} s; results in {arguments.out}{note}")
    failed = 0
    for dataset, stores in found.problems.items():
        for store, problem in stores.items():
            failed |= store == OURS and "No module named" not in problem
            print(f"{dataset}, {store}: {problem}", file=sys.stderr)
    return int(failed)


def _recalls(samples: dict[str, dict[str, dict[str, list[float]]]]) -> str:
    lines = []
    for dataset, stores in samples.items():
        for store, metrics in stores.items():
            found = [
                f"{name.removesuffix('_recall')} {median(values):.4f}"
                for name, values in metrics.items()
                if name.endswith("_recall")
            ]
            lines.append(f"  {dataset}, {LABELS[store]}: {', '.join(found)}")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches.vectors", description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--only", nargs="*", default=[], metavar="DATASET", help='such as "digits", "texts"')
    parser.add_argument("--stores", nargs="*", default=STORES, choices=STORES, metavar="STORE")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results", help="where results are written")
    parser.add_argument("--data", type=Path, help="where the stores lie; below --out unless given")
    return parser.parse_args()


def _say(message: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\033[K{message}", end="", flush=True)
    else:
        print(message, flush=True)


if __name__ == "__main__":
    sys.exit(main())
