"""`Watch`: the changes of a database, commit by commit, as they happen and from the past."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, final

import anyio
import msgspec

from ._btree_actor import BtreeActor
from ._core import ADD, APPEND, MAX, MIN, decode_value
from ._exceptions import ChangesLostError, ClosedError, InvalidArgumentError, SnapshotExpiredError
from ._opening import on_thread
from ._options import TransactionMode
from ._values import value_codec
from ._wakeup import Answer, yield_function

if TYPE_CHECKING:
    from types import TracebackType

    from ._core import ChangeFeed, Engine, StoreInfo
    from ._transaction import Transaction
    from ._wakeup import Signal, Wakeup

BYTES_AT_ONCE: Final = 1 << 20
"""About how much of the log is read ahead, on a thread."""

BYTES_INLINE: Final = 1 << 16
"""About how much of what is in memory is read on the loop's own thread: some hundreds of changes."""

SNAPSHOT_ITEMS: Final = 500
"""Items of a snapshot that are read ahead."""

FOLLOW_SECONDS: Final = 0.05
"""How often a read-only handle looks for new commits."""

Stores = Sequence[str] | Mapping[str, Any]
"""Names of stores, or the type of the values for each name."""

_Reader = tuple[str, Callable[[bytes, bytes | None], Any], Callable[[bytes], Any]]
"""Of one store: its name, and what its keys and values are read with."""

ChangeKind = Literal[
    "snapshot",
    "put",
    "delete",
    "ride_on",
    "increment",
    "maximum",
    "minimum",
    "append",
    "created",
    "removed",
    "loaded",
    "changed",
]

# What the engine says a change is.
_CREATED, _REMOVED, _LOADED, _PUT, _DELETED, _META, _MERGED, _CHANGED = range(8)
_OF_STORES: Final[dict[int, ChangeKind]] = {
    _CREATED: "created",
    _REMOVED: "removed",
    _LOADED: "loaded",
    _CHANGED: "changed",
}
_OPERATIONS: Final[dict[int, ChangeKind]] = {
    ADD: "increment",
    MAX: "maximum",
    MIN: "minimum",
    APPEND: "append",
}


class Change(msgspec.Struct, frozen=True):
    """One change of one store."""

    seq: int
    """The commit it came with; for a snapshot, the commit the snapshot shows."""
    store: str
    kind: ChangeKind
    """``put``: the key has this value now. ``delete``: the key, if it was there, is gone. ``ride_on``: the ride-on
    fields of the key, if it was there, are these now. ``increment``, ``maximum``, ``minimum``, ``append``: that
    operation was applied with `value`. ``created``, ``removed``, ``loaded``: the store was made, removed, filled by
    a bulk load. ``changed``: something in a store that is no B-tree store. ``snapshot``: what was there before."""
    key: Any = None
    value: Any = None
    value_lost: bool = False
    """The value was large, and its space has been used again since: read what the store holds now."""


class Commit(msgspec.Struct, frozen=True):
    """What one committed transaction changed in the watched stores."""

    seq: int
    changes: list[Change]


class Handle(Protocol):
    """What a watch needs of its database handle."""

    @property
    def read_only(self) -> bool: ...

    def begin_transaction(self, mode: TransactionMode = ..., *, max_time: float = ...) -> Transaction: ...

    async def refresh(self) -> int: ...


