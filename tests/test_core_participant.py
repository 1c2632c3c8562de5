"""Participants: one store inside one transaction, read and written through encoded keys."""

from __future__ import annotations

import select
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.native import SCALARS, SERIALIZABLE, settled

from sopasync import _core
from sopasync._exceptions import (
    CodecError,
    InvalidArgumentError,
    KeyTypeError,
    ReadOnlyError,
    StoreNotFoundError,
    TransactionStateError,
    ValueTooLargeError,
)

REPEATED = _core.KeyCodec(unique=False)
RECORDS = _core.KeyCodec(unique=True, fields=[("region", True), ("id", False)])


def make(
    engine: _core.Engine, codec: _core.KeyCodec = SCALARS
) -> tuple[_core.Transaction, _core.Participant]:
    """A new store in a new transaction."""
    tx = engine.begin(SERIALIZABLE, False)
    store = tx.create_store(f"store-{uuid.uuid4()}", 1, b"")
    return tx, tx.participant(store.id, codec)


def everything(participant: _core.Participant, **options: Any) -> list[Any]:
    """All pages of a scan, one after the other."""
    items, low, page_bound = [], None, {}
    while True:
        page = participant.scan(low, None, limit=3, **page_bound, **options)
        assert page is not _core.MISS
        items += page[0]
        if page[1] is None:
            return items
        low, page_bound = page[1], {"lo_open": True}


