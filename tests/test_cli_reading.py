"""`get`, `scan`, `inspect`, `stats`, `check` and `backup` tell what is in a database, as a person would call them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import anyio
import pytest

import sopasync
import sopasync.sync
from sopasync import BtreeOptions, IndexFieldSpecification, IndexSpecification

IDENTITY = UUID("12345678-1234-5678-1234-567812345678")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "database"
    anyio.run(_fill, path)
    return path


async def _fill(path: Path) -> None:
    async with sopasync.Database(path) as db, db.begin_transaction() as tx:
        users = await tx.new_btree("users", BtreeOptions(description="who they are"))
        await users.add([(f"user_{number}", {"number": number}) for number in range(30)])
        mixed = await tx.new_btree("mixed")
        await mixed.add([(42, "number"), ("42", "text"), (IDENTITY, b"\x00\xff"), (("os", 7), None)])
        order = IndexSpecification(
            [IndexFieldSpecification("region"), IndexFieldSpecification("number", ascending_sort_order=False)]
        )
        staff = await tx.new_btree("staff", index_spec=order)
        await staff.add(
            [({"region": region, "number": number}, number) for region in ("EU", "US") for number in range(3)]
        )


def sopasync_command(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "sopasync", *map(str, arguments)],
        env=os.environ | {"COLUMNS": "120"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def answer(*arguments: str | Path) -> str:
    result = sopasync_command(*arguments)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def lines(*arguments: str | Path) -> list[object]:
    return [json.loads(line) for line in answer(*arguments).splitlines()]


def test_get_prints_the_value_as_json(database: Path) -> None:
    assert lines("get", "users", "user_7", "--db", database) == [{"number": 7}]


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["42"], "number"),
        (['"42"'], "text"),
        (["--as", "text", "42"], "text"),
        (["--as", "uuid", str(IDENTITY)], {"bytes": "AP8="}),
        (['["os", 7]'], None),
    ],
)
def test_get_reads_keys_of_every_kind(database: Path, arguments: list[str], value: object) -> None:
    assert lines("get", "mixed", *arguments, "--db", database) == [value]


def test_get_finds_a_record_by_its_fields(database: Path) -> None:
    assert lines("get", "staff", '{"number": 2, "region": "EU"}', "--db", database) == [2]


def test_get_of_an_absent_key_exits_with_1_and_prints_no_value(database: Path) -> None:
    result = sopasync_command("get", "users", "nobody", "--db", database)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == "sopasync: store 'users' has no key \"nobody\"\n"


def test_scan_prints_items_in_order(database: Path) -> None:
    assert lines("scan", "users", "--limit", "2", "--db", database) == [
        {"key": "user_0", "value": {"number": 0}},
        {"key": "user_1", "value": {"number": 1}},
    ]


def test_scan_keys_by_prefix_and_backwards(database: Path) -> None:
    expected = ["user_2", *(f"user_2{digit}" for digit in range(10))]
    assert lines("scan", "users", "--prefix", "user_2", "--keys", "--db", database) == expected
    backwards = lines("scan", "users", "--prefix", "user_2", "--keys", "--reverse", "--db", database)
    assert backwards == expected[::-1]


def test_scan_a_range_leaves_its_end_out(database: Path) -> None:
    found = lines("scan", "users", "--from", "user_3", "--to", "user_5", "--keys", "--db", database)
    assert found == ["user_3", "user_4"]


def test_scan_by_leading_fields_of_a_record(database: Path) -> None:
    found = lines("scan", "staff", "--prefix", '{"region": "US"}', "--keys", "--db", database)
    assert found == [{"region": "US", "number": number} for number in (2, 1, 0)]


def test_scan_into_a_pipe_that_closes_is_no_error(database: Path) -> None:
    command = f"{sys.executable} -m sopasync scan users --db {database} | head -n 1"
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, timeout=60, check=False
    )
    assert result.stdout == b'{"key":"user_0","value":{"number":0}}\n'
    assert result.stderr == b""


def test_inspect_lists_the_stores(database: Path) -> None:
    shown = answer("inspect", "--db", database).splitlines()
    assert shown[0].split() == ["store", "items", "keys", "description"]
    assert [line.split()[:2] for line in shown[2:]] == [["mixed", "4"], ["staff", "6"], ["users", "30"]]
    assert "by region, number descending" in shown[3]
    assert "who they are" in shown[4]


def test_inspect_one_store_shows_its_ends(database: Path) -> None:
    shown = answer("inspect", "users", "--db", database)
    assert '"user_0"' in shown
    assert '"user_9"' in shown
    assert "30" in shown


def test_inspect_shows_indexes_and_relations(tmp_path: Path) -> None:
    path = tmp_path / "related"
    with sopasync.sync.Database(path) as db, db.begin_transaction() as tx:
        tx.new_btree("people").add("ann", {})
        orders = tx.new_btree(
            "orders",
            sopasync.BtreeOptions(
                relations=[
                    sopasync.Relation(["who"], "people", ["id"], on_delete="cascade"),
                    sopasync.Relation(["what"], "goods", ["id"]),
                ],
                indexes=[
                    sopasync.SecondaryIndex(
                        "by_day",
                        ["at.day", sopasync.IndexFieldSpecification("n", ascending_sort_order=False)],
                    )
                ],
            ),
        )
        orders.add([(1, {"who": "ann"}), (2, {"who": "ann", "at": {"day": 3}, "n": 1})])
    shown = {" ".join(line.split()) for line in answer("inspect", "orders", "--db", path).splitlines()}
    assert shown >= {
        "relation who -> people (id), enforced: on delete cascade",
        "relation what -> goods (id)",
        "index by_day: by at.day, n descending; 1 entries",
        "index who -> people: by who; 2 entries",
    }
    assert [line.split()[0] for line in answer("inspect", "--db", path).splitlines()[2:]] == [
        "orders",
        "people",
    ]


def test_stats_are_readable_by_programs(database: Path) -> None:
    (figures,) = lines("stats", "--json", "--db", database)
    assert isinstance(figures, dict)
    assert figures
    assert len(answer("stats", "--db", database).splitlines()) == len(figures)


def test_check_finds_a_sound_database_sound(database: Path) -> None:
    assert answer("check", "--quiet", "--db", database) == f"{database} is sound\n"


def test_check_says_where_the_damage_is_and_exits_with_1(database: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(database, damaged)
    pages = damaged / "pages"
    data = bytearray(pages.read_bytes())
    for offset in range(2 * 8192 + 1000, len(data), 8192):
        data[offset] ^= 0xFF
    pages.write_bytes(data)
    result = sopasync_command("check", "--quiet", "--db", damaged)
    assert result.returncode == 1
    assert "pages" in result.stdout
    assert re.search(r"\b(byte|page) [0-9]+", result.stdout), result.stdout
    assert "is damaged" in result.stderr
    assert "Traceback" not in result.stderr


def test_backup_is_a_database_with_the_same_contents(database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert answer("backup", copy, "--quiet", "--db", database) == f"{copy} is a copy of {database}\n"
    for store in ("users", "mixed", "staff"):
        assert lines("scan", store, "--db", copy) == lines("scan", store, "--db", database)
    again = sopasync_command("backup", copy, "--db", database)
    assert again.returncode == 3
    assert "is there already" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["get", "users", "x", "--db", "nowhere"], "there is no database at nowhere"),
        (["get", "nobodys", "x"], "there is no store 'nobodys'"),
        (["get", "users", "--as", "uuid", "x"], "'x' is no key of type uuid"),
        (["get", "staff", "7"], "staff"),
    ],
)
def test_failures_are_one_line_without_traceback(database: Path, arguments: list[str], message: str) -> None:
    result = sopasync_command(*arguments, SOPASYNC_DB=str(database))
    assert result.returncode == 3
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("sopasync: ")
    assert message in result.stderr


def test_a_typing_error_makes_no_database(tmp_path: Path) -> None:
    sopasync_command("scan", "users", "--db", tmp_path / "typo")
    assert list(tmp_path.iterdir()) == []


def test_reading_commands_work_while_another_process_owns_the_database(database: Path) -> None:
    async def own() -> None:
        async with sopasync.Database(database):
            assert await anyio.to_thread.run_sync(lines, "get", "users", "user_7", "--db", database) == [
                {"number": 7}
            ]
            result = await anyio.to_thread.run_sync(sopasync_command, "check", "--db", database)
            assert result.returncode == 0, result.stderr
            copy = database.with_name("copy")
            result = await anyio.to_thread.run_sync(sopasync_command, "backup", copy, "--db", database)
            assert result.returncode == 0, result.stderr
            assert await anyio.to_thread.run_sync(lines, "get", "users", "user_7", "--db", copy) == [
                {"number": 7}
            ]

    anyio.run(own)


def test_help_teaches_by_examples() -> None:
    assert "sopasync ingest" in answer("--help")
    for command in ("demo", "ingest", "query", "get", "scan", "inspect", "check", "backup", "stats"):
        shown = answer(command, "--help")
        assert "examples:" in shown
        assert f"sopasync {command}" in shown


def test_a_wrong_command_line_exits_with_2() -> None:
    assert sopasync_command("fly").returncode == 2
