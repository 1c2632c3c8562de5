"""`sopasync ingest FOLDER`: people's own text files as rows, whole or by paragraph, kept up with the folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

import sopasync
from sopasync import BtreeOptions, SecondaryIndex
from sopasync._cli.collection import find_collection
from sopasync._cli.ingest.passages import passages
from sopasync._cli.program import main

SUBJECTS = ("harbour", "orchard", "telescope", "violin")
LONG = "and what belongs to it, so that this paragraph is long enough to stand alone in a store."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of notes, beside the database."""
    monkeypatch.chdir(tmp_path)
    notes = tmp_path / "notes"
    for number in range(12):
        subject = SUBJECTS[number % 4]
        place = notes / ("a", "b")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        text = f"# {subject.title()}\n\nThe {subject} {LONG}\n\nWord{number} is of the {subject}, {LONG}\n"
        (place / f"{number}.md").write_text(text)
    return notes


def ingest(*arguments: str) -> int:
    return main(["ingest", "notes", "--store", "notes", "--quiet", *arguments])


async def stored() -> tuple[dict[Any, Any], set[Any], set[Any]]:
    """Rows by key; ids of the texts, which are those of the rows; ids of the vectors."""
    async with (
        sopasync.Database("sopasync-data") as db,
        db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx,
    ):
        rows = await tx.open_btree("notes")
        found = {
            tuple(key.values()) if isinstance(key, dict) else key: value async for key, value in rows.items()
        }
        assert not (await db.check()).problems
        if not any(store.kind == "search" for store in await tx.stores()):
            return found, set(), set()
        collection = await find_collection(tx, "notes")
        assert await collection.texts.count() == len(found)
        for key, value in found.items():
            document = await collection.texts.get(key)
            assert document is not None
            assert document.text == value["text"]
            assert document.payload["path"] == value["path"]
        vectors = collection.vectors
        known = set() if vectors is None else {key async for key in vectors.ids()}
        assert collection.row is not None
        assert collection.row.vectors == len(known)
        return found, set(found), known


