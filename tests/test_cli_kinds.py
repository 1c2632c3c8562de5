"""`sopasync inspect` shows stores of every kind, and each as what it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

import sopasync
from sopasync import SearchConfig, VectorConfig


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kinds") / "database"
    anyio.run(_fill, path)
    return path


async def _fill(path: Path) -> None:
    async with sopasync.Database(path) as db, db.begin_transaction() as tx:
        await (await tx.new_btree("plain")).add("a", 1)
        config = SearchConfig(fields={"title": 2.0, "body": 1.0}, language="en", description="what we wrote")
        articles = await tx.open_search("articles", config)
        await articles.add_many((n, {"title": f"number {n}"}) for n in range(7))
        points = await tx.open_vector_store("points", VectorConfig(dimension=2, metric="l2"))
        await points.upsert("a", [1.0, 2.0])


def answer(*arguments: object) -> list[str]:
    command = [sys.executable, "-m", "sopasync", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_inspect_lists_stores_of_every_kind(database: Path) -> None:
    shown = {line.split()[0]: line for line in answer("inspect", "--db", database)}
    assert "7" in shown["articles"].split()
    assert "search: title, body" in shown["articles"]
    assert shown["articles"].endswith("what we wrote")
    assert "vector: 2 x f32, l2" in shown["points"]
    assert "1" in shown["plain"].split()


def test_inspect_one_of_them(database: Path) -> None:
    shown = "\n".join(answer("inspect", "articles", "--db", database))
    assert ["documents", "7"] in [line.split() for line in shown.splitlines()]
    assert "title, boost 2, words, english" in shown
    assert "what we wrote" in shown
    assert ["vectors", "1"] in [line.split() for line in answer("inspect", "points", "--db", database)]
