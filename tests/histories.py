"""A checker of histories after Elle (Kingsbury and Alvaro, VLDB 2020), for lists that stores of every kind hold.

Transactions append unique numbers to lists and read them. A list is an object of any store: an item, a blob, a model, a
document, the payload of a vector. What a list holds in the end is the order of its versions; who wrote, read or overwrote
which version makes a graph of dependencies, and a cycle in it is an anomaly that no serial order explains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple

Place = tuple[str, str]
"""Kind of store, and name of the list in it."""
Edge = Literal["ww", "wr", "rw"]

GRADES: tuple[tuple[str, frozenset[Edge]], ...] = (
    ("G0, a cycle of writes", frozenset({"ww"})),
    ("G1c, a cycle of writes and reads", frozenset({"ww", "wr"})),
    ("G2, a cycle with an anti-dependency", frozenset({"ww", "wr", "rw"})),
)


class AnomalyError(Exception):
    """The history has no serial order."""


class Read(NamedTuple):
    """A transaction read a list."""

    place: Place
    values: tuple[int, ...]


class Append(NamedTuple):
    """A transaction appended to a list."""

    place: Place
    value: int


@dataclass
class Client:
    """A transaction as its client saw it."""

    acts: list[Read | Append] = field(default_factory=list["Read | Append"])
    committed: bool = False


def check(history: Sequence[Client], outcome: Mapping[Place, Sequence[int]]) -> int:
    """Raise `AnomalyError` for the first anomaly; returns how many dependencies were looked at."""
    writers = _writers(history, outcome)
    edges: dict[int, dict[int, set[Edge]]] = {number: {} for number in range(len(history))}

    def add(one: int, other: int, kind: Edge) -> None:
        if one != other:
            edges[one].setdefault(other, set()).add(kind)

    for place, values in outcome.items():
        for before, after in pairwise(values):
            add(writers[place, before], writers[place, after], "ww")
    for number, client in enumerate(history):
        if client.committed:
            for place, values in _seen(number, client):
                _check_read(number, place, values, outcome, writers)
                if values:
                    add(writers[place, values[-1]], number, "wr")
                full = outcome.get(place, ())
                if len(values) < len(full):
                    add(number, writers[place, full[len(values)]], "rw")
    for name, kinds in GRADES:
        cycle = _cycle({one: [to for to, of in found.items() if of & kinds] for one, found in edges.items()})
        if cycle:
            raise AnomalyError(f"{name}: {_told(history, edges, cycle)}")
    return sum(len(kinds) for found in edges.values() for kinds in found.values())


def _writers(
    history: Sequence[Client], outcome: Mapping[Place, Sequence[int]]
) -> dict[tuple[Place, int], int]:
    writers: dict[tuple[Place, int], int] = {}
    for number, client in enumerate(history):
        for act in client.acts:
            if isinstance(act, Append):
                writers[act.place, act.value] = number
                there = act.value in outcome.get(act.place, ())
                if there != client.committed:
                    fate = "refused, but is there" if there else "acknowledged, but is lost"
                    raise AnomalyError(
                        f"{act.value}, appended to {act.place} by transaction {number}, was {fate}"
                    )
    for place, values in outcome.items():
        if len(set(values)) != len(values):
            raise AnomalyError(f"{place} holds a value twice: {values}")
        strangers = [value for value in values if (place, value) not in writers]
        if strangers:
            raise AnomalyError(f"{place} holds {strangers}, which nobody appended")
    return writers


def _seen(number: int, client: Client) -> Iterable[tuple[Place, tuple[int, ...]]]:
    """What the transaction read of others: its own appends taken off."""
    own: dict[Place, tuple[int, ...]] = {}
    for act in client.acts:
        if isinstance(act, Append):
            own[act.place] = (*own.get(act.place, ()), act.value)
            continue
        mine = own.get(act.place, ())
        seen = act.values[: len(act.values) - len(mine)]
        if (*seen, *mine) != act.values:
            raise AnomalyError(
                f"transaction {number} read {act.values} of {act.place}, without its own {mine}"
            )
        yield act.place, seen


def _check_read(
    number: int,
    place: Place,
    values: tuple[int, ...],
    outcome: Mapping[Place, Sequence[int]],
    writers: Mapping[tuple[Place, int], int],
) -> None:
    full = tuple(outcome.get(place, ()))
    if full[: len(values)] != values:
        raise AnomalyError(
            f"G1a: transaction {number} read {values} of {place}, which is no beginning of {full}"
        )
    if 0 < len(values) < len(full) and writers[place, values[-1]] == writers[place, full[len(values)]]:
        raise AnomalyError(f"G1b: transaction {number} read {values} of {place}, in the middle of {full}")


def _cycle(edges: Mapping[int, Sequence[int]]) -> list[int]:
    """The nodes of a cycle; none when there is none."""
    done: set[int] = set()
    for start in edges:
        path, inside, waiting = [start], {start}, [iter(edges[start])]
        while waiting and start not in done:
            following = next((node for node in waiting[-1] if node not in done), None)
            if following is None:
                waiting.pop()
                node = path.pop()
                inside.discard(node)
                done.add(node)
            elif following in inside:
                return path[path.index(following) :]
            else:
                path.append(following)
                inside.add(following)
                waiting.append(iter(edges[following]))
    return []


def _told(
    history: Sequence[Client], edges: Mapping[int, Mapping[int, set[Edge]]], cycle: Sequence[int]
) -> str:
    steps = zip(cycle, [*cycle[1:], cycle[0]], strict=True)
    return "; ".join(
        f"{one} -{'/'.join(sorted(edges[one][other]))}-> {other}: {history[one].acts}" for one, other in steps
    )
