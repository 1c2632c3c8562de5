"""What tests of the extension share: an entry put and read without an event loop, outcomes awaited."""

from __future__ import annotations

import select
from typing import Any

from sopasync import _core

SCALARS = _core.KeyCodec(unique=True)
SNAPSHOT, SERIALIZABLE = 1, 2


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
    return settled(store, store.get(key))


def participant(tx: _core.Transaction, name: str = "store") -> _core.Participant:
    """A store that is there, inside a transaction."""
    store = tx.find_store(name)
    assert store is not None
    return tx.participant(store.id, SCALARS)


def settled(store: _core.Participant, result: Any) -> Any:
    """What a call gave, or gives once an engine thread has repeated it; raises what that raised."""
    if result is not _core.MISS:
        return result
    completions = _core.Completions()
    store.retry(completions, 1)
    status, payload = outcomes(completions, 1)[1]
    completions.close()
    if isinstance(payload, BaseException):
        raise payload
    assert status == 0
    return payload


def outcomes(completions: _core.Completions, count: int) -> dict[int, tuple[int, object]]:
    """Wait for so many outcomes, as an event loop does."""
    found: dict[int, tuple[int, object]] = {}
    while len(found) < count:
        ready, _, _ = select.select([completions.fileno()], [], [], 10)
        assert ready, f"{len(found)} of {count} outcomes"
        found |= {token: (status, payload) for token, status, payload in completions.drain()}
    return found