def test_each_file_is_a_row_and_answers_by_words_by_meaning_and_by_both(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a" / "0.md").write_text("\ufeffGreek: αβγ\r\nno final line break", newline="")
    (folder / ".hidden.md").write_text("not seen")
    (folder / "image.png").write_bytes(b"\xff")
    assert ingest("--text", "--embed") == 0
    assert "12 files stored in 'notes', 12 rows" in capsys.readouterr().out
    rows, texts, vectors = anyio.run(stored)
    assert set(rows) == {f"{'ab'[number % 2]}/{number}.md" for number in range(12)}
    assert texts - vectors == {"a/0.md"}, "a text of unknown words has no direction"
    status = (folder / "a" / "0.md").stat()
    entry = rows["a/0.md"]
    assert (entry["path"], entry["size"]) == ("a/0.md", status.st_size)
    assert entry["text"] == "Greek: αβγ\r\nno final line break"
    assert entry["modified"].timestamp() == pytest.approx(status.st_mtime, abs=1e-5)
    assert main(["query", "telescopes", "--json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {answer["by"] for answer in answers} == {"text", "vector", "hybrid"}
    best = {answer["id"] for answer in answers if answer["rank"] == 1}
    assert best <= {"a/2.md", "a/6.md", "a/10.md"}


def test_passages_follow_their_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ingest("--passages", "--text", "--embed") == 0
    rows, _, vectors = anyio.run(stored)
    assert len(rows) == 24
    assert vectors == set(rows)
    assert rows["b/1.md", 2]["line"] == 5
    assert rows["b/1.md", 1]["text"].startswith("# Orchard\n\nThe orchard and")
    (folder / "b" / "1.md").write_text(f"Only one is left now: {LONG}")
    (folder / "b" / "13.md").write_text(f"A new one: {LONG}")
    (folder / "a" / "0.md").unlink()
    capsys.readouterr()
    assert ingest("--passages") == 0
    told = capsys.readouterr().out
    assert "2 files stored in 'notes', 2 passages" in told
    assert "1 files are no longer there, their rows stay" in told
    rows, _, vectors = anyio.run(stored)
    assert len(rows) == 24
    assert ("b/1.md", 2) not in rows
    assert ("b/1.md", 2) not in vectors, "a text that is gone is not found by meaning either"
    assert ingest("--passages", "--prune", "--embed") == 0
    assert "their 2 passages were removed" in capsys.readouterr().out
    rows, _, vectors = anyio.run(stored)
    assert vectors == set(rows)
    assert len(rows) == 22


def test_a_file_that_cannot_be_stored_is_reported_and_the_others_are_stored(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a" / "2.md").write_bytes(b"no \xff text")
    (folder / "large.txt").write_bytes(b"x" * (8 * 1024 * 1024 + 1))
    os.mkfifo(folder / "pipe.txt")
    (folder / "lost.txt").symlink_to("nowhere")
    assert ingest() == 1
    captured = capsys.readouterr()
    assert "11 files stored" in captured.out
    assert "4 files were rejected" in captured.err
    entries = [json.loads(line) for line in Path("notes.rejected.jsonl").read_text().splitlines()]
    assert {entry["file"]: entry["reason"].partition(":")[0] for entry in entries} == {
        "a/2.md": "it is not valid UTF-8",
        "large.txt": "it has 8,388,609 bytes; texts have 8,388,608 at most",
        "pipe.txt": "it is no file",
        "lost.txt": "it cannot be read",
    }
    (folder / "a" / "2.md").write_text("now it is one")
    for name in ("large.txt", "pipe.txt", "lost.txt"):
        (folder / name).unlink()
    assert ingest() == 0
    assert "1 files stored" in capsys.readouterr().out
    assert not Path("notes.rejected.jsonl").exists()
    assert len(anyio.run(stored)[0]) == 12


def test_a_file_that_the_store_refuses_is_rejected_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def make() -> None:
        options = BtreeOptions(indexes=[SecondaryIndex("by_size", ["size"], unique=True)])
        async with sopasync.Database("sopasync-data") as db, db.begin_transaction() as tx:
            await tx.new_btree("notes", options)

    anyio.run(make)
    for number in range(12):
        (folder / "ab"[number % 2] / f"{number}.md").write_text("x" * (7 if number == 9 else number))
    assert ingest("--text") == 1
    assert "11 files stored" in (captured := capsys.readouterr()).out
    assert "1 files were rejected" in captured.err
    (entry,) = [json.loads(line) for line in Path("notes.rejected.jsonl").read_text().splitlines()]
    assert entry["file"] == "b/9.md"
    assert "'b/7.md'" in entry["reason"]
    assert len(anyio.run(stored)[0]) == 11


def test_an_interrupted_ingestion_goes_on_with_the_files_that_are_left(folder: Path) -> None:
    """Given a process that dies in the middle of its third commit, when it runs again, then the rest is taken up."""
    script = """
import os
from sopasync._cli.ingest import folder_loading
from sopasync._cli.program import main
put, times = folder_loading.FolderLoading._put, []
async def dies(self, *args):
    await put(self, *args)
    times.append(1)
    if len(times) == 3:
        os._exit(9)
folder_loading.FolderLoading._put = dies
main("ingest notes --store notes --text --quiet --batch 2".split())
"""
    died = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, timeout=60)
    assert died.returncode == 9, died.stderr
    assert len(anyio.run(stored)[0]) == 4
    again = subprocess.run(
        [sys.executable, "-m", "sopasync", "ingest", "notes", "--store", "notes"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "8 files stored" in again.stdout
    assert len(anyio.run(stored)[0]) == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--key", "id"], "--key is for files of rows"),
        (["--glob", "*.log"], "no file in notes is called *.log; say which are texts"),
        (["--batch", "0"], "--batch 0"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert ingest(*arguments) == 3
    assert message in capsys.readouterr().err
    assert not Path("sopasync-data").exists()


def test_arguments_for_folders_are_refused_for_files(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("in.csv").write_text("id\n1\n")
    assert main(["ingest", "in.csv", "--store", "s", "--key", "id", "--passages"]) == 3
    assert "--passages is for folders of texts" in capsys.readouterr().err
    assert main(["ingest", "in.csv", "--store", "s"]) == 3
    assert "say which field of the rows of in.csv is their key" in capsys.readouterr().err


def test_files_stored_without_their_texts_get_them_when_all_are_read_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ingest("--glob", "a/*") == 0
    assert len(anyio.run(stored)[0]) == 6
    assert ingest("--text") == 3
    assert "use --restart" in capsys.readouterr().err
    assert ingest("--text", "--restart") == 0
    assert len(anyio.run(stored)[1]) == 12
    assert ingest("--passages") == 3
    assert "single values" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t\n", []),
        ("one\r\ntwo\r\n", [(1, "one\ntwo")]),
        (f"\n\n{LONG}\n\n\n{LONG}\n\n", [(3, LONG), (6, LONG)]),
        (f"Head\n \n\n  - {LONG}\n\nend", [(1, f"Head\n\n  - {LONG}"), (6, "end")]),
    ],
)
def test_paragraphs(text: str, expected: list[tuple[int, str]]) -> None:
    assert [tuple(passage) for passage in passages(text)] == expected
