"""`python -m benches.text`: measure text search beside its peers, and check what it finds.

Prints a table and writes it as JSON and Markdown. Every engine gets the same texts and the same queries, in a
process of its own, engine after engine and round after round.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benches import environment, lifeline
from benches.measuring import ROOT

from . import quality
from .engines import ENGINES, LABELS, OURS
from .report import Results, markdown, terminal


def main() -> int:
    """Measure and report; fails when sopasync cannot be measured, or finds what it should not."""
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    machine = environment.describe(arguments.out)
    print(
        f"{machine['processors']} x {machine['processor']}, load average {machine['load_average']:.1f}",
        flush=True,
    )
    results = _measure(arguments)
    print(terminal(results))
    checks = (
        []
        if arguments.no_quality
        else quality.report(arguments.cache, arguments.wordnet, arguments.cranfield)
    )
    print("\n".join(checks))
    (arguments.out / "text.json").write_text(
        json.dumps({"machine": machine, "results": results, "quality": checks}, indent=1)
    )
    (arguments.out / "text.md").write_text(
        markdown(results) + "\n" + "\n".join(f"- {check}" for check in checks) + "\n"
    )
    return 0 if all("index_per_s" in found.get(OURS, {}) for found in results.values()) else 1


def _measure(arguments: argparse.Namespace) -> Results:
    results: Results = {}
    for corpus in arguments.corpora:
        samples: dict[str, dict[str, list[float]]] = {name: {} for name in arguments.engines}
        for turn in range(arguments.rounds):
            for name in arguments.engines:
                print(f"{corpus}, round {turn + 1}: {LABELS[name]}", flush=True)
                found = _run(arguments, corpus, name)
                for metric, value in found.items():
                    samples[name].setdefault(metric, []).append(value)
        results[corpus] = {
            name: {metric: median(values) for metric, values in metrics.items()}
            for name, metrics in samples.items()
        }
    return results


def _run(arguments: argparse.Namespace, corpus: str, name: str) -> dict[str, float]:
    folder = Path(tempfile.mkdtemp(prefix="text-", dir=arguments.data or arguments.out))
    job = {
        "engine": name,
        "corpus": corpus,
        "folder": str(folder / "index"),
        "documents": arguments.documents,
        "queries": arguments.queries,
        "cache": str(arguments.cache),
        "wordnet": None if arguments.wordnet is None else str(arguments.wordnet),
    }
    (folder / "index").mkdir()
    (folder / "job.json").write_text(json.dumps(job))
    try:
        process = lifeline.start(
            "benches.text.worker",
            [str(folder / "job.json"), str(folder / "result.json")],
            cwd=ROOT,
            env={**os.environ, "RUST_LOG": "error"},
        )
        try:
            code = process.wait(900)
        finally:
            process.kill()
        if code:
            raise subprocess.CalledProcessError(code, process.args)
        result = json.loads((folder / "result.json").read_text())
    except (subprocess.SubprocessError, OSError) as error:
        result = {"status": "failed", "message": str(error)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if result["status"] != "ok":
        print(f"  {result['status']}: {result['message']}")
        return {}
    metrics: dict[str, float] = result["metrics"]
    return metrics


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches.text", description=__doc__)
    parser.add_argument("--engines", nargs="*", default=ENGINES, choices=ENGINES, metavar="ENGINE")
    parser.add_argument(
        "--corpora", nargs="*", default=["glosses", "docstrings"], choices=["glosses", "docstrings"]
    )
    parser.add_argument("--documents", type=int, default=10**9, help="how many texts at most")
    parser.add_argument("--queries", type=int, default=300, help="of each kind")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--wordnet", type=Path, help="folder of WordNet's data files; fetched with apt-get when not given"
    )
    parser.add_argument("--cranfield", type=Path, help="folder with cran.all.1400, cran.qry and cranqrel")
    parser.add_argument("--no-quality", action="store_true", help="leave out the checks of what is found")
    parser.add_argument("--cache", type=Path, default=ROOT / "bench-results" / "texts")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results")
    parser.add_argument("--data", type=Path, help="where the indexes lie; below --out unless given")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
