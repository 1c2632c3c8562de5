"""SIGKILL at random moments: what was acknowledged must be there, and nothing may be half there."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

import sopasync
from sopasync._cli.demo.batches import STORES, Batch
from sopasync._cli.demo.process import kill
from sopasync._cli.demo.soundness import check
from sopasync._cli.failure import CommandError
from sopasync._cli.terminal import seconds

VICTIM = "sopasync._cli.demo.victim"
INGESTING_S = (0.02, 0.8)
OPENING_S = (0.0, 0.05)
SHARE_KILLED_WHILE_OPENING = 0.25


class Rounds:
    """Kills an ingesting process again and again, on one database until its work is done, then on a new one."""

    def __init__(self, folder: Path, packed: Path, work: Sequence[Batch], moments: random.Random) -> None:
        self.acknowledged = 0
        self._folder = folder
        self._packed = packed
        self._work = work
        self._moments = moments
        self._database = 0
        self._earlier: set[int] = set()

    async def kill_and_verify(self) -> str:
        """Do one round and say what it showed; raises `CommandError` when a promise was broken."""
        folder = self._folder / str(self._database)
        done = await anyio.to_thread.run_sync(kill_ingestion, folder, self._packed, self._moments)
        present, reopen_s = await verify(folder, self._work, self._earlier | done.acknowledged)
        self.acknowledged += len(done.acknowledged)
        unheard = len(present - self._earlier - done.acknowledged)
        self._earlier = present
        if done.finished:
            self._database += 1
            self._earlier = set()
        return (
            f"killed {done.moment} after {seconds(done.after_s)}: {len(done.acknowledged):,} acknowledged, "
            f"all there, {unheard} more, everything sound; reopened in {seconds(reopen_s)}"
        )


@dataclass
class Kill:
    """One kill, as the killer saw it."""

    moment: str
    after_s: float
    acknowledged: set[int]
    finished: bool
    """The process had nothing left to do."""


def kill_ingestion(folder: Path, packed: Path, moments: random.Random) -> Kill:
    """Start the process that ingests, and kill it at a random moment: of its opening, or of its work."""
    opening = moments.random() < SHARE_KILLED_WHILE_OPENING
    awaited = b"opening\n" if opening else b"ready\n"
    delay_s = moments.uniform(*(OPENING_S if opening else INGESTING_S))
    killed = kill(VICTIM, [str(folder), str(packed)], awaited.__eq__, delay_s)
    # A line without its end was cut by the kill: it acknowledges nothing.
    acknowledged = {int(line) for line in killed.lines if line[:1].isdigit() and line.endswith(b"\n")}
    moment = "opening" if opening else "ingesting"
    return Kill(moment, killed.after_s, acknowledged, b"done\n" in killed.lines)


async def verify(folder: Path, work: Iterable[Batch], acknowledged: set[int]) -> tuple[set[int], float]:
    """Reopen the database and compare every store with what the batches in it should have written.

    Returns the batches present and the seconds it took to open. Raises `CommandError` when an acknowledged
    batch is missing, any batch is there in part, or the check of the whole database finds damage.
    """
    began_s = time.perf_counter()
    async with sopasync.Database(folder) as db:
        reopen_s = time.perf_counter() - began_s
        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            made = await _stores_are_made(tx)
            present: set[int] = set()
            if made:
                present = {number async for number in (await tx.open_btree("batches")).keys()}
            lost = acknowledged - present
            if lost:
                raise CommandError(
                    f"{len(lost)} acknowledged commits are missing, the first is batch {min(lost)}"
                )
            expected = _contents(batch for batch in work if batch.number in present)
            found = await _read_stores(tx) if made else expected
        await check(db)
    for store, rows in expected.items():
        missing, surplus = rows - found[store], found[store] - rows
        if missing or surplus:
            raise CommandError(
                f"a commit is half there: store '{store}' lacks {missing.total()} rows of committed batches "
                f"and has {surplus.total()} rows of batches that are not"
            )
    return present, reopen_s


async def _stores_are_made(tx: sopasync.Transaction) -> bool:
    """Tell whether the commit that makes the stores is there; it comes before all others."""
    stores = {description.name for description in await tx.stores()}
    if stores and stores != STORES:
        raise CommandError(
            f"a commit is half there: it made {', '.join(sorted(stores))} and not the other stores"
        )
    return bool(stores)


def _contents(work: Iterable[Batch]) -> dict[str, Counter[object]]:
    stores: dict[str, Counter[object]] = {
        name: Counter() for name in ("definitions", "names", "modules", "imports", "counters")
    }
    for batch in work:
        for found in batch.definitions:
            identity = (found.module, found.kind, found.qualified_name)
            stores["definitions"][identity] += 1
            stores["names"][found.name, *identity] += 1
        if batch.facts is not None:
            stores["modules"][batch.module] += 1
        stores["imports"].update((imported, batch.module) for imported in batch.imports)
        stores["counters"].update(batch.counts)
    return stores


async def _read_stores(tx: sopasync.Transaction) -> dict[str, Counter[object]]:
    definitions = await tx.open_btree("definitions")
    names = await tx.open_btree("names")
    modules = await tx.open_btree("modules")
    imports = await tx.open_btree("imports")
    counters = await tx.open_btree("counters", value_type=int)
    identity = ("module", "kind", "qualified_name")
    return {
        "definitions": Counter([tuple(key[field] for field in identity) async for key in definitions.keys()]),
        "names": Counter([(name, *place) async for name, place in names.items()]),
        "modules": Counter([name async for name in modules.keys()]),
        "imports": Counter([edge async for edge in imports.keys()]),
        "counters": Counter({name: count async for name, count in counters.items()}),
    }