class TestUniqueStore:
    def test_add_refuses_a_key_that_is_there(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        assert store.add("a", b"1") is True
        assert store.add("a", b"2") is False
        assert store.get("a") == b"1"

    def test_update_and_remove_tell_whether_the_key_is_there(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        assert store.update("a", b"1") is False
        assert store.get("a") is None
        store.upsert("a", b"1")
        assert store.update("a", b"2") is True
        assert store.get("a") == b"2"
        assert store.remove("a") is True
        assert store.remove("a") is False
        assert store.contains("a") is False

    def test_an_empty_value_is_not_an_absent_one(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        store.upsert("a", b"")
        assert store.get("a") == b""
        assert store.get_many(["a", "b"]) == [b"", None]

    def test_writes_are_seen_after_commit_and_only_then(self, engine: _core.Engine) -> None:
        tx, store = make(engine)
        store.upsert("a", b"1")
        before = engine.begin(SERIALIZABLE, False)
        tx.commit()
        after = engine.begin(SERIALIZABLE, False)
        assert before.participant(store.store_id, SCALARS).store_id == store.store_id
        with pytest.raises(StoreNotFoundError):
            before.participant(store.store_id, SCALARS).get("a")
        assert after.participant(store.store_id, SCALARS).get("a") == b"1"

    def test_get_item_gives_key_value_and_no_id(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        store.upsert(("a", 1), b"v")
        assert store.get_item(("a", 1)) == (("a", 1), b"v", None)
        assert store.get_item(("a", 2)) is None
        assert store.get_raw(SCALARS.encode(("a", 1))) == (("a", 1), b"v", None)

    def test_raw_calls_act_on_key_bytes(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        raw = SCALARS.encode("a")
        assert store.update_raw(raw, b"1") is False
        store.upsert("a", b"1")
        assert store.update_raw(raw, b"2") is True
        assert store.get("a") == b"2"
        assert store.remove_raw(raw) is True
        assert store.remove_raw(raw) is False

    def test_count_follows_own_writes(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        store.upsert_many([1, 2, 3], [b""] * 3)
        store.upsert(2, b"x")
        store.remove(1)
        assert store.count() == 2


class TestMany:
    def test_a_duplicate_changes_nothing_and_is_named(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        store.upsert(2, b"old")
        assert store.add_many([0, 1, 2, 3], [b"new"] * 4) == 2
        assert everything(store) == [(2, b"old")]
        assert store.add_many([5, 4, 5], [b"new"] * 3) == 2
        assert everything(store) == [(2, b"old")]
        assert store.add_many([5, 4, 3], [b"c", b"b", b"a"]) == -1
        assert everything(store) == [(2, b"old"), (3, b"a"), (4, b"b"), (5, b"c")]

    def test_an_absent_key_changes_nothing_and_is_named(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        store.upsert_many([1, 2], [b"", b""])
        assert store.update_many([1, 3], [b"x", b"x"]) == 1
        assert store.remove_many([1, 2, 1]) == 2
        assert everything(store) == [(1, b""), (2, b"")]
        assert store.update_many([2, 1], [b"x", b"y"]) == -1
        assert store.remove_many([2]) == -1
        assert everything(store) == [(1, b"y")]

    def test_a_large_value_that_fails_late_takes_everything_back(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        store.upsert(9, b"")
        big = b"x" * 100_000
        assert settled(store, store.add_many([1, 9], [big, big])) == 1
        assert settled(store, store.update_many([9, 8], [big, big])) == 1
        assert everything(store) == [(9, b"")]
        assert settled(store, store.upsert_many([1, 9], [big, big])) == -1
        assert store.get_many([1, 9]) == [big, big]

    def test_a_value_that_goes_to_a_file_is_left_to_an_engine_thread(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        assert store.upsert(1, b"x" * 65_535) is None
        for write, key in ((store.upsert, 1), (store.add, 2), (store.update, 1)):
            assert write(key, b"x" * 65_536) is _core.MISS
        assert store.get(1) == b"x" * 65_535
        assert settled(store, store.upsert(1, b"y" * 65_536)) is None
        assert store.get(1) == b"y" * 65_536

    def test_later_values_of_one_call_win(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        assert store.upsert_many(["a", "a"], [b"1", b"2"]) == -1
        assert store.get("a") == b"2"

    def test_keys_and_values_must_match_in_number_and_type(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        with pytest.raises(InvalidArgumentError, match="2 keys and 1 values"):
            store.add_many([1, 2], [b""])
        with pytest.raises(CodecError, match="bytes, not str"):
            store.add_many([1], ["x"])  # type: ignore[list-item]
        with pytest.raises(KeyTypeError, match="list"):
            store.upsert_many([1, []], [b"", b""])
        assert store.count() == 0

    def test_any_iterable_will_do(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        assert store.add_many((key for key in "ab"), iter([b"1", b"2"])) == -1  # type: ignore[arg-type]
        assert store.get_many(("b", "a")) == [b"2", b"1"]


class TestScan:
    @pytest.fixture
    def store(self, engine: _core.Engine) -> _core.Participant:
        _, store = make(engine)
        store.upsert_many(["a", "aa", "ab", "b", 1, (1, 2)], [b"1", b"2", b"3", b"4", b"5", b"6"])
        return store

    def test_pages_follow_on_each_other(self, store: _core.Participant) -> None:
        assert everything(store, what=0) == [1, "a", "aa", "ab", "b", (1, 2)]
        assert everything(store, what=2) == [b"5", b"1", b"2", b"3", b"4", b"6"]

    def test_each_kind_of_item(self, store: _core.Participant) -> None:
        raw = SCALARS.encode(1)
        wanted: list[Any] = [1, (1, b"5"), b"5", (1, b"5", raw)]
        for what, item in enumerate(wanted):
            assert store.scan(None, None, limit=1, what=what) == ([item], raw)
        assert store.scan(None, None, limit=1, what=4) == ([1], [b"5"], raw)
        with pytest.raises(InvalidArgumentError, match="what is 5"):
            store.scan(None, None, what=5)

    def test_backwards(self, store: _core.Participant) -> None:
        page = store.scan(None, None, reverse=True, limit=2, what=0)
        assert page == ([(1, 2), "b"], SCALARS.encode("b"))
        page = store.scan(None, SCALARS.encode("b"), hi_open=True, reverse=True, limit=9, what=0)
        assert page == (["ab", "aa", "a", 1], None)

    def test_bounds_are_open_or_closed(self, store: _core.Participant) -> None:
        low, high = SCALARS.encode("a"), SCALARS.encode("b")
        for lo_open, hi_open, wanted in [
            (False, True, ["a", "aa", "ab"]),
            (True, True, ["aa", "ab"]),
            (True, False, ["aa", "ab", "b"]),
        ]:
            page = store.scan(low, high, lo_open=lo_open, hi_open=hi_open, what=0)
            assert page == (wanted, None)

    def test_a_prefix(self, store: _core.Participant) -> None:
        prefix = SCALARS.prefix("a")
        assert store.scan(prefix, _core.prefix_end(prefix), what=0) == (["a", "aa", "ab"], None)

    def test_an_empty_store_or_range_gives_an_empty_page(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        assert store.scan(None, None) == ([], None)
        assert store.scan(b"z", b"a") == ([], None)

    def test_skip_finds_a_page_by_its_offset(self, store: _core.Participant) -> None:
        assert store.skip(None, None, False, 2) == SCALARS.encode("aa")
        assert store.skip(None, None, True, 0) == SCALARS.encode((1, 2))
        assert store.skip(None, None, False, 6) is None

    def test_a_page_ends_where_it_has_bytes_enough(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        settled(store, store.upsert_many(list(range(100)), [b"x" * 500_000] * 100))
        page = store.scan(None, None, limit=100, what=0)
        assert page is not _core.MISS
        values = store.scan(None, None, limit=100, what=2)
        assert values is not _core.MISS
        assert len(values[0]) < 20
        assert values[1] is not None


class TestRepeatedKeys:
    def test_every_add_adds_an_item_in_order(self, engine: _core.Engine) -> None:
        _, store = make(engine, REPEATED)
        for value in (b"1", b"2", b"3"):
            assert store.add("k", value) is True
        assert store.add_many(["k", "a", "k"], [b"4", b"5", b"6"]) == -1
        assert everything(store) == [("a", b"5"), *[("k", b"%d" % n) for n in (1, 2, 3, 4, 6)]]
        assert store.get("k") == b"1"
        assert store.contains("a") is True
        assert store.contains("b") is False

    def test_calls_by_key_act_on_the_first_item(self, engine: _core.Engine) -> None:
        _, store = make(engine, REPEATED)
        store.add_many(["k", "k"], [b"1", b"2"])
        assert store.update("k", b"one") is True
        assert store.get_many(["k", "j"]) == [b"one", None]
        assert store.remove("k") is True
        assert everything(store) == [("k", b"2")]
        store.upsert("k", b"two")
        store.upsert("n", b"new")
        assert everything(store) == [("k", b"two"), ("n", b"new")]
        assert store.update("x", b"") is False

    def test_many_take_one_item_for_every_mention(self, engine: _core.Engine) -> None:
        _, store = make(engine, REPEATED)
        store.add_many(["k", "k", "k"], [b"1", b"2", b"3"])
        assert store.remove_many(["k", "k", "k", "k"]) == 3
        assert store.count() == 3
        assert store.remove_many(["k", "k"]) == -1
        assert everything(store) == [("k", b"3")]

    def test_items_have_ids_and_are_reached_by_them(self, engine: _core.Engine) -> None:
        _, store = make(engine, REPEATED)
        store.add_many(["k", "k"], [b"1", b"2"])
        found = store.get_item("k")
        assert isinstance(found, tuple)
        key, value, item = found
        assert (key, value) == ("k", b"1")
        assert isinstance(item, uuid.UUID)
        assert item.version == 7
        raws = [raw for _, _, raw in everything(store, what=3)]
        ids = [REPEATED.item_id(raw) for raw in raws]
        assert ids[0] == item
        assert ids == sorted(ids)
        assert store.get_raw(raws[1]) == ("k", b"2", ids[1])
        assert store.remove_raw(REPEATED.encode("k", item)) is True
        assert everything(store) == [("k", b"2")]

    def test_one_key_is_not_taken_for_another_that_begins_alike(self, engine: _core.Engine) -> None:
        _, store = make(engine, REPEATED)
        store.add("ab", b"1")
        assert store.get("a") is None
        assert store.remove("a") is False

    def test_commutative_operations_need_unique_keys(self, engine: _core.Engine) -> None:
        _, store = make(engine, REPEATED)
        with pytest.raises(InvalidArgumentError, match="not unique"):
            store.merge("k", _core.ADD, _core.encode_value(1))


class TestRecords:
    def test_what_rides_along_comes_back_with_the_key(self, engine: _core.Engine) -> None:
        _, store = make(engine, RECORDS)
        user = {"region": "eu", "id": 1, "name": "Ann"}
        assert store.add(user, b"v") is True
        assert store.add({"region": "eu", "id": 1, "name": "Bob"}, b"w") is False
        assert store.get({"region": "eu", "id": 1}) == b"v"
        assert store.get_item({"region": "eu", "id": 1}) == (user, b"v", None)
        assert everything(store, what=0) == [user]

    def test_update_keeps_what_rides_along_and_update_key_the_value(self, engine: _core.Engine) -> None:
        tx, store = make(engine, RECORDS)
        place = {"region": "eu", "id": 1}
        store.add(place | {"name": "Ann"}, b"v")
        for _ in range(2):  # with own writes, then with committed ones
            assert store.update(place | {"name": "ignored"}, b"w") is True
            assert store.get_item(place) == (place | {"name": "Ann"}, b"w", None)
            assert store.update_key(place | {"name": "Eve"}) is True
            assert store.get_item(place) == (place | {"name": "Eve"}, b"w", None)
            assert store.update_many([place], [b"v"]) == -1
            assert store.get_item(place) == (place | {"name": "Eve"}, b"v", None)
            assert store.update_key(place | {"name": "Ann"}) is True
            tx.commit()
            tx = engine.begin(SERIALIZABLE, False)
            store = tx.participant(store.store_id, RECORDS)
        assert store.update_key({"region": "eu", "id": 2, "name": "Eve"}) is False

    def test_upsert_replaces_what_rides_along(self, engine: _core.Engine) -> None:
        _, store = make(engine, RECORDS)
        store.upsert({"region": "eu", "id": 1, "name": "Ann"}, b"v")
        store.upsert({"region": "eu", "id": 1}, b"w")
        assert everything(store) == [({"region": "eu", "id": 1}, b"w")]

    def test_too_much_that_rides_along_is_refused(self, engine: _core.Engine) -> None:
        _, store = make(engine, RECORDS)
        huge = {"region": "eu", "id": 1, "name": "x" * 5000}
        with pytest.raises(ValueTooLargeError, match="at most"):
            store.add(huge, b"v")
        with pytest.raises(ValueTooLargeError):
            store.add_many([{"region": "eu", "id": 0}, huge], [b"", b""])
        assert store.count() == 0


class TestMerge:
    def test_operations_on_what_encode_value_packs(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        for op, first, second, result in [
            (_core.ADD, 40, 2, 42),
            (_core.MAX, 1, 7.5, 7.5),
            (_core.MIN, 1, -1, -1),
            (_core.APPEND, "ab", "cd", "abcd"),
            (_core.APPEND, b"ab", b"cd", b"abcd"),
        ]:
            key = (op, type(first).__name__)
            store.merge(key, op, _core.encode_value(first))
            store.merge(key, op, _core.encode_value(second))
            found = store.get(key)
            assert isinstance(found, bytes)
            assert _core.decode_value(found) == result

    def test_what_cannot_be_merged_is_refused(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        with pytest.raises(CodecError):
            store.merge("a", _core.ADD, _core.encode_value("text"))
        with pytest.raises(InvalidArgumentError, match="number 9"):
            store.merge("a", 9, _core.encode_value(1))

    def test_counters_of_concurrent_transactions_add_up(self, engine: _core.Engine) -> None:
        tx, store = make(engine)
        tx.commit()
        transactions = [engine.begin(SERIALIZABLE, False) for _ in range(5)]
        for each in transactions:
            each.participant(store.store_id, SCALARS).merge("n", _core.ADD, _core.encode_value(1))
        for each in transactions:
            each.commit()
        found = engine.begin(SERIALIZABLE, True).participant(store.store_id, SCALARS).get("n")
        assert isinstance(found, bytes)
        assert _core.decode_value(found) == 5


def test_a_read_only_transaction_takes_no_writes(engine: _core.Engine) -> None:
    tx, store = make(engine)
    tx.commit()
    reader = engine.begin(SERIALIZABLE, True).participant(store.store_id, SCALARS)
    for write in (
        lambda: reader.add("a", b""),
        lambda: reader.upsert("a", b""),
        lambda: reader.add_many([1], [b""]),
    ):
        with pytest.raises(ReadOnlyError):
            write()
    assert reader.remove("a") is False


def wait(completions: _core.Completions) -> list[tuple[int, int, object]]:
    """Wait until something is finished, as an event loop does."""
    select.select([completions.fileno()], [], [], 10)
    return completions.drain()


@pytest.fixture
def cold(db_path: Path) -> Iterator[tuple[_core.Engine, int, int]]:
    """A database far larger than its cache, just opened; the ids of a unique store and a store of repeated keys."""
    options: dict[str, Any] = {"cache_bytes": 1 << 16, "page_bytes": 512}
    engine = _core.Engine.open(str(db_path), **options)
    tx, store = make(engine)
    repeated = tx.create_store("repeated", 1, b"")
    store.upsert_many(list(range(5000)), [b"%d" % n for n in range(5000)])
    tx.participant(repeated.id, REPEATED).add_many(list(range(2000)), [b"%d" % n for n in range(2000)])
    tx.commit()
    engine.close()
    engine = _core.Engine.open(str(db_path), **options)
    yield engine, store.store_id, repeated.id
    engine.close()


class TestMiss:
    def test_every_call_that_misses_is_answered_by_its_retry(
        self, cold: tuple[_core.Engine, int, int]
    ) -> None:
        engine, unique, repeated = cold
        missed = 0
        for n in range(0, 1400, 97):
            for store_id, codec in ((unique, SCALARS), (repeated, REPEATED)):
                tx = engine.begin(SERIALIZABLE, False)
                store = tx.participant(store_id, codec)
                raw = codec.encode(n)
                calls: list[tuple[Any, Any]] = [
                    (lambda: store.contains(n), True),  # noqa: B023
                    (lambda: store.get(n + 1), b"%d" % (n + 1)),  # noqa: B023
                    (lambda: store.get_many([n, 10**6, n + 500]), [b"%d" % n, None, b"%d" % (n + 500)]),  # noqa: B023
                    (lambda: store.scan(raw, None, limit=2)[0], [(n, b"%d" % n), (n + 1, b"%d" % (n + 1))]),  # noqa: B023
                    (lambda: store.add_many([10**7, 10**8], [b"", b""]), -1),  # noqa: B023
                    (lambda: store.update(n + 60, b"new"), True),  # noqa: B023
                    (lambda: store.update_many([n + 90], [b"new"]), -1),  # noqa: B023
                    (lambda: store.remove(n + 30), True),  # noqa: B023
                    (lambda: store.remove_many([n + 31, n + 33]), -1),  # noqa: B023
                    (lambda: store.skip(None, None, False, 10), None),  # noqa: B023
                ]
                for call, wanted in calls:
                    try:
                        result = call()
                    except TypeError:  # MISS is no pair
                        result = _core.MISS
                    missed += result is _core.MISS
                    result = settled(store, result)
                    if isinstance(result, tuple):
                        result = result[0]
                    if wanted is not None:
                        assert result == wanted
                tx.rollback()
        assert missed > 100

    def test_while_a_retry_runs_other_calls_are_refused_and_rollback_is_not(
        self, cold: tuple[_core.Engine, int, int]
    ) -> None:
        engine, unique, _ = cold
        completions = _core.Completions()
        outcomes = set()
        for n in range(50):
            tx = engine.begin(SERIALIZABLE, False)
            store = tx.participant(unique, SCALARS)
            if store.get_many(list(range(n, 5000, 4))) is not _core.MISS:
                continue
            store.retry(completions, n)
            try:
                store.get(1)
                outcomes.add("idle")
            except TransactionStateError:
                outcomes.add("busy")
            tx.rollback()
            assert [token for token, _, _ in wait(completions)] == [n]
        completions.close()
        assert "busy" in outcomes

    def test_there_must_be_something_to_retry(self, engine: _core.Engine) -> None:
        _, store = make(engine)
        with pytest.raises(TransactionStateError, match="nothing to retry"):
            store.retry(_core.Completions(), 1)

    def test_miss_is_neither_true_nor_false(self) -> None:
        with pytest.raises(TypeError, match="is MISS"):
            bool(_core.MISS)
        assert repr(_core.MISS) == "MISS"
