"""`summarize`: medians, paired ratios and verdicts, from measurements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .figures import FIGURES, Figure
from .measuring import Measurements
from .spread import median, paired_ratio


@dataclass(frozen=True)
class Peer:
    """One peer's cell."""

    value: float | None
    ratio: float | None
    """How many times better sopasync is."""
    note: str = ""


@dataclass(frozen=True)
class Line:
    """One figure, measured."""

    figure: Figure
    value: float | None
    low: float | None
    high: float | None
    peers: dict[str, Peer]
    note: str = ""

    @property
    def verdict(self) -> str:
        """Say "reached", "missed", or empty when there is nothing to reach or nothing was measured."""
        if self.value is None:
            return ""
        reached = self.figure.reached(self.value)
        times = self._times_reached()
        if reached is None and times is None:
            return ""
        return "missed" if reached is False or times is False else "reached"

    def _times_reached(self) -> bool | None:
        if self.figure.target_times is None:
            return None
        peer = self.peers.get(self.figure.target_times[0])
        if peer is None or peer.ratio is None:
            return None
        return peer.ratio >= self.figure.target_times[1]


def summarize(found: Measurements, figures: Iterable[Figure] = FIGURES) -> list[Line]:
    """A line for every figure whose workload was run."""
    return [_line(figure, found) for figure in figures if _was_run(figure, found)]


def _was_run(figure: Figure, found: Measurements) -> bool:
    return figure.workload in found.samples or figure.workload in found.problems


def _line(figure: Figure, found: Measurements) -> Line:
    ours = found.of(figure.workload, figure.ours, figure.metric)
    peers = {peer: _peer(figure, peer, ours, found) for peer in figure.peers}
    return Line(
        figure,
        median(ours) if ours else None,
        min(ours) if ours else None,
        max(ours) if ours else None,
        {name: peer for name, peer in peers.items() if peer is not None},
        _short(found.problem(figure.workload, figure.ours)),
    )


def _peer(figure: Figure, peer: str, ours: list[float], found: Measurements) -> Peer | None:
    theirs = found.of(figure.workload, peer, figure.metric)
    if not theirs:
        problem = found.problem(figure.workload, peer)
        return None if problem is None else Peer(None, None, _short(problem))
    ratio = paired_ratio(ours, theirs, more_is_better=figure.more_is_better) if figure.compared else None
    return Peer(median(theirs), ratio)


def _short(problem: str | None) -> str:
    if problem is None:
        return ""
    if problem.startswith("hung"):
        return "hung"
    return "not installed" if problem.startswith("No module named") else "failed"
