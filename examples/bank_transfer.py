"""Bank transfer: two accounts and a log change together, in one commit over two stores, or not at all."""

from __future__ import annotations

import functools
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import anyio

import sopasync


@dataclass
class Account:
    """The balance of one customer, in cents."""

    balance: int


@dataclass
class Transfer:
    """One line of the log."""

    sender: str
    receiver: str
    amount: int


class InsufficientFundsError(Exception):
    """The sender has less than was to be sent."""


async def transfer(tx: sopasync.Transaction, sender: str, receiver: str, amount: int) -> None:
    """Move money and log it; `db.run` calls this again when another transfer touched the same accounts."""
    accounts = await tx.open_btree("accounts", value_type=Account)
    logs = await tx.open_btree("logs", value_type=Transfer)
    await logs.add(uuid.uuid4(), Transfer(sender, receiver, amount))

    receiving = await accounts.get(receiver)
    sending = await accounts.get(sender)
    assert receiving is not None, f"no account {receiver}"
    assert sending is not None, f"no account {sender}"
    await accounts.update(receiver, Account(receiving.balance + amount))
    if sending.balance < amount:
        # The log line and the receiver's new balance are written already, in this transaction:
        # the error takes both back.
        raise InsufficientFundsError(f"{sender} has {sending.balance}, not {amount}")
    await accounts.update(sender, Account(sending.balance - amount))


async def main(folder: Path) -> None:
    """Transfer once with success, once without, then from fifty tasks at once."""
    async with sopasync.Database(folder / "bank") as db:
        async with db.begin_transaction() as tx:
            accounts = await tx.new_btree("accounts", value_type=Account)
            await tx.new_btree("logs", value_type=Transfer)
            await accounts.add("user_1", Account(10_000))
            await accounts.add("user_2", Account(0))

        await db.run(transfer, "user_1", "user_2", 100)
        assert await balances(db) == {"user_1": 9_900, "user_2": 100}
        print("Transfer complete.", await balances(db))

        try:
            await db.run(transfer, "user_2", "user_1", 1_000_000)
        except InsufficientFundsError as error:
            print("Refused:", error)
        else:
            raise AssertionError("an account was overdrawn")
        assert await balances(db) == {"user_1": 9_900, "user_2": 100}, "half a transfer is visible"

        # Fifty at once, all between the same two accounts: of those that meet, the first to commit
        # wins and the others run again.
        patiently = functools.partial(db.run, attempts=200)
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(patiently, transfer, "user_1", "user_2", 10)
        assert await balances(db) == {"user_1": 9_400, "user_2": 600}

        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            logs = await tx.open_btree("logs", value_type=Transfer)
            logged = await logs.count()
        assert logged == 51, "one line per transfer that happened, none for the refused one"
        print(f"After 50 transfers at once: {await balances(db)}, {logged} lines in the log.")


async def balances(db: sopasync.Database) -> dict[str, int]:
    """Read every balance at one snapshot."""
    async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
        accounts = await tx.open_btree("accounts", value_type=Account)
        return {str(name): account.balance async for name, account in accounts.items()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
