"""The `demo` command: ingest, bank, queries, kill, learn, kill again, ask, and a table of what it did."""

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
from sopasync._cli.collection import ask, find_collection
from sopasync._cli.collection.answers import How
from sopasync._cli.collection.shown import as_lines, heading, options
from sopasync._cli.collection.stores import VECTORS_SUFFIX
from sopasync._cli.demo.bank import TASKS as BANK_TASKS
from sopasync._cli.demo.bank import TOTAL, run_bank
from sopasync._cli.demo.batches import Batch, batches, make_stores, save
from sopasync._cli.demo.corpus import Definition, Module, standard_library
from sopasync._cli.demo.ghosts import TrainingRounds
from sopasync._cli.demo.ingestion import TASKS, ingest
from sopasync._cli.demo.keeping import make_way, mark
from sopasync._cli.demo.kill import Rounds
from sopasync._cli.demo.queries import check_queries
from sopasync._cli.demo.texts import COLLECTION, learn_definitions, write_everything
from sopasync._cli.demo.versions import pool_of
from sopasync._cli.demo.versions import save as save_pool
from sopasync._cli.failure import DONE, CommandError
from sopasync._cli.terminal import Progress, bold, seconds, size, table

if TYPE_CHECKING:
    from sopasync._cli.arguments import Subparsers

Row = tuple[str, str, str, str]

DEFAULT_FOLDER = Path("sopasync-demo")

QUESTION = "open a file for writing"
MORE_QUESTIONS = ("wait for a task with a timeout", "parse a date")
ANSWERS = 3

EXAMPLES = """\
  sopasync demo                    about two minutes; leaves its database in ./sopasync-demo
  sopasync demo --keep FOLDER      makes it there
  sopasync demo --discard          leaves nothing behind

Then look around in it:
  sopasync query "open a file for writing" --db sopasync-demo
  sopasync scan definitions --db sopasync-demo --prefix '{"module": "asyncio.tasks"}' --keys"""


