"""Engine handles, transactions and completions: shared engines, commits, conflicts, closing, forks and exits."""

from __future__ import annotations

import gc
import select
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.native import SCALARS, SERIALIZABLE, SNAPSHOT, get, outcomes, participant, put, settled

from sopasync import _core
from sopasync._exceptions import (
    ClosedError,
    ConflictError,
    CorruptionError,
    DatabaseLockedError,
    InvalidArgumentError,
    ReadOnlyError,
    StorageError,
    StoreExistsError,
    StoreNotFoundError,
    TransactionClosedError,
)


def get_all(engine: _core.Engine) -> None:
    """Read every entry on an engine thread."""
    store = participant(engine.begin(SERIALIZABLE, True))
    low: bytes | None = None
    while True:
        _, low = settled(store, store.scan(low, None, lo_open=low is not None, limit=100))
        if low is None:
            return


class TestHandles:
    def test_handles_of_one_path_share_an_engine(self, db_path: Path) -> None:
        first = _core.Engine.open(str(db_path))
        (db_path.parent / "link").symlink_to(db_path)
        second = _core.Engine.open(str(db_path.parent / "link"))
        assert second.path == first.path == str(db_path.resolve())
        put(first, "a", b"1")
        assert get(second, "a") == b"1"
        first.close()
        assert first.closed
        assert get(second, "a") == b"1"
        second.close()

    def test_a_database_comes_back_after_closing(self, db_path: Path) -> None:
        for n in range(3):
            engine = _core.Engine.open(str(db_path))
            assert get(engine, "n") == (b"%d" % (n - 1) if n else None)
            put(engine, "n", b"%d" % n)
            engine.close()
            engine.close()

    def test_other_options_are_refused_by_name(self, engine: _core.Engine, db_path: Path) -> None:
        with pytest.raises(InvalidArgumentError, match=r"cache_bytes=268435456.*cache_bytes=1048576"):
            _core.Engine.open(str(db_path), cache_bytes=1 << 20)
        with pytest.raises(InvalidArgumentError, match=r"changes_kept_bytes=0.*changes_kept_bytes=1"):
            _core.Engine.open(str(db_path), changes_kept_bytes=1)
        with pytest.raises(InvalidArgumentError, match=r"durability=Full.*durability=Relaxed"):
            _core.Engine.open(str(db_path), durability="relaxed")

    def test_a_read_only_handle_joins_a_writing_engine(self, engine: _core.Engine, db_path: Path) -> None:
        put(engine, "a", b"1")
        reader = _core.Engine.open(str(db_path), read_only=True)
        assert reader.read_only
        assert get(reader, "a") == b"1"
        with pytest.raises(ReadOnlyError, match="read-only"):
            reader.begin(SERIALIZABLE, False)
        reader.close()
        assert put(engine, "a", b"2") == engine.last_seq

    def test_a_closed_handle_says_so(self, db_path: Path) -> None:
        engine = _core.Engine.open(str(db_path))
        tx = engine.begin(SERIALIZABLE, False)
        store = tx.create_store("a", 1, b"")
        store_part = tx.participant(store.id, SCALARS)
        engine.close()
        for call in (
            lambda: engine.begin(SERIALIZABLE, False),
            engine.statistics,
            engine.checkpoint,
            lambda: engine.last_seq,
            lambda: store_part.get("a"),
            tx.commit,
        ):
            with pytest.raises(ClosedError, match="closed"):
                call()
        tx.rollback()
        assert "closed" in repr(engine)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"durability": "maybe"}, "'full' or 'relaxed'"),
            ({"page_bytes": 1000}, "power of two"),
            ({"cache_bytes": 1}, "sixteen pages"),
            ({"checkpoint_interval_s": -1.0}, "number of seconds"),
            ({"checkpoint_interval_s": float("nan")}, "number of seconds"),
        ],
    )
    def test_impossible_options_are_refused(self, db_path: Path, options: dict, words: str) -> None:
        with pytest.raises(InvalidArgumentError, match=words):
            _core.Engine.open(str(db_path), **options)

    def test_what_is_not_there_is_not_made_unless_asked_for(self, db_path: Path) -> None:
        for options in ({"create": False}, {"read_only": True}):
            with pytest.raises(StorageError, match="cannot open"):
                _core.Engine.open(str(db_path), **options)
            assert not db_path.exists()

    def test_a_file_is_no_database(self, db_path: Path) -> None:
        db_path.write_text("hello")
        with pytest.raises(InvalidArgumentError, match="is a file, and a database is a folder"):
            _core.Engine.open(str(db_path))

    def test_a_second_process_is_refused(self, engine: _core.Engine, db_path: Path) -> None:
        code = f"from sopasync import _core; _core.Engine.open({str(db_path)!r})"
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert DatabaseLockedError.__name__ in result.stderr
        assert str(db_path) in result.stderr

    def test_a_lost_handle_closes_without_waiting(self, db_path: Path) -> None:
        engine = _core.Engine.open(str(db_path))
        put(engine, "a", b"1")
        del engine
        gc.collect()
        # Opening waits for the closing that the collector left to another thread.
        engine = _core.Engine.open(str(db_path), cache_bytes=1 << 20)
        assert get(engine, "a") == b"1"
        engine.close()

    def test_many_threads_open_and_close_one_path(self, db_path: Path) -> None:
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for n in range(10):
                    engine = _core.Engine.open(str(db_path))
                    put(engine, (number, n), b"x", name=f"store-{number}")
                    engine.close()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        engine = _core.Engine.open(str(db_path))
        assert all(
            get(engine, (number, n), f"store-{number}") == b"x" for number in range(4) for n in range(10)
        )
        engine.close()

    def test_statistics_are_plain_values(self, engine: _core.Engine) -> None:
        put(engine, "a", b"1")
        statistics = engine.statistics()
        assert statistics["commits"] == 1
        assert statistics["last_seq"] == engine.last_seq
        assert all(isinstance(value, int | float | str) for value in statistics.values())


