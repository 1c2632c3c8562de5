"""Engine handles at the edges of a process: forks and interpreter exits."""

from __future__ import annotations

import multiprocessing
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopasync import _core
from sopasync._exceptions import DatabaseLockedError, ForkedProcessError

SCALARS = _core.KeyCodec(unique=True)
SNAPSHOT, SERIALIZABLE = 1, 2


@pytest.fixture
def engine(db_path: Path) -> Iterator[_core.Engine]:
    engine = _core.Engine.open(str(db_path))
    yield engine
    engine.close()


def put(engine: _core.Engine, key: object, value: bytes, name: str = "store") -> int:
    """Commit one entry; the commit's number."""
    tx = engine.begin(SERIALIZABLE, False)
    store = tx.find_store(name) or tx.create_store(name, 1, b"")
    tx.participant(store.id, SCALARS).upsert(key, value)
    return tx.commit()


def get(engine: _core.Engine, key: object, name: str = "store") -> object:
    """Read one entry, also when its page is not in memory."""
    tx = engine.begin(SERIALIZABLE, True)
    info = tx.find_store(name)
    if info is None:
        return None
    store = tx.participant(info.id, SCALARS)
    found = store.get(key)
    if found is _core.MISS:
        completions = _core.Completions()
        store.retry(completions, 1)
        status, found = outcomes(completions, 1)[1]
        assert status == 0
    return found


def participant(tx: _core.Transaction, name: str = "store") -> _core.Participant:
    store = tx.find_store(name)
    assert store is not None
    return tx.participant(store.id, SCALARS)


def outcomes(completions: _core.Completions, count: int) -> dict[int, tuple[int, object]]:
    """Wait for so many outcomes, as an event loop does."""
    found: dict[int, tuple[int, object]] = {}
    while len(found) < count:
        ready, _, _ = select.select([completions.fileno()], [], [], 10)
        assert ready, f"{len(found)} of {count} outcomes"
        found |= {token: (status, payload) for token, status, payload in completions.drain()}
    return found


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
