"""The blocking calls: the same vocabulary as the awaited ones, from any number of threads, without an event loop."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest

import sopasync
from sopasync import (
    Item,
    PagingInfo,
    SearchConfig,
    TransactionMode,
    TransactionOutcome,
    VectorConfig,
    sync,
)


class Account(msgspec.Struct):
    owner: str
    balance: int


class Place(msgspec.Struct):
    city: str
    number: int
    note: str = ""


@pytest.fixture
def db(db_path: Path) -> Iterator[sync.Database]:
    with sync.Database(db_path) as database:
        yield database


@pytest.mark.parametrize(
    ("name", "more", "fewer"),
    [
        ("BtreeStore", set(), set()),
        ("Cursor", set(), {"range_from"}),
        ("StoreIndex", {"awaited"}, set()),
        ("Join", {"close"}, {"aclose", "fetch"}),
        ("JoinColumns", {"close"}, {"aclose"}),
        ("Related", {"close"}, {"aclose", "fetch"}),
        ("Savepoint", set(), set()),
        ("Attempts", set(), set()),
    ],
)
def test_the_vocabulary_is_that_of_the_awaited_calls(name, more, fewer):
    internal = {
        "actor", "call", "check_key", "checks_keys", "decode", "decoded", "encode", "engine_packs", "engine_unpacks",
        "item", "key", "made_keys", "makes_keys", "named", "participant", "run", "turns", "turns_granted", "turns_left",
        "value_form",
    }  # fmt: skip
    awaited = {n for n in dir(getattr(sopasync, name)) if not n.startswith("_")} - internal - fewer
    blocking = {n for n in dir(getattr(sync, name)) if not n.startswith("_")}
    assert blocking - more == awaited
    for method in sorted(awaited & blocking):
        ours, theirs = getattr(getattr(sync, name), method), getattr(getattr(sopasync, name), method)
        if callable(ours):
            assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters), (
                method
            )


def test_every_call_of_a_store(db):
    with db.begin_transaction() as tx:
        store = tx.new_btree("s", value_type=str)
        assert store.add("a", "1")
        assert store.add([("b", "2"), Item("c", "3")])
        assert not store.add_if_not_exists("a", "x")
        assert store.add_if_not_exists([("d", "4"), ("e", "5")])
        assert not store.add_if_not_exists([("f", "4"), ("e", "5")])
        assert store.update("a", "one")
        store.upsert("b", "two")
        store.upsert([("c", "three"), ("g", "7")])
        assert store.get("a") == "one"
        assert store.get("zz") is None
        assert store.get("zz", 5) == 5
        assert store.get_item("a") == Item("a", "one")
        assert store.contains("g")
        assert store.count() == 6
        assert store.remove("g")
        assert store.remove(["e"])
        assert store.discard("d")
        assert not store.discard("d")
        assert store.get_many(["a", "x", "c"]) == ["one", None, "three"]
        assert [tuple(item) for item in store.items()] == [("a", "one"), ("b", "two"), ("c", "three")]
        assert list(store.keys(reverse=True)) == ["c", "b", "a"]
        assert list(store.values(start="b")) == ["two", "three"]
        assert list(store.values().pages(2)) == [["one", "two"], ["three"]]
        assert list(store.columns(prefix="b")) == [(["b"], ["two"])]
        assert [item.key for item in store.get_items(PagingInfo(1, 2))] == ["c"]
        assert [item.value for item in store.get_keys()] == [None] * 3
        assert store.get_values(["a", "x"]) == [Item("a", "one")]
        store.append("log", "x")
        store.append("log", "y")
        assert store.get("log") == "xy"
    with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        store = tx.open_btree("s", value_type=str)
        assert store.find("b")
        assert store.get_current_key() == "b"
        assert store.get_current_value() == "two"
        assert store.next()
        assert store.get_current_item() == Item("c", "three")
        assert store.previous()
        assert store.shared_cursor.get_key() == "b"
        cursor = store.cursor()
        assert cursor.last()
        assert cursor.get_key() == "log"
        assert store.name == "s"
        assert store.is_unique
        assert [found.name for found in tx.stores()] == ["s"]
        with pytest.raises(sopasync.ReadOnlyError):
            store.upsert("a", "")


def test_commutative_operations_and_typed_records(db):
    with db.begin_transaction() as tx:
        by_city = sopasync.IndexSpecification(
            [sopasync.IndexFieldSpecification("city"), sopasync.IndexFieldSpecification("number")]
        )
        accounts = tx.new_btree("accounts", index_spec=by_city, key_type=Place, value_type=Account)
        accounts.add(Place("Bern", 1, "old"), Account("Ann", 5))
        accounts.update_key(Place("Bern", 1, "new"))
        numbers = tx.new_btree("numbers")
        numbers.increment("n", 2)
        numbers.increment("n")
        numbers.maximum("top", 9)
        numbers.minimum("low", 1)
    with db.begin_transaction() as tx:
        accounts = tx.open_btree("accounts", key_type=Place, value_type=Account)
        (item,) = accounts.items(prefix={"city": "Bern"})
        assert item == Item(Place("Bern", 1, "new"), Account("Ann", 5))
        with pytest.raises(sopasync.KeyTypeError, match="accounts"):
            accounts.get(5)  # type: ignore[arg-type]
        with pytest.raises(sopasync.KeyTypeError, match="accounts"):
            accounts.upsert(Place("Bern", 1), 5)  # type: ignore[call-overload]
        assert dict(tx.open_btree("numbers").items()) == {"low": 1, "n": 3, "top": 9}


def test_a_transaction_ends_as_its_block_does(db):
    with db.begin_transaction() as tx:
        tx.new_btree("s").add(1, 1)
        with pytest.raises(sopasync.TransactionStateError, match="not allowed"):
            tx.commit()
    assert tx.outcome is TransactionOutcome.COMMITTED
    assert tx.commit_seq == db.last_seq
    with pytest.raises(ZeroDivisionError), db.begin_transaction() as tx:
        tx.open_btree("s").add(2, 2)
        raise ZeroDivisionError
    assert tx.outcome is TransactionOutcome.ROLLED_BACK
    tx = db.begin_transaction()
    tx.begin()
    store = tx.open_btree("s")
    store.add(3, 3)
    tx.commit()
    with pytest.raises(sopasync.TransactionClosedError):
        store.get(3)
    with pytest.raises(sopasync.TransactionClosedError):
        store.add(4, 4)
    with db.begin_transaction() as tx:
        with pytest.raises(ZeroDivisionError), tx.savepoint():
            tx.open_btree("s").upsert([(key, key) for key in range(20_000)])
            raise ZeroDivisionError
        with tx.savepoint() as savepoint:
            tx.open_btree("s").add(5, 5)
            savepoint.rollback()
        assert list(tx.open_btree("s").keys()) == [1, 3]
        tx.remove_btree("s")
    with db.begin_transaction() as tx, pytest.raises(sopasync.StoreNotFoundError):
        tx.open_btree("s")


def test_time_limits_are_noticed(db):
    with db.begin_transaction() as tx:
        tx.new_btree("s").add(1, 1)
    tx = db.begin_transaction(max_time=0.05)
    tx.begin()
    store = tx.open_btree("s")
    threading.Event().wait(0.1)
    with pytest.raises(sopasync.TransactionExpiredError):
        for _ in range(100):
            store.get(1)


@pytest.mark.parametrize("inline", [False, True])
def test_transfers_by_many_threads_keep_the_money(db, inline):
    with db.begin_transaction() as tx:
        tx.new_btree("accounts", value_type=int).add([(number, 100) for number in range(4)])

    def transfer(tx, source, target):
        accounts = tx.open_btree("accounts", value_type=int)
        accounts.update(source, accounts.get(source) - 1)
        accounts.update(target, accounts.get(target) + 1)

    def work(seed):
        for step in range(40):
            source, target = (seed + step) % 4, (seed * 3 + step + 1) % 4
            if source == target:
                continue
            if inline:
                for attempt in db.attempts():
                    with attempt as tx:
                        transfer(tx, source, target)
            else:
                db.run(transfer, source, target)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    with db.begin_transaction() as tx:
        assert sum(tx.open_btree("accounts", value_type=int).values()) == 400
    statistics = db.statistics()
    assert statistics.conflicts_retried > 0
    assert (statistics.transactions_open, statistics.commits_waiting) == (0, 0)
    assert statistics.stores[0].participants == 0


def test_run_returns_refuses_and_gives_up(db):
    assert db.run(lambda tx, value: value, 5) == 5
    tries = []

    def conflict(tx):
        tries.append(tx)
        raise sopasync.ConflictError("again")

    with pytest.raises(sopasync.ConflictError):
        db.run(conflict, attempts=3)
    assert len(tries) == 3

    async def coroutine(tx):
        pass

    def generator(tx):
        yield 1

    with pytest.raises(sopasync.InvalidArgumentError, match=r"sopasync\.Database"):
        db.run(coroutine)
    with pytest.raises(sopasync.InvalidArgumentError, match="return a list"):
        db.run(generator)


def test_pages_that_are_not_in_memory_are_waited_for(db_path):
    options = {"cache_bytes": 1 << 20, "page_bytes": 4096}
    with sync.Database(db_path, **options) as db:
        assert db.bulk_load("s", ((key, "x" * 500) for key in range(20_000)), value_type=str) == 20_000
    with sync.Database(db_path, **options) as db:
        with db.begin_transaction() as tx:
            store = tx.open_btree("s", value_type=str)
            for key in range(0, 20_000, 501):
                assert store.get(key) == "x" * 500
                store.update(key, "y")
            assert sum(len(value) == 1 for value in store.values()) == 40
            store.upsert(-1, "z" * 1_000_000)
            assert store.get(-1) == "z" * 1_000_000
        assert db.statistics().stores[0].turns_waited > 10
        assert db.check().problems == ()


def test_a_bulk_load_that_fails_leaves_nothing(db):
    with pytest.raises(sopasync.KeyTypeError, match="store 's'"):
        db.bulk_load("s", [(1, 1), (object(), 2)])
    with pytest.raises(sopasync.StoreNotFoundError):
        db.remove_btree("s")


def test_both_kinds_of_handles_share_an_engine(db, db_path):
    with db.begin_transaction() as tx:
        tx.new_btree("s").add(1, "from a thread")

    async def awaited():
        async with sopasync.Database(db_path) as other, other.begin_transaction() as tx:
            store = await tx.open_btree("s")
            assert await store.get(1) == "from a thread"
            with db.begin_transaction() as blocking:  # also on the thread of a loop
                assert blocking.open_btree("s").get(1) == "from a thread"
            await store.add(2, "from a loop")

    asyncio.run(awaited())
    with db.begin_transaction() as tx:
        assert tx.open_btree("s").get(2) == "from a loop"


def test_a_transaction_belongs_to_one_thread_at_a_time(db):
    """Handed from thread to thread it works; two at once are refused or served, never mixed up."""
    tx = db.begin_transaction()
    tx.begin()
    store = tx.new_btree("s")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(store.add, 1, 1).result()
    refused = []

    def hammer(base):
        for key in range(base, base + 300):
            try:
                store.upsert(key, key)
            except sopasync.TransactionStateError as error:
                refused.append(str(error))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hammer, [1000, 2000, 3000, 4000]))
    assert store.count() == 1201 - len(refused)
    assert all("Await it" in message or "one thread at a time" in message for message in refused)
    tx.rollback()


def test_lifecycle(db_path):
    db = sync.Database(db_path)
    with pytest.raises(sopasync.ClosedError, match="not open"), db.begin_transaction():
        pass
    assert db.open() is db.open()
    tx = db.begin_transaction()
    tx.begin()
    db.close()
    db.close()
    assert tx.outcome is TransactionOutcome.ROLLED_BACK
    assert repr(db).startswith("<sopasync.sync.Database ")
    with pytest.raises(sopasync.ClosedError, match="make another"):
        db.open()
    with pytest.raises(sopasync.ClosedError):
        db.statistics()
    with sync.Database(db_path, read_only=True) as reader:
        assert reader.refresh() == reader.last_seq
        with pytest.raises(sopasync.ReadOnlyError), reader.begin_transaction():
            pass
    leaked = sync.Database(db_path).open()
    with pytest.warns(ResourceWarning, match="was not closed"):
        del leaked
    with sync.Database(db_path) as again:
        again.checkpoint()
        again.backup(db_path.parent / "copy")
    assert sync.Database(db_path.parent / "copy", create=False).open().close() is None


def test_models_blobs_vectors_and_texts_have_the_same_calls_without_await(tmp_path: Path) -> None:
    weights = np.arange(100_000, dtype=np.float32)
    data = np.random.default_rng(1).bytes(5_000_000)
    source = tmp_path / "source"
    source.write_bytes(data)
    with sync.Database(tmp_path / "db") as db:
        with db.begin_transaction() as tx:
            info = tx.open_model_store("models").save("nets", "a", {"weights": weights, "list": [0.5] * 100})
            assert info.version == 1
            blobs = tx.open_blob_store("blobs")
            with blobs.create("a", sha256=True) as writer:
                assert writer.write_from(source) == len(data) == writer.size
            with pytest.raises(ZeroDivisionError), blobs.create("b") as writer:
                writer.write(data)
                raise ZeroDivisionError
            vectors = tx.open_vector_store("vectors", VectorConfig(2, "l2"))
            vectors.upsert_many(range(10), [[number, 0] for number in range(10)])
            vectors.upsert(10, [10, 0], {"last": True})
            texts = tx.open_search("texts", SearchConfig())
            texts.add("doc", "a quick brown fox")
        with db.begin_transaction(TransactionMode.FOR_READING) as tx:
            models = tx.open_model_store("models")
            model = models.load("nets", "a")
            assert (model["weights"] == weights).all()
            assert model["list"] == [0.5] * 100
            assert (models.list("nets"), models.categories()) == (["a"], ["nets"])
            blobs = tx.open_blob_store("blobs")
            assert b"".join(blobs.stream("a")) == blobs.read("a") == data
            assert b"".join(blobs.stream("a", 5, -5, copy=False)) == data[5:-5]
            assert blobs.download("a", tmp_path / "copy") == len(data)
            assert (tmp_path / "copy").read_bytes() == data
            assert [blob.sha256 for blob in blobs.list()] == [hashlib.sha256(data).hexdigest()]
            vectors = tx.open_vector_store("vectors")
            assert [hit.id for hit in vectors.query([3, 0], 2, exact=True)][:1] == [3]
            assert list(vectors.ids()) == list(range(11))
            assert [item.id for item in vectors.items()] == list(range(11))
            assert [hit.doc_id for hit in tx.open_search("texts").search("fox")] == ["doc"]
            assert tx.describe("models").name == "models"
        assert (model["weights"] == weights).all()
        with pytest.raises(sopasync.ReadOnlyError), db.begin_transaction(TransactionMode.FOR_READING) as tx:
            tx.open_model_store("models").save("nets", "b", 1)
        for remove, name in (
            (db.remove_model_store, "models"),
            (db.remove_blob_store, "blobs"),
            (db.remove_vector_store, "vectors"),
            (db.remove_search, "texts"),
        ):
            remove(name)
        with db.begin_transaction(TransactionMode.FOR_READING) as tx:
            assert tx.stores() == []


def test_blocking_calls_have_the_signatures_of_the_awaited_ones() -> None:
    for kind in ("ModelStore", "BlobStore", "VectorStore", "SearchStore", "BlobWriter"):
        awaited, blocking = getattr(sopasync, kind), getattr(sync, kind)
        for name, method in vars(awaited).items():
            if name.startswith("_") or not inspect.iscoroutinefunction(method):
                continue
            if name in {"kept_chunk", "mapped_chunk", "row", "run_call"}:
                continue  # for the modules beside it
            other = getattr(blocking, name)
            told, meant = inspect.signature(other), inspect.signature(method)
            assert list(told.parameters.values()) == list(meant.parameters.values()), f"{kind}.{name}"


def test_a_blocking_call_inside_an_event_loop_blocks_and_does_not_confuse_it(tmp_path: Path) -> None:
    async def main() -> None:
        with sync.Database(tmp_path / "db") as db, db.begin_transaction() as tx:
            tx.open_model_store("models").save("nets", "a", {"weights": np.zeros(100_000)})
            blobs = tx.open_blob_store("blobs")
            with blobs.create("a", sha256=True) as writer:
                writer.write(bytes(3_000_000))
            assert blobs.count() == 1

    asyncio.run(main())
