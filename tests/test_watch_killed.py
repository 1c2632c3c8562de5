"""Every committed change comes once and in order, also when the process that committed is killed and the database opened again."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import anyio
import pytest

import sopasync
from sopasync import Database, DatabaseOptions, TransactionMode, Watch

KILLS = 4
KEPT_BYTES = 64 << 20

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

CHILD = textwrap.dedent(f"""
    import asyncio, random, sys
    from sopasync import Database, DatabaseOptions

    async def main(path):
        options = DatabaseOptions(stores_folders=[path], changes_kept_bytes={KEPT_BYTES})
        async with Database(options) as db:
            async def client():
                while True:
                    async with db.begin_transaction(isolation="snapshot") as tx:
                        rows = await tx.new_btree("rows")
                        large = random.random() < 0.05
                        await rows.upsert(random.randrange(50), "x" * (70_000 if large else random.randrange(2000)))
                        await rows.discard(random.randrange(50))
                        log = await tx.new_btree("count")
                        await log.increment("commits")
                    print(tx.commit_seq, flush=True)
            await asyncio.gather(client(), client(), client(), return_exceptions=False)

    while True:
        try:
            asyncio.run(main(sys.argv[1]))
        except Exception as error:
            if type(error).__name__ != "ConflictError":
                raise
""")


class WrongFeedError(AssertionError):
    """Applying the changes does not give the database."""


class Follower:
    """Applies changes as a user would, and compares with what the stores hold."""

    def __init__(self) -> None:
        self.seq = 0
        self.rows: dict[Any, Any] = {}
        self.commits = 0

    async def catch_up(self, db: Database) -> None:
        """Take everything up to the newest commit."""
        watch = db.watch(["rows", "count"], since=self.seq)
        while watch.seq < db.last_seq:
            change = await anext(watch)
            self.take(change)
        self.seq = watch.seq
        await watch.aclose()

    def take(self, change: Any) -> None:
        """Apply one change."""
        if change.seq < self.seq:
            raise WrongFeedError(f"commit {change.seq} after {self.seq}")
        self.seq = change.seq
        if change.kind == "put":
            self.rows[change.key] = change
        elif change.kind == "delete":
            self.rows.pop(change.key, None)
        elif change.kind == "increment":
            self.commits += change.value

    async def compare(self, db: Database) -> None:
        """The database is what the changes make of nothing."""
        async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
            rows = await tx.open_btree("rows")
            there = {item.key: item.value async for item in rows.items()}
            count = await (await tx.open_btree("count")).get("commits")
        if there.keys() != self.rows.keys():
            raise WrongFeedError(f"keys {there.keys() ^ self.rows.keys()}")
        for key, change in self.rows.items():
            if not change.value_lost and change.value != there[key]:
                raise WrongFeedError(f"another value of {key}")
        if count != self.commits:
            raise WrongFeedError(f"{self.commits} of {count} commits")


def options_of(folder: Path) -> DatabaseOptions:
    return DatabaseOptions(stores_folders=[str(folder)], changes_kept_bytes=KEPT_BYTES)


async def kill_and_follow(folder: Path, kills: int) -> None:
    follower = Follower()
    generator = random.Random(2)
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        await anyio.sleep(generator.uniform(0.1, 0.6))
        process.kill()
        acknowledged = [int(line) for line in process.stdout.read().split("\n")[:-1]]
        process.stdout.close()
        process.wait()
        async with Database(options_of(folder)) as db:
            assert db.last_seq >= max(acknowledged, default=0), "an acknowledged commit is gone"
            await follower.catch_up(db)
            await follower.compare(db)
            await db.checkpoint()


async def test_changes_go_on_through_kills(tmp_path: Path, anyio_backend: str) -> None:
    await kill_and_follow(tmp_path / "db", KILLS)


async def fill(db: Database, commits: int = 60) -> None:
    for number in range(commits):
        async with db.begin_transaction() as tx:
            await (await tx.new_btree("rows")).upsert(number % 20, f"value {number}")
            await (await tx.new_btree("count")).increment("commits")


async def follow_while_filled(folder: Path) -> None:
    follower = Follower()
    async with Database(options_of(folder)) as db:
        for _ in range(3):
            await fill(db)
            with anyio.fail_after(10):
                await follower.catch_up(db)
            await follower.compare(db)


def lose_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit in the middle of what was read at once is left out."""
    read = Watch._read

    async def short(self: Watch) -> None:
        await read(self)
        if len(self._commits) > 3:
            del self._commits[2]

    monkeypatch.setattr(Watch, "_read", short)


def repeat_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit is handed out twice."""
    read = Watch._read

    async def double(self: Watch) -> None:
        await read(self)
        if self._commits:
            self._commits.insert(1, self._commits[0])

    monkeypatch.setattr(Watch, "_read", double)


def begin_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch begins one commit after the one it was to begin with."""
    init = Watch.__init__

    def late(self: Watch, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        self._since += 1

    monkeypatch.setattr(Watch, "__init__", late)


def mix_up_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commits come in the wrong order."""
    read = Watch._read

    async def mixed(self: Watch) -> None:
        await read(self)
        if len(self._commits) > 3:
            self._commits.rotate(1)

    monkeypatch.setattr(Watch, "_read", mixed)


async def test_without_a_bug_the_check_is_content(tmp_path: Path, anyio_backend: str) -> None:
    await follow_while_filled(tmp_path / "db")


@pytest.mark.parametrize("mutant", [lose_a_commit, repeat_a_commit, begin_late, mix_up_commits])
async def test_a_deliberate_bug_of_the_feed_is_noticed(
    tmp_path: Path, mutant: Any, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> None:
    mutant(monkeypatch)
    with pytest.raises((WrongFeedError, TimeoutError, sopasync.SopasyncError)):
        await follow_while_filled(tmp_path / "db")


async def test_a_slow_reader_costs_no_memory(tmp_path: Path, anyio_backend: str) -> None:
    """Eighty megabytes are committed while it sleeps, of which it reads a megabyte, or a commit, at a time."""

    def resident(field: str) -> int:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field)) // 1024

    options = DatabaseOptions(
        stores_folders=[str(tmp_path / "db")], changes_kept_bytes=256 << 20, cache_bytes=4 << 20
    )
    async with Database(options) as db:
        watch = db.watch(["rows"])
        for number in range(80):
            async with db.begin_transaction() as tx:
                await (await tx.new_btree("rows")).upsert(number % 4, b"%d" % number + bytes(1_000_000))
                await (await tx.open_blob_store("blobs")).write("blob", bytes(3_000_000))
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = resident("VmRSS")
        seen = 0
        async for change in watch:
            seen += change.kind == "put"
            if seen == 80:
                break
        used = resident("VmHWM") - before
        assert used < 24, f"{used} MiB"
