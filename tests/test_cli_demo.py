"""`sopasync demo`, made small: every stage runs, says what it saw, and its own checks can fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest

import sopasync
from sopasync._cli.demo.batches import Batch, batches, make_stores, write
from sopasync._cli.demo.corpus import Module, parse_module
from sopasync._cli.demo.keeping import make_way, mark
from sopasync._cli.demo.kill import verify
from sopasync._cli.failure import CommandError
from sopasync._statistics import CheckReport

SOURCE = '''
"""A module."""
import os.path
from . import sibling
from .sibling import name

class Outer(Base, metaclass=Meta):
    """A class."""
    async def method(self, a: int = 1, *, b) -> str:
        """A method."""
        def inner(): ...

if True:
    def twice(): ...
else:
    def twice(x): ...
'''


def read(tmp_path: Path, source: str) -> Module | None:
    path = tmp_path / "module.py"
    path.write_text(source)
    return parse_module("package/module.py", str(path))


def test_every_definition_and_import_of_a_module_is_found(tmp_path: Path) -> None:
    module = read(tmp_path, SOURCE)
    assert module is not None
    found = [(d.kind, d.qualified_name, d.signature, d.docstring) for d in module.definitions]
    assert found == [
        ("module", "package.module", "", "A module."),
        ("class", "Outer", "(Base, Meta)", "A class."),
        ("method", "Outer.method", "(self, a: int=1, *, b) -> str", "A method."),
        ("function", "Outer.method.inner", "()", ""),
        ("function", "twice", "()", ""),
        ("function", "twice~2", "(x)", ""),
    ]
    assert module.imports == ["os.path", "package", "package.sibling"]


def test_a_file_that_is_no_python_is_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "def broken(:") is None


@pytest.fixture
def work(tmp_path: Path) -> list[Batch]:
    module = read(tmp_path, SOURCE + "".join(f"def function_{number}(): ...\n" for number in range(60)))
    assert module is not None
    return list(batches([module]))


async def ingest_all(path: Path, work: list[Batch]) -> None:
    async with sopasync.Database(path) as db:
        await db.run(make_stores)
        for batch in work:
            await db.run(write, batch)


def test_verification_accepts_what_is_whole(db_path: Path, work: list[Batch]) -> None:
    async def scenario() -> None:
        await ingest_all(db_path, work[:3])
        present, _ = await verify(db_path, work, {0, 1})
        assert present == {0, 1, 2}

    anyio.run(scenario)


def test_verification_notices_a_lost_commit(db_path: Path, work: list[Batch]) -> None:
    async def scenario() -> None:
        await ingest_all(db_path, work[:2])
        with pytest.raises(CommandError, match="1 acknowledged commits are missing"):
            await verify(db_path, work, {0, 1, 2})

    anyio.run(scenario)


@pytest.mark.parametrize("store", ["definitions", "names", "imports", "modules", "batches"])
def test_verification_notices_a_half_commit(db_path: Path, work: list[Batch], store: str) -> None:
    async def scenario() -> None:
        await ingest_all(db_path, work)
        async with sopasync.Database(db_path) as db, db.begin_transaction() as tx:
            damaged = await tx.open_btree(store)
            await damaged.first()
            await damaged.remove_current()
        with pytest.raises(CommandError, match="half there"):
            await verify(db_path, work, set())

    anyio.run(scenario)


def test_verification_notices_a_counter_that_ran_ahead(db_path: Path, work: list[Batch]) -> None:
    async def scenario() -> None:
        await ingest_all(db_path, work)
        async with sopasync.Database(db_path) as db, db.begin_transaction() as tx:
            await (await tx.open_btree("counters")).increment("definitions", 1)
        with pytest.raises(CommandError, match="half there"):
            await verify(db_path, work, set())

    anyio.run(scenario)


def test_verification_notices_what_only_a_check_of_everything_finds(
    db_path: Path, work: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def damaged(_db: sopasync.Database) -> CheckReport:
        return CheckReport(problems=("page 7 is in use, and nothing reaches it", "another"), verified={})

    async def scenario() -> None:
        await ingest_all(db_path, work[:2])
        await verify(db_path, work, {0, 1})
        monkeypatch.setattr(sopasync.Database, "check", damaged)
        with pytest.raises(CommandError, match=r"found damage: page 7 .* \(and 1 more\)"):
            await verify(db_path, work, {0, 1})

    anyio.run(scenario)


@pytest.mark.slow
def test_the_demonstration_runs_to_its_end(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sopasync",
        "demo",
        "--modules",
        "150",
        "--rounds",
        "3",
        "--bank-seconds",
        "1",
    ]
    result = subprocess.run(
        [*command, "--keep", tmp_path / "kept"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "all there, nothing half there" in result.stdout
    assert "the money is all there" in result.stdout
    assert "always agreed: no ghost" in result.stdout
    assert "Everything held." in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    query = [sys.executable, "-m", "sopasync", "query", "open a file for writing", "--db", tmp_path / "kept"]
    answers = subprocess.run(query, capture_output=True, text=True, timeout=60, check=True).stdout
    assert re.findall("^By .*(?=: 5 in)", answers, re.MULTILINE) == [
        "By words",
        "By meaning",
        "By words and meaning",
    ]


def test_only_what_a_demonstration_left_is_replaced(tmp_path: Path) -> None:
    async def make(path: Path, *, marked: bool) -> None:
        async with sopasync.Database(path) as db:
            if marked:
                await mark(db)

    (tmp_path / "folder").mkdir()
    anyio.run(partial(make, tmp_path / "theirs", marked=False))
    anyio.run(partial(make, tmp_path / "ours", marked=True))
    for name in ("folder", "theirs"):
        with pytest.raises(CommandError, match="no demo made it"):
            make_way(tmp_path / name)
        assert (tmp_path / name).exists()
    make_way(tmp_path / "ours")
    make_way(tmp_path / "not there")
    assert not (tmp_path / "ours").exists()
