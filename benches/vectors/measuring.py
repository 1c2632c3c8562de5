"""`measure`: a process for every store, and the measurements in turn."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benches import lifeline
from benches.measuring import ROOT, Measurements

from .adapters import LABELS, STORES
from .data import datasets
from .scale import VectorScale

SECONDS_MAX = 1200.0
"""Of one measurement."""

REPEATED = ("exact", "approximate", "together", "filtered")
"""What every round measures; the rest is measured once."""
PLANS = {
    "first": ("build", *REPEATED, "reopen", "overhead", "ingest"),
    "large": ("build", *REPEATED, "reopen"),
    "digits": ("build", "exact", "approximate", "together"),
    "texts": ("build", *REPEATED),
    "churn": ("churn",),
    "memory": ("memory",),
}


@dataclass
class Worker:
    """A running process with one store."""

    store: str
    process: subprocess.Popen[str]
    problem: str | None = None

    def do(self, name: str) -> dict[str, Any]:
        """Have something measured; one that takes too long is killed."""
        if self.problem is not None:
            return {"status": "skipped", "message": self.problem}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(f"{name}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return self._ended()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(SECONDS_MAX):
                os.killpg(self.process.pid, signal.SIGKILL)
                self.problem = f"hung: {name} not finished after {SECONDS_MAX:g} s"
                return {"status": "hung", "message": self.problem}
        line = self.process.stdout.readline()
        if not line:
            return self._ended()
        result: dict[str, Any] = json.loads(line)
        if name == "build" and result["status"] != "ok":
            self.problem = result["message"]
        return result

    def _ended(self) -> dict[str, Any]:
        self.problem = f"ended with code {self.process.wait()}"
        return {"status": "failed", "message": self.problem}

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # what an ended one was asked last is still to be sent
            self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def plan(number: int, name: str) -> tuple[str, ...]:
    """What is measured with a dataset."""
    if name in PLANS:
        return PLANS[name]
    return PLANS["large"] if number else PLANS["first"]


def measure(
    scale: VectorScale,
    folder: Path,
    only: Iterable[str],
    stores: Iterable[str],
    say: Callable[[str], None],
    done: Callable[[str, Measurements], None],
) -> Measurements:
    """Measure `stores` (all when empty) with the datasets in `only` (all when empty); samples by dataset.

    `done` is called after every dataset, with its name and what was found so far.
    """
    only, stores = set(only), [name for name in STORES if name in set(stores)]
    found = Measurements()
    for number, (name, make) in enumerate(datasets(scale, folder.parent / "embeddings")):
        if only and name not in only:
            continue
        place = folder / "vectors" / f"{number}.npz"
        say(f"{name}: making the vectors")
        try:
            make().save(place)
        except ImportError as error:
            found.problems[name] = dict.fromkeys(stores, str(error))
            done(name, found)
            continue
        shutil.rmtree(place.with_suffix(""), ignore_errors=True)
        _measure_one(name, plan(number, name), place, stores, scale, found, say)
        shutil.rmtree(place.with_suffix(""), ignore_errors=True)
        place.unlink()
        done(name, found)
    return found


def _measure_one(
    name: str,
    works: tuple[str, ...],
    place: Path,
    stores: list[str],
    scale: VectorScale,
    found: Measurements,
    say: Callable[[str], None],
) -> None:
    workers = [_started(store, place, scale) for store in stores]
    try:
        repeated = [work for work in works if work in REPEATED]
        first = [work for work in works if work == "build"]
        rounds = [[*first, *repeated], *([repeated] * (scale.rounds - 1))]
        rounds.append([work for work in works if work not in REPEATED and work not in first])
        for turn, works_now in enumerate(rounds):
            for work in works_now:
                for worker in workers:
                    say(f"{name}, round {turn + 1}: {work}, {LABELS[worker.store]}")
                    _take(found, name, worker.store, work, worker.do(work))
    finally:
        for worker in workers:
            worker.stop()


def _take(found: Measurements, name: str, store: str, work: str, result: dict[str, Any]) -> None:
    if result["status"] == "ok":
        metrics = found.samples.setdefault(name, {}).setdefault(store, {})
        for metric, value in result["metrics"].items():
            metrics.setdefault(metric, []).append(value)
    elif result["status"] not in ("unsupported", "skipped"):
        found.problems.setdefault(name, {})[store] = f"{work}: {result['message']}"


def _started(store: str, place: Path, scale: VectorScale) -> Worker:
    folder = place.with_suffix("") / store
    folder.mkdir(parents=True)
    task = folder / "task.json"
    task.write_text(
        json.dumps({"store": store, "data": str(place), "folder": str(folder), "scale": asdict(scale)}),
        encoding="utf-8",
    )
    process = lifeline.start(
        "benches.vectors.worker",
        [str(task)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    return Worker(store, process)