class TestCare:
    def test_a_sound_database_has_no_problems(self, engine: _core.Engine) -> None:
        put(engine, "a", b"1")
        engine.checkpoint()
        put(engine, "b", b"2")
        calls: list[tuple[int, int]] = []
        report = engine.check(lambda done, total: calls.append((done, total)))
        assert report["problems"] == []
        assert (report["stores"], report["entries"], report["seq"]) == (1, 2, 2)
        assert calls
        assert calls[-1][0] == calls[-1][1]
        assert engine.check()["problems"] == []

    def test_damage_is_told_with_file_and_byte(self, engine: _core.Engine, db_path: Path) -> None:
        tx = engine.begin(SERIALIZABLE, False)
        store = tx.create_store("store", 1, b"")
        tx.participant(store.id, SCALARS).upsert_many(list(range(5000)), [b"x" * 100] * 5000)
        tx.commit()
        engine.close()
        pages = db_path / "pages"
        content = bytearray(pages.read_bytes())
        at = content.index(b"x" * 100)
        content[at] = ord("y")
        pages.write_bytes(content)
        engine = _core.Engine.open(str(db_path))
        report = engine.check()
        assert isinstance(report["problems"], list)
        assert len(report["problems"]) == 1
        assert "pages, byte" in report["problems"][0]
        with pytest.raises(CorruptionError) as caught:
            get_all(engine)
        assert caught.value.file == "pages"
        assert caught.value.offset is not None
        assert caught.value.offset <= at < caught.value.offset + 8192
        engine.close()

    def test_a_backup_opens_by_itself(self, engine: _core.Engine, tmp_path: Path) -> None:
        put(engine, "a", b"1")
        calls: list[tuple[int, int]] = []
        report = engine.backup(str(tmp_path / "copy"), lambda done, total: calls.append((done, total)))
        assert (report["seq"], report["entries"]) == (1, 1)
        assert calls
        put(engine, "a", b"2")
        copy = _core.Engine.open(str(tmp_path / "copy"), create=False)
        assert get(copy, "a") == b"1"
        copy.close()

    def test_a_backup_never_replaces_anything(
        self, engine: _core.Engine, db_path: Path, tmp_path: Path
    ) -> None:
        put(engine, "a", b"1")
        (tmp_path / "file").write_text("mine")
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "mine").write_text("mine")
        for path in (db_path, tmp_path / "file", tmp_path / "folder"):
            with pytest.raises(InvalidArgumentError):
                engine.backup(str(path))
        assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "mine").read_text() == "mine"
        assert get(engine, "a") == b"1"

    def test_a_backup_that_is_stopped_leaves_nothing(self, engine: _core.Engine, tmp_path: Path) -> None:
        put(engine, "a", b"1")

        def stop(done: int, total: int) -> None:
            raise LookupError

        with pytest.raises(LookupError):
            engine.backup(str(tmp_path / "copy"), stop)
        assert not (tmp_path / "copy").exists()

    def test_an_error_of_the_progress_function_stops_the_work(self, engine: _core.Engine) -> None:
        put(engine, "a", b"1")

        def stop(done: int, total: int) -> None:
            raise LookupError(f"enough at {done} of {total}")

        with pytest.raises(LookupError, match="enough"):
            engine.check(stop)
        assert engine.check()["problems"] == []


