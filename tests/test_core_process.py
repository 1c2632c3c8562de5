"""Engine handles at the edges of a process: forks and interpreter exits."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.native import SERIALIZABLE, get, participant, put

from sopasync import _core
from sopasync._exceptions import DatabaseLockedError, ForkedProcessError


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_is_refused_everything_and_harms_nothing(engine: _core.Engine, db_path: Path) -> None:
    put(engine, "a", b"0")
    tx = engine.begin(SERIALIZABLE, False)
    store = participant(tx)
    store.upsert("b", b"1")
    completions = _core.Completions()

    def child(results: multiprocessing.SimpleQueue[list[str]]) -> None:
        calls = (
            lambda: engine.begin(SERIALIZABLE, False),
            lambda: store.get("a"),
            lambda: store.scan(None, None),
            tx.commit,
            tx.withdraw,
            engine.checkpoint,
            engine.close,
            completions.drain,
            lambda: _core.Engine.open(str(db_path)),
        )
        names = []
        for call in calls:
            try:
                call()
                names.append("")
            except Exception as error:
                names.append(type(error).__name__)
        tx.rollback()
        results.put(names)

    context = multiprocessing.get_context("fork")
    results: multiprocessing.SimpleQueue[list[str]] = context.SimpleQueue()
    process = context.Process(target=child, args=(results,))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert results.get() == [ForkedProcessError.__name__] * 8 + [DatabaseLockedError.__name__]
    tx.commit()
    assert get(engine, "b") == b"1"


EXITS = {
    "closed by the exit hook": "_core._shutdown_all()",
    "left open": "pass",
    "left open with a transaction and work in flight": """
tx = engine.begin(2, False)
completions = _core.Completions()
part = tx.participant(store.id, codec)
part.upsert("b", b"2")
tx.submit(completions, 1)
other = engine.begin(2, False)
""",
    "left by an error": "raise SystemExit(0)",
    "left from another thread": "import threading; threading.Thread(target=lambda: engine.begin(2, True)).start()",
}


@pytest.mark.parametrize("how", EXITS)
def test_the_interpreter_exits_and_nothing_acknowledged_is_lost(db_path: Path, how: str) -> None:
    code = f"""
from sopasync import _core
engine = _core.Engine.open({str(db_path)!r})
codec = _core.KeyCodec(unique=True)
tx = engine.begin(2, False)
store = tx.create_store("store", 1, b"")
tx.participant(store.id, codec).upsert("a", b"1")
tx.commit()
{EXITS[how]}
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    engine = _core.Engine.open(str(db_path))
    assert get(engine, "a") == b"1"
    engine.close()
