"""One engine measured in a process of its own: ``python -m benches.text.worker JOB RESULT``, both JSON files."""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path
from statistics import median
from typing import Any

from benches import lifeline

from . import corpus, queries
from .engines import engine

SLOW_SHARE = 10
ADDS = 40


def main() -> int:
    """Do the job; the result says how it ended."""
    lifeline.watch()
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    result: dict[str, Any]
    try:
        result = {"status": "ok", "metrics": measure(job)}
    except ImportError as error:
        result = {"status": "missing", "message": str(error)}
    except Exception as error:
        result = {"status": "failed", "message": f"{type(error).__name__}: {error}"}
        traceback.print_exc()
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")
    return 0


def measure(job: dict[str, Any]) -> dict[str, float]:
    """Index, ask, add one by one."""
    folder = Path(job["folder"])
    wordnet = job["wordnet"]
    texts = corpus.texts(job["corpus"], Path(job["cache"]), None if wordnet is None else Path(wordnet))
    texts = texts[: job["documents"]]
    asks = queries.draw(texts, job["queries"])
    one = engine(job["engine"], folder)
    processor, begun = time.process_time(), time.perf_counter()
    one.index(texts)
    seconds = time.perf_counter() - begun
    metrics = {
        "index_per_s": len(texts) / seconds,
        "index_cpu_us": (time.process_time() - processor) / len(texts) * 1e6,
    }
    one.settle()
    metrics["bytes"] = float(
        sum(
            file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file() and _counts(file.name)
        )
    )
    for kind in queries.KINDS:
        if kind in one.kinds:
            wanted = asks[kind][: len(asks[kind]) // SLOW_SHARE] if one.slow else asks[kind]
            times = sorted(one.time_searches(wanted))
            metrics[f"{kind}_us"] = median(times) * 1e6
            metrics[f"{kind}_p99_us"] = times[int(len(times) * 0.99)] * 1e6
    metrics["visible_us"] = median(one.time_adds(len(texts), texts[:ADDS])) * 1e6
    one.close()
    return metrics


def _counts(name: str) -> bool:
    # The log of sopasync, allocated ahead, does not grow with the data.
    return not name.startswith(("log-", "lock"))


if __name__ == "__main__":
    sys.exit(main())
