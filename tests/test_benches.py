"""The benchmarks run: every workload, at a tiny size, for sopasync and for whatever peer is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = {
    "load_random": ("sopasync", "sopasync-direct", "sopasync-bulk"),
    "load_sorted": ("sopasync", "sopasync-bulk"),
    "load_commits": ("sopasync",),
    "reads": ("sopasync", "sopasync-direct"),
    "records": ("sopasync",),
    "commits_1": ("sopasync", "sopasync-direct"),
    "commits_8_threads": ("sopasync", "sopasync-direct"),
    "commits_64_tasks": ("sopasync",),
    "transactions_64_tasks": ("sopasync",),
    "checkpoint": ("sopasync",),
    "reopen": ("sopasync",),
    "memory": ("sopasync",),
    "relations": ("sopasync",),
}
STORES = ("sopasync", "sopasync-direct", "sopasync-bulk")

# sop4py is left out: its commits may hang, which is for the benchmark to report, not for the tests to wait for.
PEERS = {"lmdb": "lmdb", "sqlite": "apsw", "aiosqlite": "aiosqlite", "rocksdb": "rocksdict"}


def bench(out: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "benches", "--scale", "tiny", "--allow-memory", "--out", out, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads((out / "results.json").read_text(encoding="utf-8"))


@pytest.mark.timeout(300)
def test_every_workload_measures_sopasync(tmp_path: Path) -> None:
    printed, results = bench(tmp_path, "--stores", *STORES)

    assert results["problems"] == {}
    for workload, stores in OURS.items():
        for store in stores:
            metrics = results["samples"][workload][store]
            assert metrics, f"{workload} measured nothing for {store}"
            assert all(len(samples) == 1 for samples in metrics.values())
    for figure in results["figures"]:
        assert figure["sopasync"] is not None, figure["title"]
        assert figure["title"] in printed
        assert (figure["verdict"] != "") == (figure["target"] is not None)
    assert not list((tmp_path / "data").glob("*/*")), "databases were left behind"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_that_is_installed_is_measured_beside_sopasync(peer: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(PEERS[peer]) is None:
        pytest.skip(f"{PEERS[peer]} is not installed: `make bench` installs it")

    _, results = bench(tmp_path, "--stores", *STORES, peer)

    assert results["problems"] == {}
    compared = [figure for figure in results["figures"] if figure["peers"].get(peer, {}).get("ratio")]
    assert {"durable 1-row commits, 64 tasks", "point get, cached, await"} <= {
        one["title"] for one in compared
    }


def test_a_peer_that_is_not_installed_is_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow = tmp_path / "packages"
    shadow.mkdir()
    (shadow / "lmdb.py").write_text("raise ModuleNotFoundError(\"No module named 'lmdb'\")")
    path = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", str(shadow) if path is None else f"{shadow}{os.pathsep}{path}")

    printed, results = bench(tmp_path, "--only", "commits_1", "--stores", *STORES, "lmdb")

    assert "not installed" in printed
    assert list(results["problems"]["commits_1"]) == ["lmdb"]


def test_ratios_are_paired_by_round_and_verdicts_follow_the_figures() -> None:
    sys.path.insert(0, str(ROOT))
    try:
        from benches.measuring import STEPS, Measurements
        from benches.summary import summarize
    finally:
        sys.path.remove(str(ROOT))
    step = next(step for step in STEPS if step.workload == "reads")
    found = Measurements()
    for ours, theirs in ((1.0, 2.0), (2.0, 2.0), (4.0, 2.0)):
        found.add(step, "sopasync", {"status": "ok", "metrics": {"get_us": ours}})
        found.add(step, "lmdb", {"status": "ok", "metrics": {"get_us": theirs}})
    found.add(step, "rocksdb", {"status": "hung", "message": "hung: not finished after 25 s"})

    (line,) = [line for line in summarize(found) if line.figure.title == "point get, cached, await"]

    assert (line.value, line.low, line.high) == (2.0, 1.0, 4.0)
    assert line.verdict == "reached"
    assert line.peers["lmdb"].ratio == 1.0
    assert line.peers["rocksdb"].note == "hung"


@pytest.mark.skipif(sys.platform == "win32", reason="the benchmarks use sessions of processes")
@pytest.mark.timeout(60)
def test_a_measuring_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "waiting.py").write_text(
        "import threading\nfrom benches import lifeline\n"
        "lifeline.watch()\nprint('waiting', flush=True)\nthreading.Event().wait()\n"
    )
    starting = "from benches import lifeline\nlifeline.start('waiting', []).wait()"
    parent = subprocess.Popen(
        [sys.executable, "-c", starting],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "waiting\n"
        parent.kill()

        # Both processes have this pipe: it ends when the one that waits for ever has ended as well.
        assert parent.stdout.read() == ""
