"""The table of text search: for the terminal, and as Markdown for the documentation."""

from __future__ import annotations

from .engines import LABELS, OURS
from .queries import TITLES

Results = dict[str, dict[str, dict[str, float]]]
"""By corpus, engine and metric: medians over rounds."""

ROWS = [
    ("index_per_s", "texts indexed per second, one transaction", 1.0, "/s", True),
    ("index_cpu_us", "processor time per text indexed", 1.0, "us", False),
    ("bytes", "index on disk", 1 / 2**20, "MiB", False),
    *((f"{kind}_us", f"{title}, ten best", 1.0, "us", False) for kind, title in TITLES.items()),
    ("visible_us", "one text committed and found", 1.0, "us", False),
]


def _table(found: dict[str, dict[str, float]]) -> tuple[list[str], list[list[str]]]:
    engines = [name for name in LABELS if found.get(name)]
    rows = []
    for metric, title, factor, unit, more in ROWS:
        ours = found.get(OURS, {}).get(metric)
        cells = [title]
        for name in engines:
            value = found[name].get(metric)
            cells.append("-" if value is None else _cell(value * factor, unit))
            if name != OURS and value and ours:
                cells[-1] += f" ({ours / value if more else value / ours:.2g}x)"
        rows.append(cells)
    return ["", *(LABELS[name] for name in engines)], rows


def _cell(value: float, unit: str) -> str:
    number = f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
    return f"{number}{'' if unit == '/s' else ' '}{unit}"


def terminal(results: Results) -> str:
    """Aligned columns."""
    parts = []
    for corpus, found in results.items():
        header, rows = _table(found)
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in [header, *rows]
        ]
        parts.append("\n".join([f"\n{corpus} (in brackets: how many times better sopasync is)", *lines]))
    return "\n".join(parts)


def markdown(results: Results) -> str:
    """The same for the documentation."""
    parts = []
    for corpus, found in results.items():
        header, rows = _table(found)
        lines = [header, ["---"] * len(header), *rows]
        parts.append(
            f"**{corpus}**\n\n" + "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
        )
    return "\n".join(parts)