def add_to(commands: Subparsers) -> None:
    """Add the command to the parser."""
    parser = arguments.command(
        commands,
        "demo",
        summary="see it work, on the sources of your Python's standard library",
        description="Ingest every definition of the standard library with 64 tasks; run a bank; ask queries; kill an "
        "ingesting process again and again and compare what is left with what was acknowledged; learn what the "
        "definitions mean and store texts, vectors and weights in one transaction; kill a process that trains "
        "version after version and look for ghosts; ask by words and by meaning.",
        examples=EXAMPLES,
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--keep", type=Path, metavar="FOLDER", help=f"where to leave the database (default: {DEFAULT_FOLDER})"
    )
    where.add_argument("--discard", action="store_true", help="leave nothing behind")
    parser.add_argument(
        "--rounds", type=int, default=10, help="how often to kill each (default: %(default)s)"
    )
    parser.add_argument("--bank-seconds", type=float, default=5.0, help="how long the bank runs (default: 5)")
    parser.add_argument("--modules", type=int, metavar="N", help="read only the first N modules")
    parser.add_argument("--seed", type=int, help="repeat the random choices of an earlier run")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Run the demonstration."""
    seed = parsed.seed if parsed.seed is not None else random.SystemRandom().randrange(1_000_000)
    kept = None if parsed.discard else parsed.keep or DEFAULT_FOLDER
    if kept is not None:
        make_way(kept)
    began_s = time.perf_counter()
    modules = _read_sources(parsed.modules)
    with tempfile.TemporaryDirectory(prefix="sopasync-demo-") as temporary:
        folder = kept or Path(temporary, "database")
        rows = anyio.run(_stages, folder, Path(temporary), modules, random.Random(seed), parsed)
    print()
    print(table(rows, heading=("what", "how many", "time", "rate"), right=(1, 2, 3)))
    print(
        f"\nEverything held. {seconds(time.perf_counter() - began_s)} in all; random choices from --seed {seed}."
    )
    if kept is not None:
        print(f"The database is in {kept}. Go on with your own questions:")
        print(f'  sopasync query "{QUESTION}" --db {kept}')
        print(f"  sopasync inspect --db {kept}")
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
    definitions = [definition for module in modules for definition in module.definitions]
    async with sopasync.Database(folder) as db:
        await mark(db)
        rows = await _ingest(db, work)
        rows += await _bank(db, parsed.bank_seconds, choices)
        rows += await _ask(db, modules, choices)
    rows += await _kill(scratch, work, parsed.rounds, choices)
    async with sopasync.Database(folder) as db:
        rows += await _learn(db, definitions)
        async with anyio.create_task_group() as tasks:
            # Queries need no graph, but are faster with one; it is built while the next stage runs.
            tasks.start_soon(db.settle, COLLECTION + VECTORS_SUFFIX)
            rows += await _kill_training(scratch, definitions, parsed.rounds, choices)
        await _find(db)
    rows.append(_file_size(folder))
    return rows


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
        f"{outcome.transfers:,} transfers, {outcome.reruns:,} run again after a conflict\n"
        f"all {outcome.audits:,} audits and the last one found {TOTAL:,}: the money is all there"
    )
    rate = f"{outcome.transfers / outcome.elapsed_s:,.0f}/s"
    return [("bank transfers", f"{outcome.transfers:,}", seconds(outcome.elapsed_s), rate)]


async def _ask(db: sopasync.Database, modules: list[Module], choices: random.Random) -> list[Row]:
    _say("Queries, every answer compared with the sources")
    answers = await check_queries(db, modules, choices)
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


async def _learn(db: sopasync.Database, definitions: list[Definition]) -> list[Row]:
    _say("Atomic training: texts, vectors, weights and version in one transaction")
    began_s = time.perf_counter()
    fitted = await learn_definitions(definitions)
    learned_s = time.perf_counter() - began_s
    dimension, words = fitted.embedding.dimension, int(fitted.embedding.metrics["words"])
    print(
        f"learned {dimension} directions from {words:,} words of {len(definitions):,} definitions; "
        f"{fitted.embedding.metrics['explained']:.0%} of the variance"
    )
    began_s = time.perf_counter()
    async with db.begin_transaction() as tx:
        row = await write_everything(tx, definitions, fitted)
        committing_s = time.perf_counter()
    committed_s = time.perf_counter()
    written_s = committed_s - began_s
    print(
        f"version {row.version} committed in {seconds(committed_s - committing_s)}: {len(definitions):,} texts, "
        f"{row.vectors:,} vectors and {fitted.embedding.weights.nbytes / 2**20:.1f} MiB of weights at once"
    )
    rate = f"{len(definitions) / learned_s:,.0f}/s"
    written = f"{len(definitions) / written_s:,.0f}/s"
    return [
        ("texts learned from", f"{len(definitions):,}", seconds(learned_s), rate),
        ("texts and vectors, one transaction", f"{len(definitions):,}", seconds(written_s), written),
    ]


async def _kill_training(
    scratch: Path, definitions: list[Definition], rounds: int, moments: random.Random
) -> list[Row]:
    _say(f"SIGKILL, {rounds} times while a process trains version after version")
    pool = pool_of(definitions)
    packed = scratch / "pool"
    save_pool(pool, packed)
    series = TrainingRounds(scratch / "trained", packed, pool, moments)
    began_s = time.perf_counter()
    for number in range(1, rounds + 1):
        print(f"  {number}: {await series.kill_and_verify()}", flush=True)
    print(
        f"version row, weights, vectors and texts always agreed: no ghost\n"
        f"{series.vectors_compared:,} vectors were made again from the stored weights and texts, and compared"
    )
    elapsed_s = time.perf_counter() - began_s
    return [
        ("kills of a training survived", f"{rounds}", seconds(elapsed_s), ""),
        ("  vectors made again and compared", f"{series.vectors_compared:,}", "", ""),
    ]


async def _find(db: sopasync.Database) -> None:
    only: list[How] = ["hybrid"]
    for question in (QUESTION, *MORE_QUESTIONS):
        _say(f'sopasync query "{question}"')
        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            collection = await find_collection(tx, COLLECTION)
            for how in collection.ways if question == QUESTION else only:
                began_s = time.perf_counter()
                answers = await ask(
                    collection, question, how, ANSWERS, where={"is_test": False}, highlight=options()
                )
                elapsed_s = time.perf_counter() - began_s
                print(heading(how, len(answers), seconds(elapsed_s)))
                for place, answer in enumerate(answers, 1):
                    print("\n".join(as_lines(answer, how, place)))