class TestTransactions:
    def test_stores_are_found_created_and_removed(self, engine: _core.Engine) -> None:
        tx = engine.begin(SERIALIZABLE, False)
        assert tx.find_store("a") is None
        made = tx.create_store("a", 3, b"options")
        assert (made.name, made.kind, made.options) == ("a", 3, b"options")
        assert "'a'" in repr(made)
        again = tx.create_store("a", 3, b"options")
        assert again.id == made.id
        with pytest.raises(StoreExistsError, match="'a'"):
            tx.create_store("a", 4, b"options")
        tx.commit()
        tx = engine.begin(SERIALIZABLE, False)
        assert [store.name for store in tx.stores()] == ["a"]
        tx.remove_store(made.id)
        assert tx.stores() == []
        with pytest.raises(StoreNotFoundError):
            tx.remove_store(99)
        tx.commit()
        assert engine.begin(SERIALIZABLE, True).find_store("a") is None

    def test_savepoints_take_writes_back(self, engine: _core.Engine) -> None:
        put(engine, "a", b"0")
        tx = engine.begin(SERIALIZABLE, False)
        store = participant(tx)
        outer = tx.savepoint()
        store.upsert("a", b"1")
        inner = tx.savepoint()
        store.upsert("a", b"2")
        store.remove("a")
        tx.rollback_to(inner)
        assert store.get("a") == b"1"
        tx.rollback_to(outer)
        assert store.get("a") == b"0"
        with pytest.raises(InvalidArgumentError, match="savepoint"):
            tx.rollback_to(inner)
        store.upsert("a", b"3")
        tx.rollback_to(outer)
        assert store.get("a") == b"0"

    def test_what_a_transaction_has_written_is_told(self, engine: _core.Engine) -> None:
        put(engine, "a", b"0")
        tx = engine.begin(SERIALIZABLE, False)
        assert not tx.has_writes
        assert tx.seq == engine.last_seq
        participant(tx).upsert("b", b"x" * 1000)
        assert tx.has_writes
        assert tx.write_bytes >= 1000

    @pytest.mark.parametrize("end", ["commit", "rollback", "submit"])
    def test_after_its_end_every_call_says_so(self, engine: _core.Engine, end: str) -> None:
        put(engine, "a", b"0")
        tx = engine.begin(SERIALIZABLE, False)
        store = participant(tx)
        completions = _core.Completions()
        if end == "submit":
            tx.submit(completions, 1)
            outcomes(completions, 1)
        else:
            getattr(tx, end)()
        for call in (
            lambda: store.get("a"),
            lambda: store.add_many(["b"], [b""]),
            lambda: store.scan(None, None),
            tx.commit,
            tx.stores,
            tx.savepoint,
            lambda: tx.submit(completions, 2),
        ):
            with pytest.raises(TransactionClosedError, match="ended"):
                call()
        tx.rollback()
        assert tx.withdraw() is False

    def test_a_conflict_names_store_and_keys(self, engine: _core.Engine) -> None:
        put(engine, "a", b"0")
        tx = engine.begin(SERIALIZABLE, False)
        store = participant(tx)
        assert store.get("a") == b"0"
        store.upsert("b", b"1")
        put(engine, "a", b"2")
        with pytest.raises(ConflictError) as caught:
            tx.commit()
        assert caught.value.store == "store"
        assert SCALARS.encode("a") in caught.value.keys
        assert get(engine, "b") is None

    def test_snapshot_isolation_checks_writes_alone(self, engine: _core.Engine) -> None:
        put(engine, "a", b"0")
        reads = engine.begin(SNAPSHOT, False)
        writes = engine.begin(SNAPSHOT, False)
        assert participant(reads).get("a") == b"0"
        participant(reads).upsert("b", b"1")
        participant(writes).upsert("a", b"1")
        put(engine, "a", b"2")
        reads.commit()
        with pytest.raises(ConflictError):
            writes.commit()

    def test_an_unknown_isolation_is_refused(self, engine: _core.Engine) -> None:
        with pytest.raises(InvalidArgumentError, match="isolation is 7"):
            engine.begin(7, False)