@final
class Watch:
    """The changes of a database, for ``async for``; made by `Database.watch`.

    Gives one `Change` after the other; `commits` gives whole commits. However slow its reader is, it holds about a
    megabyte, or one commit where that is larger. Waits for the next commit without a task of its own, and ends when
    the handle is closed.
    """

    __slots__ = (
        "__weakref__",
        "_commits",
        "_database",
        "_ended",
        "_engine",
        "_feed",
        "_only",
        "_pause",
        "_readers",
        "_ready",
        "_scan",
        "_seq",
        "_signal",
        "_since",
        "_snapshot",
        "_token",
        "_types",
        "_wakeup",
    )

    def __init__(
        self,
        database: Handle,
        engine: Engine,
        wakeup: Wakeup,
        stores: Stores | None,
        since: int | None,
        *,
        snapshot: bool,
    ) -> None:
        if isinstance(stores, str):
            raise InvalidArgumentError(f"stores={stores!r} is not a list: write stores=[{stores!r}]")
        if snapshot and stores is None:
            raise InvalidArgumentError("a snapshot is of named stores: give stores=")
        if snapshot and since is not None:
            raise InvalidArgumentError("a watch begins with a snapshot or at since=, not both")
        self._database = database
        self._engine = engine
        self._wakeup = wakeup
        self._pause = yield_function(wakeup.loop)
        self._only = None if stores is None else list(stores)
        self._types: dict[str, Any] = dict(stores) if isinstance(stores, Mapping) else {}
        self._since = engine.last_seq if since is None else since
        self._snapshot = snapshot
        self._seq = self._since
        self._readers: dict[int, _Reader] = {}
        self._feed: ChangeFeed | None = None
        self._commits: deque[tuple[int, list[Any], bool]] = deque()
        self._ready: deque[Change] = deque()
        self._scan: _Snapshot | None = None
        self._signal: Signal | None = None
        self._token = 0
        self._ended = False

    def __repr__(self) -> str:
        return f"<sopasync.Watch at commit {self._seq}{', ended' if self._ended else ''}>"

    @property
    def seq(self) -> int:
        """The last commit whose changes have all been handed out; give it as ``since=`` to go on after it."""
        return self._seq

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Change:
        while not self._ready:
            commit = await self._next_commit()
            if commit is None:
                raise StopAsyncIteration
            self._ready.extend(commit.changes)
            if not commit.changes:
                self._seq = commit.seq
        change = self._ready.popleft()
        if not self._ready and change.kind != "snapshot":
            self._seq = change.seq
        return change

    def commits(self) -> WatchCommits:
        """Iterate over whole commits: ``async for commit in watch.commits()``.

        Commits without a change in the watched stores are left out; a snapshot comes as lists of its items.
        """
        return WatchCommits(self)

    async def __aenter__(self) -> Watch:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the iteration."""
        self.end()

    def end(self) -> None:
        """End the iteration, also for a task that waits in it now. Never waits."""
        self._ended = True
        self._feed = None
        if self._scan is not None:
            self._scan.end()
            self._scan = None
        if self._signal is not None:
            self._wakeup.forget(self._token)
            self._signal.set()

    def next_read_commit(self) -> Commit | None:
        """The next commit with changes, if it has been read and takes no work, for `commits`."""
        commits = self._commits
        while commits and not self._ended:
            seq, changes, made = commits[0]
            if not made:
                return None
            commits.popleft()
            self._seq = seq
            if changes:
                return Commit(seq, changes)
        return None

    async def next_whole_commit(self) -> Commit | None:
        """The next commit with changes, for `commits`."""
        while True:
            commit = await self._next_commit()
            if commit is None:
                return None
            if not commit.changes or commit.changes[0].kind != "snapshot":
                self._seq = commit.seq
            if commit.changes:
                return commit

    async def _next_commit(self) -> Commit | None:
        """The next commit, perhaps without changes; ``None`` at the end."""
        while not self._ended:
            if self._snapshot:
                items = await self._next_of_snapshot()
                if items:
                    return Commit(items[0].seq, items)
                continue
            if self._commits:
                seq, changes, made = self._commits.popleft()
                return Commit(seq, changes if made else self._made(seq, changes))
            try:
                await self._read()
            except ClosedError:
                self.end()
            except SnapshotExpiredError as error:
                raise ChangesLostError(
                    f"the changes after commit {self._seq} are no longer kept: begin again with snapshot=True, and "
                    "open the database with a larger changes_kept_bytes if this happens often",
                    seq=self._seq,
                ) from error
        return None

    async def _next_of_snapshot(self) -> list[Change]:
        if self._scan is None:
            self._scan = _Snapshot(self._database, self._only or [], self._types)
            self._since = self._seq = self._scan.seq
        items = await self._scan.next()
        if not items:
            self._scan.end()
            self._scan = None
            self._snapshot = False
        return items

    async def _read(self) -> None:
        """Read commits, or wait until there may be some."""
        feed = self._feed
        if feed is None:
            since = self._since
            feed = await on_thread(lambda: self._engine.changes(since, Change))
            self._feed = feed
            self._readers.clear()  # it is to be told of them
        only = self._only
        found = None
        if not self._database.read_only:
            await self._wait()
            if self._ended:
                return
            found = feed.next_resident(BYTES_INLINE, only)
        if found is None:
            try:
                found = await on_thread(lambda: feed.next(BYTES_AT_ONCE, only))
            except BaseException:
                self._feed = None  # cancelled, it goes on, and what it reads is read again
                raise
            if self._ended:
                return
        if found:
            self._since = found[-1][0]
            self._commits.extend(found)
        elif self._database.read_only:
            await anyio.sleep(FOLLOW_SECONDS)
            await self._database.refresh()

    async def _wait(self) -> None:
        """Wait until a commit after the last one read is published; let others run when there is one already."""
        if self._engine.last_seq > self._since:
            return await self._pause()
        signal = self._wakeup.signal()
        self._token = self._wakeup.register(Answer(signal))
        self._signal = signal
        try:
            self._engine.when_published(self._since, self._wakeup.completions, self._token)
            await signal.wait()
        finally:
            self._signal = None
            self._wakeup.forget(self._token)

    def _made(self, seq: int, changes: list[Any]) -> list[Change]:
        made: list[Change] = []
        for change in changes:
            if isinstance(change, Change):
                made.append(change)
                continue
            store, what, _, raw, meta, data = change
            if what == _PUT and data is not None:  # nearly all are
                name, key, value = self._readers.get(store.id) or self._reader(store)
                made.append(Change(seq, name, "put", key(raw, meta), value(data)))
            else:
                made.append(self._change(seq, *change))
        return made

    def _reader(self, store: StoreInfo) -> _Reader:
        codec = BtreeActor(store).codec
        value = value_codec(self._types.get(store.name))
        if value.form is not None and self._feed is not None:
            self._feed.make_puts(store.id, store.name, codec, value.form)
        reader = store.name, codec.decode, value.decode
        self._readers[store.id] = reader
        return reader

    def _change(
        self,
        seq: int,
        store: StoreInfo,
        what: int,
        operation: int,
        raw: bytes | None,
        meta: bytes | None,
        data: bytes | None,
    ) -> Change:
        if what in _OF_STORES:
            return Change(seq, store.name, _OF_STORES[what])
        assert raw is not None, "a change of an entry has a key"
        name, key_of, _ = self._readers.get(store.id) or self._reader(store)
        key = key_of(raw, meta)
        if what == _DELETED:
            return Change(seq, name, "delete", key)
        if what == _META:
            return Change(seq, name, "ride_on", key)
        if what == _MERGED:
            assert data is not None, "an operation has an operand"
            return Change(seq, name, _OPERATIONS[operation], key, decode_value(data))
        assert data is None, "other puts are made by the caller"
        return Change(seq, name, "put", key, None, value_lost=True)


@final
class WatchCommits:
    """Whole commits of a `Watch`, for ``async for``."""

    __slots__ = ("_watch",)

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __aiter__(self) -> WatchCommits:
        return self

    async def __anext__(self) -> Commit:
        watch = self._watch
        commit = watch.next_read_commit() or await watch.next_whole_commit()
        if commit is None:
            raise StopAsyncIteration
        return commit


class _Snapshot:
    """What the stores hold at one commit."""

    def __init__(self, database: Handle, names: list[str], types: dict[str, Any]) -> None:
        self._tx = database.begin_transaction(TransactionMode.FOR_READING, max_time=3600.0)
        self._tx.begin()
        self.seq = self._tx.snapshot_seq
        self._names = deque(names)
        self._types = types
        self._name = ""
        self._pages: Any = None

    async def next(self) -> list[Change]:
        """Some more items; none at the end."""
        while True:
            if self._pages is None:
                if not self._names:
                    return []
                self._name = self._names.popleft()
                there = {store.name: store.kind for store in await self._tx.stores()}
                if there.get(self._name) != "btree":
                    continue
                kind: Any = self._types.get(self._name)
                store = await self._tx.open_btree(self._name, value_type=kind)
                self._pages = store.items().pages(SNAPSHOT_ITEMS)
            try:
                page = await anext(self._pages)
            except StopAsyncIteration:
                self._pages = None
                continue
            return [Change(self.seq, self._name, "snapshot", item.key, item.value) for item in page]

    def end(self) -> None:
        """Let the snapshot go."""
        self._tx.rollback()
