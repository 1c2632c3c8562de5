"""Bulk loads: everything at once, in any order, or nothing."""

from __future__ import annotations

import random

import pytest
from tests.native import SCALARS, settled

from sopasync import _core
from sopasync._exceptions import ClosedError, InvalidArgumentError, KeyTypeError, SopasyncError

REPEATED = _core.KeyCodec(unique=False)
RECORDS = _core.KeyCodec(unique=True, fields=[("region", True), ("id", False)])


def everything(engine: _core.Engine, name: str, codec: _core.KeyCodec = SCALARS) -> list[object]:
    """The store's items, if it is there."""
    tx = engine.begin(2, True)
    info = tx.find_store(name)
    assert info is not None
    store = tx.participant(info.id, codec)
    page = settled(store, store.scan(None, None, limit=1_000_000))
    return list(page[0])


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("memory_bytes", [64 << 10, 48 << 20])
def test_entries_in_any_order_become_a_store(engine: _core.Engine, shuffled: bool, memory_bytes: int) -> None:
    keys = list(range(20_000))
    if shuffled:
        random.Random(1).shuffle(keys)
    load = engine.bulk_load(SCALARS, name="store", kind=1, options=b"o", memory_bytes=memory_bytes)
    for start in range(0, len(keys), 3000):
        piece = keys[start : start + 3000]
        load.add(piece, [b"%d" % key for key in piece])
    assert load.rows == len(keys)
    assert load.store.options == b"o"
    assert engine.begin(2, True).find_store("store") is None
    assert load.finish() == engine.last_seq
    assert everything(engine, "store") == [(key, b"%d" % key) for key in range(20_000)]
    assert engine.check()["problems"] == []


def test_an_empty_store_can_be_loaded(engine: _core.Engine) -> None:
    tx = engine.begin(2, False)
    store = tx.create_store("store", 1, b"")
    tx.commit()
    load = engine.bulk_load(SCALARS, store_id=store.id)
    load.add(["a"], [b"1"])
    load.finish()
    assert everything(engine, "store") == [("a", b"1")]
    with pytest.raises(SopasyncError):
        engine.bulk_load(SCALARS, store_id=store.id)


def test_records_keep_what_rides_along(engine: _core.Engine) -> None:
    rows = [{"region": "eu", "id": n, "name": str(n)} for n in range(10)]
    load = engine.bulk_load(RECORDS, name="store", kind=1)
    load.add(rows, [b""] * 10)
    load.finish()
    assert everything(engine, "store", RECORDS) == [(row, b"") for row in reversed(rows)]


def test_repeated_keys_keep_their_order(engine: _core.Engine) -> None:
    load = engine.bulk_load(REPEATED, name="store", kind=1)
    load.add(["k"] * 5000, [b"%d" % n for n in range(5000)])
    load.add(["a"], [b"x"])
    load.finish()
    assert everything(engine, "store", REPEATED) == [("a", b"x"), *[("k", b"%d" % n) for n in range(5000)]]


def test_the_last_entry_of_a_key_holds_or_the_load_fails(engine: _core.Engine) -> None:
    for name, refuse in (("last", False), ("refuse", True)):
        load = engine.bulk_load(SCALARS, name=name, kind=1, refuse_duplicates=refuse)
        if refuse:
            with pytest.raises(SopasyncError, match="refuse"):
                load.add(["a", "a"], [b"1", b"2"])
                load.finish()
        else:
            load.add(["a", "a"], [b"1", b"2"])
            load.finish()
    assert everything(engine, "last") == [("a", b"2")]
    assert engine.begin(2, True).find_store("refuse") is None


def test_a_load_that_is_given_up_leaves_nothing(engine: _core.Engine) -> None:
    load = engine.bulk_load(SCALARS, name="store", kind=1)
    load.add(list(range(10_000)), [b"x" * 50] * 10_000)
    load.cancel()
    load.cancel()
    for call in (load.finish, lambda: load.add(["a"], [b""]), lambda: load.rows):
        with pytest.raises(ClosedError, match="bulk load is closed"):
            call()
    assert engine.begin(2, True).find_store("store") is None
    assert engine.check()["problems"] == []


def test_bad_input_is_refused_and_the_load_goes_on(engine: _core.Engine) -> None:
    load = engine.bulk_load(SCALARS, name="store", kind=1)
    with pytest.raises(KeyTypeError, match="list"):
        load.add(["a", []], [b"1", b"2"])
    with pytest.raises(InvalidArgumentError, match="1 keys and 2 values"):
        load.add(["a"], [b"1", b"2"])
    assert load.rows == 0
    load.add(["a"], [b"1"])
    load.finish()
    assert everything(engine, "store") == [("a", b"1")]
