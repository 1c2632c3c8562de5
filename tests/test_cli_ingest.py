"""`sopasync ingest`: every format, rejected rows, and going on where an interruption left off."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pyarrow
import pyarrow.parquet
import pytest

import sopasync

ROWS = 5_000


def ingest(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sopasync", "ingest", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def contents(database: Path, store: str) -> dict[Any, Any]:
    async def read() -> dict[Any, Any]:
        async with sopasync.Database(database) as db:
            assert not (await db.check()).problems
            async with db.begin_transaction() as tx:
                found: dict[Any, Any] = {}
                async for key, value in (await tx.open_btree(store)).items():
                    found[tuple(key.values()) if isinstance(key, dict) else key] = value
                return found

    return anyio.run(read)


def row(number: int) -> dict[str, Any]:
    return {"id": number, "name": f"name {number}", "price": number / 4, "tags": ["a", str(number)]}


def write_json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in rows))


def test_json_lines_arrive_exactly(tmp_path: Path) -> None:
    rows = [row(number) for number in range(ROWS)]
    rows[7]["id"] = 2**80
    write_json_lines(tmp_path / "in.jsonl", rows)
    result = ingest("in.jsonl", "--store", "things", "--key", "id", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("5,000 rows stored in 'things'")
    assert contents(tmp_path / "sopasync-data", "things") == {entry["id"]: entry for entry in rows}


def test_csv_with_conversions_quotes_and_line_breaks(tmp_path: Path) -> None:
    with (tmp_path / "in.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(["region", "order", "price", "note"])
        writer.writerow(["EU", "10", "1.5", 'two\nlines, "quoted"'])
        writer.writerow(["EU", "9", "", "größer"])
    arguments = ["--key", "region", "--key", "order", "--type", "order=int", "--type", "price=float"]
    result = ingest("in.csv", "--store", "sales", *arguments, "--db", "db", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    found = contents(tmp_path / "db", "sales")
    assert list(found.items()) == [
        (("EU", 9), {"region": "EU", "order": 9, "price": None, "note": "größer"}),
        (("EU", 10), {"region": "EU", "order": 10, "price": 1.5, "note": 'two\nlines, "quoted"'}),
    ]


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    table = pyarrow.Table.from_pylist([row(number) for number in range(ROWS)])
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet", row_group_size=700)
    result = ingest("in.parquet", "--store", "things", "--key", "id", "--batch", "999", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert contents(tmp_path / "sopasync-data", "things") == {number: row(number) for number in range(ROWS)}


def test_ingesting_again_changes_nothing_and_appended_rows_are_taken_up(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    write_json_lines(file, [row(number) for number in range(10)])
    arguments = ["in.jsonl", "--store", "things", "--key", "id"]
    ingest(*arguments, folder=tmp_path)
    again = ingest(*arguments, folder=tmp_path)
    assert again.stdout.startswith("0 rows stored")
    with file.open("a") as appended:
        appended.write(json.dumps(row(10)) + "\n")
    assert ingest(*arguments, folder=tmp_path).stdout.startswith("1 rows stored")
    assert list(contents(tmp_path / "sopasync-data", "things")) == list(range(11))


def test_another_file_under_the_same_name_is_refused_until_restart_is_said(tmp_path: Path) -> None:
    arguments = ["in.jsonl", "--store", "things", "--key", "id"]
    write_json_lines(tmp_path / "in.jsonl", [row(number) for number in range(10)])
    ingest(*arguments, folder=tmp_path)
    write_json_lines(tmp_path / "in.jsonl", [row(number) for number in range(20, 40)])
    refused = ingest(*arguments, folder=tmp_path)
    assert refused.returncode == 3
    assert "--restart" in refused.stderr
    assert ingest(*arguments, "--restart", folder=tmp_path).returncode == 0
    assert list(contents(tmp_path / "sopasync-data", "things")) == [*range(10), *range(20, 40)]


def test_rejected_rows_are_reported_with_line_and_reason_and_the_others_are_stored(tmp_path: Path) -> None:
    good = [json.dumps(row(number)) for number in range(4)]
    bad = [
        "{broken",
        "[1, 2]",
        '{"name": "no key"}',
        '{"id": null}',
        '{"id": {"a": 1}}',
        json.dumps({"id": "x" * 20_000}),
        '{"id": "\\ud800"}',
    ]
    text = "\n".join([good[0], bad[0], "", *bad[1:4], good[1], *bad[4:], good[2], good[3]])
    (tmp_path / "in.jsonl").write_text(text)
    result = ingest("in.jsonl", "--store", "things", "--key", "id", folder=tmp_path)
    assert result.returncode == 1
    assert f"{len(bad)} rows were rejected" in result.stderr
    assert list(contents(tmp_path / "sopasync-data", "things")) == [0, 1, 2, 3]
    entries = [json.loads(line) for line in (tmp_path / "in.jsonl.rejected.jsonl").read_text().splitlines()]
    assert [entry["line"] for entry in entries] == [2, 4, 5, 6, 8, 9, 10]
    reasons = [entry["reason"] for entry in entries]
    assert "not valid JSON" in reasons[0]
    assert "not a JSON object" in reasons[1]
    assert reasons[2] == "key field 'id' is missing"
    assert reasons[3] == "key field 'id' is empty"
    assert "cannot be a key" in reasons[4]
    assert "long" in reasons[5]
    assert entries[0]["row"] == "{broken"


def test_csv_rows_that_do_not_fit_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b'id,name\n1,a\n2\n3,c,d\n4,\xff\nx,e\n5,"open\n')
    result = ingest("in.csv", "--store", "things", "--key", "id", "--type", "id=int", folder=tmp_path)
    assert result.returncode == 1
    assert list(contents(tmp_path / "sopasync-data", "things")) == [1]
    entries = [json.loads(line) for line in (tmp_path / "in.csv.rejected.jsonl").read_text().splitlines()]
    assert [entry["line"] for entry in entries] == [3, 4, 5, 6, 7]
    assert entries[0]["reason"] == "1 fields where the header names 2"
    assert entries[2]["reason"] == "not valid UTF-8"
    assert entries[3]["reason"] == "field 'id' is no int: 'x'"
    assert "not valid CSV" in entries[4]["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.jsonl", "--key", "id"], "there is no file none.jsonl"),
        (["in.xyz", "--key", "id"], "does not tell its format"),
        (["in.csv", "--key", "id", "--type", "id"], "is not FIELD=TYPE"),
        (["in.csv", "--key", "id", "--format", "parquet"], "is not a Parquet file"),
        (["in.csv", "--key", "id", "--batch", "0"], "--batch 0"),
    ],
)
def test_what_cannot_be_ingested_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "in.csv").write_text("id\n1\n")
    (tmp_path / "in.xyz").write_text("id\n1\n")
    result = ingest(*arguments, "--store", "things", folder=tmp_path)
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert not (tmp_path / "sopasync-data").exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"])
def test_an_interrupted_ingestion_goes_on_where_it_was(tmp_path: Path, how: signal.Signals) -> None:
    rows = [row(number) for number in range(40_000)]
    rejected = random.Random(1).sample(range(len(rows)), 400)
    for number in rejected:
        rows[number]["id"] = None
    write_json_lines(tmp_path / "in.jsonl", rows)
    arguments = ["in.jsonl", "--store", "things", "--key", "id", "--batch", "100"]
    command = [sys.executable, "-m", "sopasync", "ingest", *arguments]
    log = tmp_path / "sopasync-data"
    # A shell starts what it runs in the background with the interrupt ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupted = 0
    for _ in range(3):
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
        ) as process:
            before = _size(log)
            deadline_s = time.monotonic() + 30
            while _size(log) <= before and process.poll() is None and time.monotonic() < deadline_s:
                time.sleep(0.005)
            time.sleep(0.1)
            process.send_signal(how)
            process.wait(30)
            _, complaint = process.communicate()
        interrupted += process.returncode != 1
        if how is signal.SIGINT and process.returncode != 1:
            assert process.returncode == 130, complaint
            assert b"Traceback" not in complaint
    assert interrupted, "the file was too short to interrupt its ingestion"
    result = ingest(*arguments, folder=tmp_path)
    assert result.returncode == 1, result.stderr
    assert "39,600 from this file" in result.stdout
    assert "400 rows were rejected" in result.stderr
    expected = {entry["id"]: entry for entry in rows if entry["id"] is not None}
    assert contents(log, "things") == expected
    entries = [json.loads(line) for line in (tmp_path / "in.jsonl.rejected.jsonl").read_text().splitlines()]
    assert [entry["line"] for entry in entries] == sorted(number + 1 for number in rejected)


def _size(folder: Path) -> int:
    try:
        return sum(path.stat().st_mtime_ns for path in folder.iterdir())
    except FileNotFoundError:
        return 0
