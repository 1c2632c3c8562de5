"""The table: for the terminal in short, as Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .adapters import LABELS
from .figures import PEERS
from .rust_figures import RustFigure
from .summary import Line, Peer

RUST_HEADER = ["what", "figure", "sopasync", ""]

NOTE = (
    "In brackets: how many times better sopasync is, the median over rounds of the two measured one after the "
    'other.\n"await": the public, awaited calls; "direct": the extension\'s blocking calls, without an event '
    "loop. SQLite is used through apsw.\n* sop4py never syncs: its commits are not durable. It is given fewer rows."
)


def number(value: float) -> str:
    """Three digits, with k and M."""
    for limit, letter in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= limit:
            return f"{_three(value / limit)}{letter}"
    return _three(value)


def _three(value: float) -> str:
    if abs(value) < 0.01:
        return f"{value:.1g}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def quantity(value: float, unit: str) -> str:
    """A number with its unit."""
    drawn = f"{value:,.0f}" if unit in ("ms", "us", "MiB") and value >= 1000 else number(value)
    return f"{drawn}{'' if unit in ('/s', 'x') else ' '}{unit}"


def rows(
    lines: list[Line], peers: Iterable[str] = PEERS, labels: Mapping[str, str] = LABELS
) -> tuple[list[str], list[list[str]]]:
    """Header and cells."""
    peers = [peer for peer in peers if any(peer in line.peers for line in lines)]
    header = ["what", "figure", "sopasync", "", *(labels[peer] for peer in peers)]
    return header, [_cells(line, peers) for line in lines]


def _cells(line: Line, peers: list[str]) -> list[str]:
    figure = line.figure
    target = ""
    if figure.target is not None:
        target = f"{'>=' if figure.more_is_better else '<='} {quantity(figure.target, figure.unit)}"
    if figure.target_times is not None:
        target += f", {figure.target_times[1]:g}x {figure.target_times[0]}"
    value = line.note or "-" if line.value is None else quantity(line.value, figure.unit)
    return [figure.title, target, value, line.verdict, *(_peer(line.peers.get(peer)) for peer in peers)]


def _peer(peer: Peer | None) -> str:
    if peer is None:
        return "-"
    if peer.value is None:
        return peer.note
    return number(peer.value) if peer.ratio is None else f"{number(peer.value)} ({number(peer.ratio)}x)"


def text(
    lines: list[Line],
    peers: Iterable[str] = PEERS,
    labels: Mapping[str, str] = LABELS,
    note: str = NOTE,
) -> str:
    """For a terminal."""
    header, cells = rows(lines, peers, labels)
    return f"{_drawn(header, cells)}\n\n{note}"


def rust_text(figures: list[RustFigure]) -> str:
    """The engine's own figures for a terminal."""
    return _drawn(RUST_HEADER, [figure.cells for figure in figures])


def _drawn(header: list[str], cells: list[list[str]]) -> str:
    widths = [max(len(row[at]) for row in [header, *cells]) for at in range(len(header))]
    drawn = [_padded(header, widths), "  ".join("-" * width for width in widths)]
    return "\n".join([*drawn, *(_padded(row, widths) for row in cells)])


def _padded(row: list[str], widths: list[int]) -> str:
    return "  ".join(
        cell.ljust(width) if at == 0 else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(row, widths, strict=True))
    ).rstrip()


def markdown(lines: list[Line], peers: Iterable[str] = PEERS, labels: Mapping[str, str] = LABELS) -> str:
    """The same for the documentation; what is missed is bold."""
    return _marked(*rows(lines, peers, labels))


def rust_markdown(figures: list[RustFigure]) -> str:
    """The engine's own figures for the documentation."""
    return _marked(RUST_HEADER, [figure.cells for figure in figures])


def _marked(header: list[str], cells: list[list[str]]) -> str:
    marked = [[*row[:3], f"**{row[3]}**" if row[3] == "missed" else row[3], *row[4:]] for row in cells]
    ruler = ["---", *(["---:"] * (len(header) - 1))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ruler, *marked]) + "\n"
