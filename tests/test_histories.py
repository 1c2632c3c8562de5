"""Histories of transactions over stores of every kind are serializable; those that are not, the checker notices."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from tests.histories import AnomalyError, Append, Client, Place, Read, check

import sopasync
from sopasync import SearchConfig, VectorConfig

pytestmark = pytest.mark.anyio

NAMES = ("x", "y")


class Lists:
    """The lists of one transaction: each kind of store keeps them in its own way."""

    KINDS = ("item", "blob", "model", "text", "vector")

    def __init__(self, tx: sopasync.Transaction) -> None:
        self.tx = tx

    async def store(self, kind: str) -> Any:
        match kind:
            case "item":
                return await self.tx.new_btree("items")
            case "blob":
                return await self.tx.open_blob_store("blobs")
            case "model":
                return await self.tx.open_model_store("models")
            case "text":
                return await self.tx.open_search("texts", SearchConfig(language=None))
            case _:
                return await self.tx.open_vector_store("vectors", VectorConfig(dimension=2))

    async def read(self, place: Place) -> tuple[int, ...]:
        kind, name = place
        store = await self.store(kind)
        match kind:
            case "item":
                return tuple(await store.get(name, []))
            case "blob":
                text = (await store.read(name)).decode() if await store.exists(name) else ""
                return tuple(map(int, text.split()))
            case "model":
                return tuple((await store.get("lists", name, {"values": []}))["values"])
            case "text":
                document = await store.get(name)
                return () if document is None else tuple(map(int, document.text.split()))
            case _:
                found = await store.get(name)
                return () if found is None else tuple(found.payload["values"])

    async def write(self, place: Place, values: tuple[int, ...]) -> None:
        kind, name = place
        store = await self.store(kind)
        match kind:
            case "item":
                await store.upsert(name, list(values))
            case "blob":
                await store.write(name, " ".join(map(str, values)).encode(), replace=True)
            case "model":
                await store.save("lists", name, {"values": list(values)})
            case "text":
                await store.add(name, " ".join(map(str, values)))
            case _:
                await store.upsert(name, [1.0, len(values)], {"values": list(values)})


PLACES = [(kind, name) for kind in Lists.KINDS for name in NAMES]


async def make(db: sopasync.Database) -> None:
    async with db.begin_transaction() as tx:
        for kind in Lists.KINDS:
            await Lists(tx).store(kind)


async def outcome(db: sopasync.Database) -> dict[Place, tuple[int, ...]]:
    async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
        return {place: await Lists(tx).read(place) for place in PLACES}


class Actor:
    """A client that reads some lists and appends to others, of several kinds, in one transaction."""

    def __init__(self, chance: random.Random, numbers: Any) -> None:
        self.seen = Client()
        self.plan = [(chance.random() < 0.5, chance.choice(PLACES)) for _ in range(chance.randint(2, 4))]
        self.plan += [self.plan[0]] * (chance.random() < 0.3)
        self._numbers = numbers

    async def step(self, lists: Lists) -> None:
        appends, place = self.plan.pop(0)
        values = await lists.read(place)
        self.seen.acts.append(Read(place, values))
        if appends:
            number = next(self._numbers)
            await lists.write(place, (*values, number))
            self.seen.acts.append(Append(place, number))


Begin = Callable[[sopasync.Database], sopasync.Transaction]


async def interleaved(db: sopasync.Database, seed: int, rounds: int, begin: Begin) -> int:
    """Open several transactions at one snapshot, let them take steps by turns, and commit them by chance."""
    chance = random.Random(seed)
    numbers = iter(range(1, 1_000_000))
    await make(db)
    history: list[Client] = []
    for _ in range(rounds):
        open_ones: list[tuple[Actor, sopasync.Transaction]] = []
        for _ in range(3):
            tx = begin(db)
            tx.begin()
            open_ones.append((Actor(chance, numbers), tx))
        history += [actor.seen for actor, _ in open_ones]
        while any(actor.plan for actor, _ in open_ones):
            actor, tx = chance.choice([one for one in open_ones if one[0].plan])
            await actor.step(Lists(tx))
        chance.shuffle(open_ones)
        for actor, tx in open_ones:
            try:
                await tx.commit()
                actor.seen.committed = True
            except sopasync.ConflictError:
                pass
    found = check(history, await outcome(db))
    assert any(client.committed for client in history)
    assert not all(client.committed for client in history)
    return found


async def test_interleaved_transactions_over_all_kinds_have_a_serial_order(db: sopasync.Database) -> None:
    assert await interleaved(db, seed=1, rounds=40, begin=lambda db: db.begin_transaction()) > 100


async def test_tasks_over_all_kinds_have_a_serial_order(db: sopasync.Database) -> None:
    await make(db)
    history: list[Client] = []
    numbers = iter(range(1, 1_000_000))

    async def client(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(12):
            actor = Actor(chance, numbers)
            history.append(actor.seen)
            try:
                async with db.begin_transaction() as tx:
                    while actor.plan:
                        await actor.step(Lists(tx))
                        await anyio.sleep(0)
                actor.seen.committed = True
            except sopasync.ConflictError:
                pass

    async with anyio.create_task_group() as tasks:
        for seed in range(6):
            tasks.start_soon(client, seed)
    check(history, await outcome(db))
    assert sum(client.committed for client in history) > 6


# -- the checker can fail -------------------------------------------------------------------------


async def test_transactions_that_are_checked_less_are_noticed(db: sopasync.Database) -> None:
    with pytest.raises(AnomalyError, match="G2"):
        await interleaved(db, 1, 40, lambda db: db.begin_transaction(isolation="snapshot"))


async def test_transactions_that_are_not_checked_are_noticed(db: sopasync.Database) -> None:
    with pytest.raises(AnomalyError, match="acknowledged, but is lost"):
        await interleaved(db, 1, 40, lambda db: db.begin_transaction(sopasync.TransactionMode.NO_CHECK))


@pytest.mark.parametrize("apart", Lists.KINDS)
async def test_a_kind_that_commits_by_itself_is_noticed(
    db: sopasync.Database, monkeypatch: pytest.MonkeyPatch, apart: str
) -> None:
    """Given stores of one kind whose changes are committed at once, as if that kind were a store of its own."""
    write: Callable[..., Awaitable[None]] = Lists.write

    async def at_once(self: Lists, place: Place, values: tuple[int, ...]) -> None:
        if place[0] != apart:
            await write(self, place, values)
            return
        async with db.begin_transaction(sopasync.TransactionMode.NO_CHECK) as own:
            await write(Lists(own), place, values)

    monkeypatch.setattr(Lists, "write", at_once)
    with pytest.raises(AnomalyError):
        await interleaved(db, 1, 20, lambda db: db.begin_transaction())


X, Y = ("blob", "x"), ("model", "y")


def client(*acts: Read | Append, committed: bool = True) -> Client:
    return Client(list(acts), committed)


@pytest.mark.parametrize(
    ("history", "outcome", "anomaly"),
    [
        (
            [client(Append(X, 1), Append(Y, 1)), client(Append(X, 2), Append(Y, 2))],
            {X: [1, 2], Y: [2, 1]},
            "G0",
        ),
        ([client(Append(X, 1), committed=False), client(Read(X, (1,)))], {}, "G1a"),
        ([client(Append(X, 1), Append(X, 2)), client(Read(X, (1,)))], {X: [1, 2]}, "G1b"),
        (
            [client(Append(X, 1), Read(Y, (2,))), client(Append(Y, 2), Read(X, (1,)))],
            {X: [1], Y: [2]},
            "G1c",
        ),
        (
            [client(Read(X, ()), Append(Y, 1)), client(Read(Y, ()), Append(X, 2))],
            {X: [2], Y: [1]},
            "G2",
        ),
        ([client(Append(X, 1))], {X: []}, "acknowledged, but is lost"),
        ([client(Append(X, 1), committed=False)], {X: [1]}, "refused, but is there"),
        ([client(Append(X, 1))], {X: [1, 1]}, "twice"),
        ([client(Append(X, 1), Read(X, ()))], {X: [1]}, "without its own"),
    ],
)
def test_anomalies_are_told_by_their_names(
    history: list[Client], outcome: dict[Place, list[int]], anomaly: str
) -> None:
    with pytest.raises(AnomalyError, match=anomaly):
        check(history, outcome)


def test_a_serial_history_is_accepted() -> None:
    history = [
        client(Append(X, 1), Append(Y, 1)),
        client(Read(X, (1,)), Append(X, 2), Append(X, 3), Read(X, (1, 2, 3))),
        client(Read(X, (1, 2, 3)), Read(Y, (1,))),
        client(Append(Y, 9), committed=False),
    ]
    assert check(history, {X: [1, 2, 3], Y: [1]}) > 2