class TestCompletions:
    def test_every_submitted_commit_is_answered_once(self, engine: _core.Engine) -> None:
        put(engine, "a", b"0")
        completions = _core.Completions()
        for token in range(500):
            tx = engine.begin(SERIALIZABLE, False)
            participant(tx).upsert(("k", token), b"%d" % token)
            tx.submit(completions, token)
        found = outcomes(completions, 500)
        assert {status for status, _ in found.values()} == {0}
        assert sorted(seq for _, seq in found.values()) == list(range(2, 502))
        assert completions.drain() == []
        assert get(engine, ("k", 499)) == b"499"
        completions.close()

    def test_a_failed_commit_arrives_as_its_exception(self, engine: _core.Engine) -> None:
        put(engine, "a", b"0")
        tx = engine.begin(SERIALIZABLE, False)
        participant(tx).get("a")
        participant(tx).upsert("b", b"")
        put(engine, "a", b"1")
        completions = _core.Completions()
        tx.submit(completions, 9)
        status, error = outcomes(completions, 1)[9]
        assert status == 1
        assert isinstance(error, ConflictError)

    def test_the_descriptor_is_readable_only_while_something_waits(self, engine: _core.Engine) -> None:
        put(engine, "a", b"0")
        completions = _core.Completions()
        for round_number in range(200):
            tx = engine.begin(SERIALIZABLE, False)
            participant(tx).upsert("a", b"%d" % round_number)
            tx.submit(completions, round_number)
            assert list(outcomes(completions, 1)) == [round_number]
            assert select.select([completions.fileno()], [], [], 0)[0] == []

    def test_a_withdrawn_commit_is_rolled_back_and_any_other_is_there(self, engine: _core.Engine) -> None:
        put(engine, "a", b"0")
        completions = _core.Completions()
        withdrawn = {}
        for token in range(300):
            tx = engine.begin(SERIALIZABLE, False)
            participant(tx).upsert(("k", token), b"")
            tx.submit(completions, token)
            withdrawn[token] = tx.withdraw()
        found = outcomes(completions, 300)
        for token, (status, payload) in found.items():
            assert (status == 1) is withdrawn[token]
            assert (get(engine, ("k", token)) is None) is withdrawn[token]
            if status:
                assert isinstance(payload, TransactionClosedError)

    def test_what_finishes_after_closing_is_dropped(self, engine: _core.Engine) -> None:
        put(engine, "a", b"0")
        completions = _core.Completions()
        tx = engine.begin(SERIALIZABLE, False)
        participant(tx).upsert("a", b"1")
        tx.submit(completions, 1)
        completions.close()
        completions.close()
        assert completions.drain() == []
        with pytest.raises(ClosedError):
            completions.fileno()
        deadline = time.monotonic() + 10
        while get(engine, "a") != b"1":
            assert time.monotonic() < deadline

    def test_closing_the_engine_finishes_what_was_submitted(self, db_path: Path) -> None:
        engine = _core.Engine.open(str(db_path))
        put(engine, "a", b"0")
        completions = _core.Completions()
        for token in range(100):
            tx = engine.begin(SERIALIZABLE, False)
            participant(tx).upsert(token, b"")
            tx.submit(completions, token)
        engine.close()
        assert {status for status, _ in outcomes(completions, 100).values()} == {0}
