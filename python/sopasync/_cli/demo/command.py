"""The `demo` command: ingest, kill, bank, queries, and a table of what it did."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

import sopasync
from sopasync._cli import arguments
from sopasync._cli.demo.bank import TASKS as BANK_TASKS
from sopasync._cli.demo.bank import TOTAL, run_bank
from sopasync._cli.demo.batches import Batch, batches, make_stores, save
from sopasync._cli.demo.corpus import Module, standard_library
from sopasync._cli.demo.ingestion import TASKS, ingest
from sopasync._cli.demo.kill import Rounds
from sopasync._cli.demo.queries import ask
from sopasync._cli.failure import DONE, CommandError
from sopasync._cli.terminal import Progress, bold, seconds, size, table

if TYPE_CHECKING:
    from sopasync._cli.arguments import Subparsers

Row = tuple[str, str, str, str]

EXAMPLES = """\
  sopasync demo                    about a minute; leaves nothing behind
  sopasync demo --keep demo-data   keep the database, then look around in it:
  sopasync scan definitions --db demo-data --prefix '{"module": "asyncio.tasks"}' --keys"""


def add_to(commands: Subparsers) -> None:
    """Add the command to the parser."""
    parser = arguments.command(
        commands,
        "demo",
        summary="see it work, on the sources of your Python's standard library",
        description="Ingest every definition of the standard library with 64 tasks; kill an ingesting process "
        "again and again and compare what is left with what was acknowledged; run a bank; ask queries.",
        examples=EXAMPLES,
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make the database here and leave it")
    parser.add_argument("--rounds", type=int, default=10, help="how often to kill (default: %(default)s)")
    parser.add_argument("--bank-seconds", type=float, default=5.0, help="how long the bank runs (default: 5)")
    parser.add_argument("--modules", type=int, metavar="N", help="read only the first N modules")
    parser.add_argument("--seed", type=int, help="repeat the random choices of an earlier run")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Run the demonstration."""
    seed = parsed.seed if parsed.seed is not None else random.SystemRandom().randrange(1_000_000)
    if parsed.keep is not None and parsed.keep.exists():
        raise CommandError(f"{parsed.keep} is there already; name a folder that is not")
    began_s = time.perf_counter()
    modules = _read_sources(parsed.modules)
    with tempfile.TemporaryDirectory(prefix="sopasync-demo-") as temporary:
        folder = parsed.keep or Path(temporary, "database")
        rows = anyio.run(_stages, folder, Path(temporary), modules, random.Random(seed), parsed)
    print()
    print(table(rows, heading=("what", "how many", "time", "rate"), right=(1, 2, 3)))
    print(
        f"\nEverything held. {seconds(time.perf_counter() - began_s)} in all; random choices from --seed {seed}."
    )
    if parsed.keep is not None:
        print(f"Look around: sopasync inspect --db {parsed.keep}")
    return DONE


def _say(text: str) -> None:
    print(f"\n{bold(text)}", flush=True)


def _read_sources(limit: int | None) -> list[Module]:
    _say(f"Reading the standard library of Python {sys.version.split()[0]}")
    with Progress("parse", None, "modules") as progress:

        def on_modules(done: int, total: int) -> None:
            progress.total = total
            progress.update(done)

        modules = standard_library(on_modules, limit)
    if not modules:
        raise CommandError(
            "this Python has no sources of its standard library; run the demo with one that has"
        )
    return modules


async def _stages(
    folder: Path, scratch: Path, modules: list[Module], choices: random.Random, parsed: argparse.Namespace
) -> list[Row]:
    work = list(batches(modules))
    async with sopasync.Database(folder) as db:
        rows = await _ingest(db, work)
        rows += await _bank(db, parsed.bank_seconds, choices)
        rows += await _ask(db, modules, choices)
    rows.append(_file_size(folder))
    return rows + await _kill(scratch, work, parsed.rounds, choices)


async def _ingest(db: sopasync.Database, work: list[Batch]) -> list[Row]:
    definitions = sum(len(batch.definitions) for batch in work)
    _say(
        f"Ingesting {definitions:,} definitions: {TASKS} tasks, 6 stores in every transaction, each commit synced"
    )
    await db.run(make_stores)
    before = db.statistics()
    with Progress("ingest", definitions, "definitions") as progress:
        await ingest(db, work, lambda batch: progress.advance(len(batch.definitions)))
    after = db.statistics()
    elapsed_s = progress.elapsed_s
    rows = sum(batch.rows for batch in work)
    commits, groups = (int(after.engine[name]) - int(before.engine[name]) for name in ("commits", "groups"))
    print(
        f"{commits:,} commits shared {groups:,} syncs of the disk; "
        f"conflicts: {after.conflicts_retried - before.conflicts_retried}"
    )
    return [
        ("definitions ingested", f"{definitions:,}", seconds(elapsed_s), f"{definitions / elapsed_s:,.0f}/s"),
        ("  rows written, all stores", f"{rows:,}", "", f"{rows / elapsed_s:,.0f}/s"),
        ("  durable transactions", f"{len(work):,}", "", f"{len(work) / elapsed_s:,.0f}/s"),
    ]


async def _bank(db: sopasync.Database, duration_s: float, choices: random.Random) -> list[Row]:
    _say(f"A bank: {BANK_TASKS} tasks move money, auditors count it meanwhile")
    outcome = await run_bank(db, duration_s, choices)
    print(
        f"{outcome.transfers:,} transfers, {outcome.reruns:,} run again after a conflict; "
        f"all {outcome.audits:,} audits and the last one found {TOTAL:,}: the money is all there"
    )
    rate = f"{outcome.transfers / outcome.elapsed_s:,.0f}/s"
    return [("bank transfers", f"{outcome.transfers:,}", seconds(outcome.elapsed_s), rate)]


async def _ask(db: sopasync.Database, modules: list[Module], choices: random.Random) -> list[Row]:
    _say("Queries, every answer compared with the sources")
    answers = await ask(db, modules, choices)
    for answer in answers:
        print(f"  {answer.question}: {answer.found:,} {answer.unit} in {seconds(answer.elapsed_s)}")
    return [
        (
            answer.question,
            f"{answer.found:,}",
            seconds(answer.elapsed_s),
            f"{answer.found / answer.elapsed_s:,.0f}/s",
        )
        for answer in answers
    ]


def _file_size(folder: Path) -> Row:
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return ("files of the database", size(total), "", "")


async def _kill(scratch: Path, work: list[Batch], rounds: int, moments: random.Random) -> list[Row]:
    _say(f"SIGKILL, {rounds} times at random moments")
    packed = scratch / "work"
    save(work, packed)
    series = Rounds(scratch / "killed", packed, work, moments)
    began_s = time.perf_counter()
    for number in range(1, rounds + 1):
        print(f"  {number}: {await series.kill_and_verify()}", flush=True)
    print(
        f"{series.acknowledged:,} commits were acknowledged before the kills: all there, nothing half there"
    )
    return [
        ("kills survived", f"{rounds}", seconds(time.perf_counter() - began_s), ""),
        ("  acknowledged commits, none lost", f"{series.acknowledged:,}", "", ""),
    ]
