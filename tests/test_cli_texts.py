"""`sopasync ingest --text --embed`: a user's own texts, indexed with their rows, embedded in one transaction."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import sopasync
from sopasync._cli.collection import find_collection
from sopasync._cli.collection.stores import text_of
from sopasync._cli.failure import CommandError

SUBJECTS = ("harbour", "orchard", "telescope", "violin", "glacier", "printing")
DATABASE = "sopasync-data"


def note(number: int) -> dict[str, Any]:
    subject = SUBJECTS[number % len(SUBJECTS)]
    return {
        "id": number,
        "title": f"About the {subject}",
        "body": f"Note {number}: the {subject} and what belongs to {subject}s, word{number}.",
        "subject": subject,
        "stars": number % 5,
    }


def write_notes(path: Path, numbers: range | list[int]) -> None:
    path.write_text("".join(json.dumps(note(number)) + "\n" for number in numbers))


def sopasync_command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sopasync", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def ingest(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return sopasync_command(
        "ingest", "notes.jsonl", "--store", "notes", "--key", "id", *arguments, folder=folder
    )


async def agreement(folder: Path) -> tuple[int, int]:
    """Assert that rows, texts, vectors and embedding agree; how many rows and vectors there are."""
    async with (
        sopasync.Database(folder / DATABASE) as db,
        db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx,
    ):
        collection = await find_collection(tx, "notes")
        rows = await tx.open_btree("notes")
        stored = {item.key: item.value async for item in rows.items()}
        assert await collection.texts.count() == len(stored)
        for key, value in stored.items():
            document = await collection.texts.get(key)
            assert document is not None
            assert document.text == {"title": value["title"], "body": value["body"]}
            assert document.payload == {name: value[name] for name in ("id", "subject", "stars")}
        assert collection.row is not None
        assert not (await db.check()).problems
        if collection.vectors is None:
            return len(stored), 0
        assert collection.embedding is not None
        assert collection.row.vectors == await collection.vectors.count()
        trained = [key async for key in collection.vectors.ids()]
        texts = [text_of({"title": stored[key]["title"], "body": stored[key]["body"]}) for key in trained]
        for key, wanted in zip(trained, collection.embedding.embed(texts), strict=True):
            found = await collection.vectors.get(key)
            assert found is not None
            assert found.vector == pytest.approx(wanted, abs=1e-5)
        return len(stored), len(trained)


def test_own_texts_are_found_by_words_and_by_meaning(tmp_path: Path) -> None:
    write_notes(tmp_path / "notes.jsonl", range(120))
    result = ingest("--text", "title,body", "--embed", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "embedding 1 of 'notes': 120 vectors" in result.stdout
    assert anyio.run(agreement, tmp_path) == (120, 120)
    asked = sopasync_command(
        "query", "telescopes", "--where", '{"stars": 3}', "--limit", "4", "--json", folder=tmp_path
    )
    answers = [json.loads(line) for line in asked.stdout.splitlines()]
    assert {answer["by"] for answer in answers} == {"text", "vector", "hybrid"}
    assert all(
        answer["payload"] == {"id": answer["id"], "subject": "telescope", "stars": 3} for answer in answers
    )


def test_rows_that_come_later_join_the_texts_and_the_embedding_is_learned_again(tmp_path: Path) -> None:
    write_notes(tmp_path / "notes.jsonl", range(60))
    assert ingest("--text", "title", "--text", "body", "--embed", folder=tmp_path).returncode == 0
    write_notes(tmp_path / "notes.jsonl", range(90))
    assert ingest(folder=tmp_path).returncode == 0
    assert anyio.run(agreement, tmp_path) == (90, 60)
    told = sopasync_command("query", "word75", "--by", "text", folder=tmp_path)
    assert "30 texts came after the embedding" in told.stderr
    assert "word75" in told.stdout
    again = ingest("--embed", folder=tmp_path)
    assert "embedding 2 of 'notes': 90 vectors" in again.stdout
    assert anyio.run(agreement, tmp_path) == (90, 90)
    assert "embedding 2 of 'notes'" in ingest("--embed", folder=tmp_path).stdout


def test_a_row_whose_text_is_none_is_rejected_and_the_others_are_stored(tmp_path: Path) -> None:
    rows = [note(number) for number in range(4)]
    rows[1]["body"] = ["a", "list"]
    del rows[2]["title"]
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = ingest("--text", "title,body", folder=tmp_path)
    assert result.returncode == 1
    assert "line 2: field 'body' is a list, which is no text" in result.stderr
    assert sopasync_command("query", "note", "--json", folder=tmp_path).stdout.count("\n") == 3


def test_a_text_that_is_too_much_for_the_store_rejects_its_row_alone(tmp_path: Path) -> None:
    rows = [note(number) for number in range(3)]
    rows[1]["id"] = "x" * 20_000  # a key of this length is too long
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = ingest("--text", "title,body", folder=tmp_path)
    assert result.returncode == 1, result.stderr
    assert anyio.run(agreement, tmp_path) == (2, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--embed"], "has no texts to learn from"),
        (["--text", "title,"], "names each field once"),
        (["--text", "title", "--text", "title"], "names each field once"),
        (["--text", "title", "--language", "klingon"], "--language klingon"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_nothing_is_stored(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    write_notes(tmp_path / "notes.jsonl", range(3))
    result = ingest(*arguments, folder=tmp_path)
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert ingest(folder=tmp_path).stdout.startswith("3 rows stored")


def test_texts_of_a_store_are_what_they_were_made_as(tmp_path: Path) -> None:
    write_notes(tmp_path / "notes.jsonl", range(3))
    assert ingest("--text", "title", "--language", "none", folder=tmp_path).returncode == 0
    assert "are title, and cannot become body" in ingest("--text", "body", folder=tmp_path).stderr
    assert "language of 'notes' is none" in ingest("--language", "english", folder=tmp_path).stderr


def test_rows_stored_without_their_texts_are_taken_from_the_beginning_only(tmp_path: Path) -> None:
    write_notes(tmp_path / "notes.jsonl", range(3))
    assert ingest(folder=tmp_path).returncode == 0
    refused = ingest("--text", "title,body", folder=tmp_path)
    assert refused.returncode == 3
    assert "--restart" in refused.stderr
    assert ingest("--text", "title,body", "--restart", folder=tmp_path).returncode == 0
    assert anyio.run(agreement, tmp_path) == (3, 0)


@contextlib.contextmanager
def begun(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program, and wait until it has a database."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        deadline_s = time.monotonic() + 30
        while not (folder / DATABASE / "pages").exists() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        yield process


def test_killed_at_any_moment_rows_texts_and_embedding_agree(tmp_path: Path) -> None:
    """Given an ingestion with --embed that is killed again and again, when it goes on, then nothing is half there."""
    total = 3_000
    write_notes(tmp_path / "notes.jsonl", range(total))
    command = [sys.executable, "-m", "sopasync", "ingest", "notes.jsonl", "--store", "notes", "--key", "id"]
    command += ["--text", "title,body", "--embed", "--batch", "50", "--quiet"]
    whole = tmp_path / "whole"
    whole.mkdir()
    write_notes(whole / "notes.jsonl", range(total))
    with begun(command, whole) as process:
        began_s = time.monotonic()
        assert process.wait(60) == 0
        lasts_s = time.monotonic() - began_s
    choices = random.Random(3)
    killed = 0
    for _ in range(5):
        with begun(command, tmp_path) as process:
            time.sleep(choices.uniform(0.1, 0.8) * lasts_s)
            process.send_signal(signal.SIGKILL)
            killed += process.wait(30) == -signal.SIGKILL
        with contextlib.suppress(CommandError):  # that there are no texts: killed before the first commit
            rows, vectors = anyio.run(agreement, tmp_path)
            assert vectors in {0, rows}
    assert killed
    assert ingest("--text", "title,body", "--embed", "--quiet", folder=tmp_path).returncode == 0
    assert anyio.run(agreement, tmp_path) == (total, total)
