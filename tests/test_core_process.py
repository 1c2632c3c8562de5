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


OPEN_ELSEWHERE = """
import sys
from sopasync import _core
_core.Engine.open(sys.argv[1]).close()
"""

DIE_WITH_A_CHILD = """
import os, signal, sys, time
from sopasync import _core
engine = _core.Engine.open(sys.argv[1])
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_that_lives_on_does_not_keep_a_closed_database_locked(
    engine: _core.Engine, db_path: Path
) -> None:
    put(engine, "a", b"1")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)  # until the parent closes its end
        os._exit(0)
    try:
        refused = subprocess.run(
            [sys.executable, "-c", OPEN_ELSEWHERE, str(db_path)], capture_output=True, text=True, check=False
        )
        assert "DatabaseLockedError" in refused.stderr  # the child's end of it took nothing from the parent
        engine.close()
        subprocess.run([sys.executable, "-c", OPEN_ELSEWHERE, str(db_path)], check=True)
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the child lives"
    finally:
        os.close(writer)
        os.close(reader)
        os.waitpid(child, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_does_not_keep_the_lock_of_a_parent_that_was_killed(db_path: Path) -> None:
    child_waits, release = os.pipe()
    died = subprocess.run(
        [sys.executable, "-c", DIE_WITH_A_CHILD, str(db_path)], stdin=child_waits, check=False
    )
    assert died.returncode < 0
    subprocess.run([sys.executable, "-c", OPEN_ELSEWHERE, str(db_path)], check=True)
    os.close(release)
    os.close(child_waits)


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
