"""The bank: many tasks move money between accounts while auditors count it at snapshots."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import anyio
import msgspec

import sopasync
from sopasync._cli.failure import CommandError
from sopasync._cli.terminal import Progress

ACCOUNTS = 512
OPENING_BALANCE = 1_000
TOTAL = ACCOUNTS * OPENING_BALANCE
TASKS = 64
AUDITORS = 2
AUDIT_INTERVAL_S = 0.02
ATTEMPTS = 1_000
"""So many that only the time limit of `db.run` ends them: on a slow disk more transfers meet."""


class Entry(msgspec.Struct, frozen=True):
    """One line of the journal."""

    sender: int
    receiver: int
    amount: int


@dataclass
class Outcome:
    """What the swarm did."""

    transfers: int
    reruns: int
    """Times a transfer was run again because another one had changed its accounts first."""
    audits: int
    elapsed_s: float


@dataclass
class _Tally:
    transfers: int = 0
    runs: int = 0
    audits: int = 0


async def run_bank(db: sopasync.Database, duration_s: float, moves: random.Random) -> Outcome:
    """Move money for `duration_s`; raises `CommandError` as soon as an auditor misses any."""
    tally = _Tally()
    async with db.begin_transaction() as tx:
        accounts = await tx.new_btree("accounts", value_type=int)
        await accounts.add([(number, OPENING_BALANCE) for number in range(ACCOUNTS)])
        await tx.new_btree("journal", value_type=Entry)

    async def mover(task: int) -> None:
        while time.perf_counter() < end_s:
            sender, receiver = moves.sample(range(ACCOUNTS), 2)
            await db.run(transfer, task, sender, receiver, moves.randint(1, 50), attempts=ATTEMPTS)
            tally.transfers += 1
            progress.advance()

    async def transfer(tx: sopasync.Transaction, task: int, sender: int, receiver: int, amount: int) -> None:
        tally.runs += 1
        accounts = await tx.open_btree("accounts", value_type=int)
        journal = await tx.open_btree("journal", value_type=Entry)
        sending, receiving = await accounts.get(sender), await accounts.get(receiver)
        assert sending is not None
        assert receiving is not None
        amount = min(amount, sending)
        await accounts.update(sender, sending - amount)
        await accounts.update(receiver, receiving + amount)
        await journal.add((task, tally.runs), Entry(sender, receiver, amount))

    async def auditor() -> None:
        while time.perf_counter() < end_s:
            await audit(db)
            tally.audits += 1
            await anyio.sleep(AUDIT_INTERVAL_S)

    began_s = time.perf_counter()
    end_s = began_s + duration_s
    with Progress("bank", None, "transfers") as progress:
        async with anyio.create_task_group() as tasks:
            for task in range(TASKS):
                tasks.start_soon(mover, task)
            for _ in range(AUDITORS):
                tasks.start_soon(auditor)
        elapsed_s = time.perf_counter() - began_s
    entries = await audit(db)
    if entries != tally.transfers:
        raise CommandError(f"{tally.transfers} transfers were acknowledged, but the journal has {entries}")
    return Outcome(tally.transfers, tally.runs - tally.transfers, tally.audits, elapsed_s)


async def audit(db: sopasync.Database) -> int:
    """Check at one snapshot that the money is all there and agrees with the journal; return the journal's length."""
    async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
        accounts = await tx.open_btree("accounts", value_type=int)
        journal = await tx.open_btree("journal", value_type=Entry)
        balances = [balance async for _, balance in accounts.items()]
        entries = await journal.count()
    if len(balances) != ACCOUNTS or sum(balances) != TOTAL or min(balances) < 0:
        raise CommandError(
            f"the money is not all there: {sum(balances)} in {len(balances)} accounts, not {TOTAL}"
        )
    return entries
