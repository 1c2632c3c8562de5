"""The plot: how many times better sopasync is than each peer, one group of bars per figure, on a log scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .adapters import LABELS
from .figures import PEERS
from .summary import Line
from .table import number, quantity

COLOURS = {
    "lmdb": "#1b7837",
    "sqlite": "#2166ac",
    "aiosqlite": "#67a9cf",
    "rocksdb": "#b2182b",
    "sop4py": "#999999",
    "hnswlib": "#1b7837",
    "faiss": "#2166ac",
    "usearch": "#b2182b",
    "lancedb": "#999999",
}
BAR = 0.8


def draw(
    lines: list[Line],
    place: Path,
    peers: Sequence[str] = PEERS,
    labels: Mapping[str, str] = LABELS,
) -> str | None:
    """Write the plot; returns why there is none, or ``None``."""
    try:
        import matplotlib as mpl
    except ImportError:
        return "no plot: matplotlib is not installed"
    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Rectangle

    drawn = [line for line in lines if any(peer.ratio for peer in line.peers.values())]
    if not drawn:
        return "no plot: there is no ratio to draw"
    bars = [
        (line, [name for name in peers if name in line.peers and line.peers[name].ratio]) for line in drawn
    ]
    height = sum(len(names) for _, names in bars) * 0.15 + len(bars) * 0.1 + 1.2
    figure, axes = plt.subplots(figsize=(12, height))
    at, ticks = 0.0, []
    for line, names in bars:
        ticks.append(at + (len(names) - 1) / 2)
        for name in names:
            ratio = line.peers[name].ratio or 1.0
            axes.barh(at, ratio - 1, left=1, height=BAR, color=COLOURS[name])
            axes.annotate(
                f" {number(ratio)}x ",
                (ratio, at),
                ha="left" if ratio >= 1 else "right",
                va="center",
                fontsize=7,
            )
            at += 1
        at += 0.6
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.5) / 1.6, high * 1.8)
    axes.axvline(1, color="black", linewidth=0.8)
    names_of_figures = [
        f"{line.figure.title}: {quantity(line.value or 0.0, line.figure.unit)}" for line, _ in bars
    ]
    axes.set_yticks(ticks, names_of_figures, fontsize=8.5)
    axes.set_ylim(at - 0.6, -1)
    axes.set_xlabel(
        "how many times better sopasync is than the peer (logarithmic); left of 1x the peer is better"
    )
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.grid(axis="x", which="major", linewidth=0.3)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    used = [name for name in peers if any(name in names for _, names in bars)]
    handles = [Rectangle((0, 0), 1, 1, color=COLOURS[name]) for name in used]
    axes.legend(
        handles,
        [labels[name].replace("*", " (never syncs)") for name in used],
        loc="lower center",
        bbox_to_anchor=(0.4, 1.0),
        ncols=len(used),
        frameon=False,
        fontsize=9,
    )
    figure.tight_layout()
    figure.savefig(place, dpi=130)
    plt.close(figure)
    return None
