"""Bad input gets an error that says what was wrong, where, and what to do; and it changes nothing."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import threading
from dataclasses import dataclass

import anyio
import pytest

import sopasync
from sopasync import BtreeOptions, Database, DatabaseOptions, PagingInfo, Relation, TransactionMode

pytestmark = pytest.mark.anyio


@dataclass
class Record:
    number: int


@pytest.fixture
async def tx(db):
    """A transaction with the store "s", which holds 1 only; afterwards it must hold the same."""
    async with db.begin_transaction() as transaction:
        store = await transaction.new_btree("s")
        await store.add(1, "one")
    async with db.begin_transaction() as transaction:
        yield transaction
        if transaction.outcome is None:
            store = await transaction.open_btree("s")
            assert [tuple(item) async for item in store.items()] == [(1, "one")]


@pytest.mark.parametrize(
    "key",
    [{"a": 1}, [1], {1}, object(), Record(1), 1j, (1, [2]), range(3)],
    ids=lambda key: type(key).__name__,
)
async def test_a_key_of_a_wrong_type(tx, key):
    store = await tx.open_btree("s")
    for call in (
        lambda: store.upsert(key, 1),
        lambda: store.add(key, 1),
        lambda: store.add([(2, 1), (key, 1)]),
        lambda: store.get(key) if not isinstance(key, list) else store.find(key),
        lambda: store.get_many([1, key]),
        lambda: store.contains(key),
        lambda: store.find(key),
        lambda: store.increment(key),
    ):
        with pytest.raises(sopasync.KeyTypeError, match="store 's': .*type") as error:
            await call()
        assert isinstance(error.value, TypeError)
        assert error.value.store == "s"


async def test_a_key_of_another_type_than_the_store_was_opened_with(tx):
    store = await tx.open_btree("s", key_type=int)
    for key in ("1", True, 1.5, None):
        with pytest.raises(sopasync.KeyTypeError, match="keys of store 's' are of type int, got"):
            await store.get(key)
        with pytest.raises(sopasync.KeyTypeError):
            await store.add([(key, 1)])


@pytest.mark.parametrize("key", [float("nan"), -float("nan"), (1, float("nan"))], ids=repr)
async def test_a_nan_key(tx, key):
    store = await tx.open_btree("s")
    for call in (lambda: store.upsert(key, 1), lambda: store.get(key), lambda: store.add([(key, 1)])):
        with pytest.raises(sopasync.SopasyncError, match="(?i)nan"):
            await call()


async def test_a_record_key_without_an_index_field(tx):
    store = await tx.new_btree("records", key_type=Record)
    with pytest.raises(
        sopasync.KeyTypeError, match="the key has no field 'number'; the index of this store needs"
    ):
        await store.upsert({"other": 1}, "value")
    with pytest.raises(sopasync.KeyTypeError):
        await store.upsert(5, "value")  # type: ignore[arg-type]
    assert await store.count() == 0


@pytest.mark.parametrize(
    "key",
    ["x" * 10_000, b"x" * 10_000, ("x" * 5000, "x" * 5000), 1 << 100_000],
    ids=["str", "bytes", "tuple", "int"],
)
async def test_an_oversize_key(tx, key):
    store = await tx.open_btree("s")
    for call in (lambda: store.upsert(key, 1), lambda: store.get(key), lambda: store.add([(key, 1)])):
        with pytest.raises(sopasync.ValueTooLargeError, match="at most") as error:
            await call()
        assert isinstance(error.value, ValueError)


async def test_the_longest_key_is_accepted(db):
    async with db.begin_transaction() as tx:
        store = await tx.new_btree("long")
        for letter in "abc":
            await store.add(letter * 4096, letter)
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("long")
        assert [value async for value in store.values()] == ["a", "b", "c"]


async def test_an_oversize_ride_on_part(tx):
    store = await tx.new_btree("records", key_type=Record, index_spec=None)
    with pytest.raises(sopasync.ValueTooLargeError, match="at most"):
        await store.upsert({"number": 1, "note": "x" * 5000}, "value")  # type: ignore[arg-type]
    assert await store.count() == 0


async def test_a_closed_transaction(db, tx):
    async with db.begin_transaction() as closed:
        store = await closed.open_btree("s")
        scan = store.items()
    calls = (
        lambda: store.get(1),
        lambda: store.upsert(2, 2),
        lambda: store.add([(2, 2)]),
        lambda: store.first(),
        lambda: anext(scan),
        lambda: closed.open_btree("s"),
        lambda: closed.new_btree("t"),
        lambda: closed.commit(),
        lambda: closed.stores(),
        lambda: store.increment(1),
    )
    for call in calls:
        with pytest.raises(
            sopasync.TransactionClosedError, match=r"is committed: begin another one with db\.begin_tr"
        ):
            await call()


async def test_a_transaction_that_has_not_begun_or_has_begun_twice(db):
    tx = db.begin_transaction()
    with pytest.raises(
        sopasync.TransactionStateError, match="has not begun: use it as `async with`, or call begin"
    ):
        await tx.open_btree("s")
    with pytest.raises(sopasync.TransactionStateError, match="has not begun"):
        await tx.commit()
    tx.begin()
    with pytest.raises(
        sopasync.TransactionStateError, match=r"is open already: call begin_transaction\(\) for another"
    ):
        tx.begin()
    tx.rollback()


async def test_a_commit_by_hand_inside_the_block(db):
    async with db.begin_transaction() as tx:
        with pytest.raises(
            sopasync.TransactionStateError, match=r"commit\(\) inside `async with` is not allowed"
        ):
            await tx.commit()
        await tx.new_btree("s")
    assert tx.outcome is sopasync.TransactionOutcome.COMMITTED


async def test_a_write_in_a_reading_transaction(db, tx):
    async with db.begin_transaction(TransactionMode.FOR_READING) as reading:
        store = await reading.open_btree("s")
        for call in (
            lambda: store.upsert(1, 2),
            lambda: store.add(2, 2),
            lambda: store.add([(2, 2)]),
            lambda: store.update(1, 2),
            lambda: store.remove(1),
            lambda: store.increment(1),
            lambda: reading.new_btree("t"),
            lambda: reading.remove_btree("s"),
        ):
            with pytest.raises(sopasync.ReadOnlyError, match="(?i)read"):
                await call()
        assert await store.get(1) == "one"


async def test_another_event_loop(db, tx):
    caught: list[BaseException] = []

    def in_another_thread():
        async def use():
            try:
                async with db.begin_transaction():
                    pass
            except BaseException as error:
                caught.append(error)

        asyncio.run(use())

    thread = threading.Thread(target=in_another_thread)
    thread.start()
    await anyio.to_thread.run_sync(thread.join)
    assert isinstance(caught[0], sopasync.LoopMismatchError)
    assert "open another handle in this loop, they share one engine" in str(caught[0])


def test_no_event_loop(tmp_path, anyio_backend):
    coroutine = Database(tmp_path).open()
    with pytest.raises(
        sopasync.LoopMismatchError, match="no event loop is running in this thread: await this inside"
    ):
        coroutine.send(None)


async def test_an_unopened_and_a_closed_database(db_path, anyio_backend):
    db = Database(db_path)
    with pytest.raises(sopasync.ClosedError, match="is not open: use `async with`, or open"):
        async with db.begin_transaction():
            pass
    async with db:
        pass
    for call in (lambda: db.remove_btree("s"), db.checkpoint, lambda: db.check(), lambda: db.backup(db_path)):
        with pytest.raises(sopasync.ClosedError, match="is closed: make another Database"):
            await call()
    with pytest.raises(sopasync.ClosedError, match="is closed and cannot be opened: make another Database"):
        await db.open()
    with pytest.raises(sopasync.ClosedError):
        db.statistics()


async def test_an_unknown_store(tx):
    with pytest.raises(sopasync.StoreNotFoundError, match="there is no store 'unknown'") as error:
        await tx.open_btree("unknown")
    assert isinstance(error.value, LookupError)
    with pytest.raises(sopasync.StoreNotFoundError):
        await tx.remove_btree("unknown")


@pytest.mark.parametrize("name", ["", "x" * 5000])
async def test_a_store_name_that_cannot_be(tx, name):
    with pytest.raises(sopasync.SopasyncError, match="name"):
        await tx.new_btree(name)


async def test_a_second_owner_process(db, db_path):
    program = (
        "import asyncio, sys, sopasync\n"
        "async def main():\n"
        "    async with sopasync.Database(sys.argv[1]): pass\n"
        "try: asyncio.run(main())\n"
        "except sopasync.DatabaseLockedError as error: print(error, '|', error.path)\n"
    )
    done = await anyio.run_process([sys.executable, "-c", program, str(db_path)], stderr=subprocess.STDOUT)
    assert b"another process owns the database" in done.stdout
    assert str(db_path).encode() in done.stdout


async def test_a_database_that_is_not_there(db_path, anyio_backend):
    with pytest.raises(sopasync.SopasyncError, match=str(db_path)):
        await Database(db_path, create=False).open()
    with pytest.raises(sopasync.SopasyncError, match=str(db_path)):
        await Database(db_path, read_only=True).open()
    assert not db_path.exists()


async def test_a_commutative_operation_on_another_kind_of_value(db):
    async with db.begin_transaction() as tx:
        await (await tx.new_btree("c")).add("text", "one")
    with pytest.raises(
        sopasync.CodecError, match=r"store 'c' cannot be applied: .* \(key 'text'\)"
    ) as refused:
        async with db.begin_transaction() as tx:
            await (await tx.open_btree("c")).increment("text")
    assert (refused.value.store, refused.value.key) == ("c", "text")
    async with db.begin_transaction() as tx:
        store = await tx.open_btree("c")
        assert await store.get("text") == "one"
        with pytest.raises(sopasync.SopasyncError):
            await store.increment("number", "one")  # type: ignore[arg-type]
        with pytest.raises(sopasync.SopasyncError):
            await store.append("number", 5)  # type: ignore[arg-type]


BAD_ARGUMENTS = [
    (lambda path: Database(5), "a database is given as a path or as DatabaseOptions, not as int"),
    (lambda path: DatabaseOptions(stores_folders=path), "is not a list: write stores_folders="),
    (
        lambda path: DatabaseOptions(stores_folders=[path, path]),
        "lists 2 folders: this version keeps a database in one",
    ),
    (
        lambda path: DatabaseOptions(stores_folders=[path], type=sopasync.DatabaseType.CLUSTERED),
        "not offered yet: use DatabaseType.STANDALONE",
    ),
    (lambda path: Database(path, durability="none"), "durability='none' is unknown: use 'full' or 'relaxed'"),
    (lambda path: Database(path, cache_bytes=0), "cache_bytes=0.* must all be above zero"),
    (
        lambda path: Database(path, page_bytes=1000),
        "page_bytes=1000 must be a power of two from 512 to 32768",
    ),
    (lambda path: Database(path).begin_transaction(max_time=0), "give more than 0 and at most 3600 seconds"),
    (
        lambda path: Database(path).begin_transaction(max_time=1e6),
        "give more than 0 and at most 3600 seconds",
    ),
    (lambda path: Database(path).begin_transaction(9), "mode=9 is unknown: use a TransactionMode"),
    (
        lambda path: Database(path).begin_transaction(isolation="chaos"),
        "isolation='chaos' is unknown: use 'serializable' or 'snapshot'",
    ),
    (lambda path: PagingInfo(page_offset=-1), "is no page: give page_offset >= 0"),
    (lambda path: PagingInfo(direction=2), "direction 2 is unknown: use PagingDirection"),
    (lambda path: Relation(["a"], "t", []), "a Relation pairs fields one to one"),
]


@pytest.mark.parametrize(("call", "message"), BAD_ARGUMENTS)
def test_arguments_outside_what_a_call_accepts(tmp_path, call, message):
    with pytest.raises((sopasync.InvalidArgumentError, sopasync.UnsupportedError), match=message):
        call(tmp_path)


async def test_contradicting_options(tx):
    with pytest.raises(
        sopasync.InvalidArgumentError, match="is_primitive_key=True contradicts its record keys"
    ):
        await tx.new_btree("r", BtreeOptions(is_primitive_key=True), key_type=Record)


def test_errors_are_one_tree_and_survive_pickling():
    for name in dir(sopasync):
        error = getattr(sopasync, name)
        if isinstance(error, type) and issubclass(error, Exception):
            assert issubclass(error, sopasync.SopasyncError)
            assert error.__module__ == "sopasync"
            copy = pickle.loads(pickle.dumps(error("what, where, remedy")))
            assert type(copy) is error
            assert str(copy) == "what, where, remedy"
    error = sopasync.CorruptionError("damaged", file="pages", offset=8192)
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)
