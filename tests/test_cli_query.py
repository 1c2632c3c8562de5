"""`sopasync query`: by words, by meaning and by both, for people and for programs, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import sopasync
from sopasync import SearchConfig
from sopasync._cli.collection import Collection, learn, open_texts, publish, put_row, text_of

TEXTS = {
    "opening": {"title": "Opening files", "body": "Open a file for reading or writing."},
    "closing": {"title": "Closing files", "body": "Close every file that was opened."},
    "sorting": {"title": "Sorting lists", "body": "Sort the numbers of a list."},
    "adding": {"title": "Adding numbers", "body": "The sum of a list of numbers."},
    "escapes": {"title": "Harmless", "body": "A \x1b[31mred\x1b[0m file of\nseveral lines."},
}


async def fill(path: Path) -> None:
    async def pages() -> AsyncIterator[list[str]]:
        yield [text_of(fields) for fields in TEXTS.values()]

    fitted = await learn(pages(), len(TEXTS), "english", quiet=True)
    payloads: list[dict[str, Any] | None] = [{"length": len(fields["body"])} for fields in TEXTS.values()]
    async with sopasync.Database(path) as db, db.begin_transaction() as tx:
        row = Collection(fields=["title", "body"], language="english", changes=len(TEXTS))
        texts = await open_texts(tx, "notes", row)
        await texts.add_many(zip(TEXTS, TEXTS.values(), payloads, strict=True))
        await publish(tx, "notes", row, list(TEXTS), payloads, fitted)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("query") / "database"
    anyio.run(fill, path)
    return path


def query(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "sopasync", "query", *map(str, arguments)],
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def objects(*arguments: str | Path) -> list[dict[str, Any]]:
    result = query(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_it_answers_by_words_by_meaning_and_by_both(database: Path) -> None:
    found = objects("open a file", "--db", database)
    ways = list(dict.fromkeys(answer["by"] for answer in found))
    assert ways == ["text", "vector", "hybrid"]
    for way in ways:
        answers = [answer for answer in found if answer["by"] == way]
        assert [answer["rank"] for answer in answers] == list(range(1, len(answers) + 1))
        assert {answer["id"] for answer in answers[:2]} == {"opening", "closing"}
        assert answers[0]["texts"] == TEXTS[answers[0]["id"]]
    best = next(answer for answer in found if answer["by"] == "hybrid")
    assert {"text_rank": 1, "vector_rank": best["vector_rank"]}.items() <= best.items()


def test_by_meaning_everything_has_a_place_and_the_nearest_come_first(database: Path) -> None:
    near = objects("numbers in lists", "--by", "vector", "--limit", "3", "--database", database)
    assert {answer["id"] for answer in near[:2]} == {"sorting", "adding"}
    assert len(near) == 3
    assert near[1]["score"] > 0.5 > near[2]["score"]


def test_highlights_say_where_the_words_are(database: Path) -> None:
    (found,) = objects("writing", "--by", "text", "--db", database)
    ((piece,),) = found["highlights"].values()
    ((start, end),) = piece["marks"]
    assert piece["text"][start:end] == "writing"


def test_a_person_sees_headings_titles_and_marked_words(database: Path) -> None:
    plain = query("reading files", "--db", database).stdout
    assert plain.startswith("By words: 3 in ")
    assert "By words and meaning: " in plain
    assert "  1  opening  " in plain
    assert "body:  Open a file for reading or writing." in plain
    assert "\x1b" not in plain
    assert all(len(line) <= 100 for line in plain.splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_on_a_terminal_words_are_marked_and_texts_cannot_send_escapes(database: Path) -> None:
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "sopasync", "query", "red file", "--by", "text", "--db", str(database)]
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(command, stdout=terminal, env=environment | {"TERM": "xterm"}) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                part = os.read(controller, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        assert process.wait() == 0
    os.close(controller)
    text = shown.decode()
    assert "\x1b[1;33mfile\x1b[0m" in text
    assert "\x1b[31m" not in text
    assert "lines." in text


def test_a_condition_on_payloads(database: Path) -> None:
    long = json.dumps({"length": {"$gt": 33}})
    found = objects("file list", "--where", long, "--db", database)
    assert {answer["id"] for answer in found} == {"opening", "escapes"}


def test_nothing_found_exits_with_1(database: Path) -> None:
    result = query("zymurgy", "--db", database)
    assert result.returncode == 1
    assert "By words: 0 in" in result.stdout
    assert result.stderr == ""


def test_by_both_with_words_the_embedding_does_not_know_is_by_words(database: Path) -> None:
    assert [answer["id"] for answer in objects("harmless", "--by", "hybrid", "--db", database)] == ["escapes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--db", "nowhere"], "there is no database at nowhere"),
        (["x", "--store", "others"], "'others' has no texts that were indexed; there are notes"),
        (["   "], "the question is empty"),
        (["x", "--limit", "0"], "--limit 0"),
        (["x", "--where", "{"], "is no JSON object"),
        (["x", "--where", "[1]"], "is no JSON object"),
        (["x", "--where", '{"length": {"$near": 1}}'], "$near"),
        (['"open', "--by", "text"], "(at character"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(database: Path, arguments: list[str], message: str) -> None:
    given = arguments if "--db" in arguments else [*arguments, "--db", str(database)]
    result = query(*given)
    assert result.returncode == 3
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert query("x", "--by", "magic").returncode == 2


def test_stores_without_embedding_several_of_them_and_none(tmp_path: Path) -> None:
    async def make(count: int) -> None:
        async with sopasync.Database(tmp_path / f"db{count}") as db, db.begin_transaction() as tx:
            for number in range(count):
                store = await tx.open_search(f"texts{number}", SearchConfig(language="english"))
                await store.add(number, "an open file")

    for count in range(3):
        anyio.run(make, count)
    assert "there are no texts here" in query("file", "--db", tmp_path / "db0").stderr
    assert [answer["by"] for answer in objects("file", "--db", tmp_path / "db1")] == ["text"]
    assert "has no embedding" in query("file", "--by", "vector", "--db", tmp_path / "db1").stderr
    assert (
        "which of them? Say --store texts0 or --store texts1"
        in query("file", "--db", tmp_path / "db2").stderr
    )
    assert objects("file", "--store", "texts1", "--db", tmp_path / "db2")[0]["id"] == 1


def test_texts_that_came_after_the_embedding_are_found_by_words_and_it_says_so(
    database: Path, tmp_path: Path
) -> None:
    path = tmp_path / "database"

    async def scenario() -> None:
        await fill(path)
        async with sopasync.Database(path) as db, db.begin_transaction() as tx:
            row = Collection(
                fields=["title", "body"], language="english", changes=6, version=1, trained_changes=5
            )
            texts = await open_texts(tx, "notes", row)
            await texts.add("later", {"body": "a file that came later"})
            await put_row(tx, "notes", row)

    anyio.run(scenario)
    result = query("later", "--by", "hybrid", "--db", path)
    assert result.returncode == 0
    assert "later" in result.stdout
    assert result.stderr.startswith("sopasync: 1 texts came after the embedding was learned")


def test_it_works_while_another_process_owns_the_database(database: Path) -> None:
    async def own() -> None:
        async with sopasync.Database(database):
            found = await anyio.to_thread.run_sync(objects, "open a file", "--db", database)
            assert found[0]["id"] == "opening"

    anyio.run(own)
