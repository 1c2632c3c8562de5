"""`measure`: runs every job in a process of its own, store after store and round after round."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import lifeline
from .adapters import LABELS, OURS, OURS_BULK, OURS_DIRECT
from .job import Job
from .scale import Scale

SECONDS_MAX = 300.0
MAY_HANG = {"sop4py"}
DIES = {"reopen_fill"}
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Step:
    """A workload, the stores it is run with, in this order, and where their folders come from."""

    workload: str
    stores: tuple[str, ...]
    rounds: Callable[[Scale], int]
    folder: str
    """Steps of one folder name see what an earlier one left."""
    fresh: bool = True
    """Begin with an empty folder."""
    once: frozenset[str] = frozenset({"sop4py"})
    """Stores measured in the first round only."""


_EVERY = (OURS, OURS_DIRECT, "lmdb", "sqlite", "aiosqlite", "rocksdb", "sop4py")
_PLAIN = (OURS, OURS_DIRECT, "lmdb", "sqlite", "rocksdb", "sop4py")
_ASYNC = (OURS, "lmdb", "sqlite", "aiosqlite", "rocksdb")


def _rounds(scale: Scale) -> int:
    return scale.rounds


def _load_rounds(scale: Scale) -> int:
    return scale.rounds_of_loads


STEPS = (
    Step("load_random", (OURS, OURS_BULK, *_EVERY[1:]), _load_rounds, "loaded"),
    Step("reads", _EVERY, _rounds, "loaded", fresh=False),
    Step("load_sorted", (OURS, OURS_BULK, "lmdb", "sqlite", "rocksdb"), _load_rounds, "sorted"),
    Step("load_commits", (OURS, "lmdb", "sqlite", "rocksdb"), lambda _: 1, "grown"),
    Step("records", (OURS, "lmdb", "sqlite", "aiosqlite", "rocksdb"), _load_rounds, "records"),
    Step("commits_1", _EVERY, _rounds, "commits"),
    Step("commits_8_threads", _PLAIN, _rounds, "commits"),
    Step("commits_64_tasks", _ASYNC, _rounds, "commits"),
    Step("transactions_64_tasks", _ASYNC, _rounds, "commits"),
    Step("checkpoint", (OURS, "sqlite", "rocksdb"), lambda _: 1, "checkpoint"),
    Step("reopen_fill", (OURS, "lmdb", "sqlite", "rocksdb"), lambda _: 1, "crashed"),
    Step("reopen", (OURS, "lmdb", "sqlite", "rocksdb"), lambda _: 1, "crashed", fresh=False),
    Step("memory", (OURS, "sqlite", "rocksdb"), lambda _: 1, "memory"),
    Step("weights", (OURS,), lambda _: 1, "weights"),
    Step("blobs", (OURS,), lambda _: 1, "blobs"),
    Step("feed", (OURS,), lambda _: 1, "feed"),
    Step("relations", (OURS,), _load_rounds, "relations"),
)


@dataclass
class Measurements:
    """Samples by workload, store and metric, a sample per round; and what could not be measured, and why."""

    samples: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    problems: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, step: Step, store: str, result: dict[str, Any]) -> None:
        """Take one result."""
        if result["status"] != "ok":
            self.problems.setdefault(step.workload, {})[store] = result["message"]
            return
        metrics = self.samples.setdefault(step.workload, {}).setdefault(store, {})
        for name, value in result["metrics"].items():
            metrics.setdefault(name, []).append(value)

    def of(self, workload: str, store: str, metric: str) -> list[float]:
        """Samples of one metric, in the order of rounds."""
        return self.samples.get(workload, {}).get(store, {}).get(metric, [])

    def problem(self, workload: str, store: str) -> str | None:
        """Why there are none."""
        return self.problems.get(workload, {}).get(store)


def measure(
    scale: Scale, folder: Path, only: Iterable[str], stores: Iterable[str], say: Callable[[str], None]
) -> Measurements:
    """Run all steps whose workload is in `only` (all when empty), for `stores`; the folder is emptied after."""
    only, stores = set(only), set(stores)
    steps = [step for step in STEPS if not only or step.workload in only]
    jobs = sum(_jobs(step, scale, stores) for step in steps)
    found = Measurements()
    done = 0
    for number, step in enumerate(steps):
        for turn in range(step.rounds(scale)):
            for store in step.stores:
                if store not in stores or (turn and store in step.once):
                    continue
                done += 1
                say(f"[{done}/{jobs}] {step.workload}, round {turn + 1}: {LABELS[store]}")
                if not turn or found.problem(step.workload, store) is None:
                    found.add(step, store, run_job(_job(step, store, folder, scale), step.fresh))
        if all(later.folder != step.folder for later in steps[number + 1 :]):
            shutil.rmtree(folder / step.folder, ignore_errors=True)
    return found


def _jobs(step: Step, scale: Scale, stores: set[str]) -> int:
    rounds = step.rounds(scale)
    return sum(1 if store in step.once else rounds for store in step.stores if store in stores)


def _job(step: Step, store: str, folder: Path, scale: Scale) -> Job:
    return Job(step.workload, store, str(folder / step.folder / store), scale)


def run_job(job: Job, fresh: bool) -> dict[str, Any]:
    """Run one job in a process of its own; one that takes too long is killed."""
    folder = Path(job.folder)
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    task, result = folder.with_suffix(".job"), folder.with_suffix(".result")
    task.write_text(json.dumps(job.to_dict()), encoding="utf-8")
    result.unlink(missing_ok=True)
    limit = job.scale.slow_seconds_max if job.store in MAY_HANG else SECONDS_MAX
    process = lifeline.start(
        "benches.worker",
        [str(task), str(result)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        errors="replace",
    )
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return {"status": "hung", "message": f"hung: not finished after {limit:g} s"}
    if job.workload in DIES and process.returncode == -signal.SIGKILL:
        return {"status": "ok", "metrics": {}}
    if not result.exists():
        return {"status": "failed", "message": f"ended with code {process.returncode}: {output[-2000:]}"}
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if found["status"] == "failed":
        found["message"] += f"\n{output[-2000:]}"
    return found
