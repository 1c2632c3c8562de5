"""What the command line shows: a progress bar with a live rate, headings, tables. Progress goes to stderr."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TextIO

REDRAW_INTERVAL_S = 0.1
LINE_INTERVAL_S = 5.0
BAR_CELLS = 24
BAR_CELLS_NARROW = 12
WIDE_COLUMNS = 100


def is_interactive(stream: TextIO) -> bool:
    """Whether a person looks at the stream on a terminal that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def bold(text: str, stream: TextIO | None = None) -> str:
    """Return the text in bold where the stream shows it."""
    if not is_interactive(stream or sys.stdout) or "NO_COLOR" in os.environ:
        return text
    return f"\033[1m{text}\033[0m"


def marked(text: str, stream: TextIO | None = None) -> str:
    """Show what stands between the characters 0 and 1 so that it is seen at once, where the stream can."""
    plain = not is_interactive(stream or sys.stdout) or "NO_COLOR" in os.environ
    before, after = ("", "") if plain else ("\033[1;33m", "\033[0m")
    return text.replace("\0", before).replace("\1", after)


def seconds(value: float) -> str:
    """Write a duration the way a person says it: 41 us, 3.2 ms, 7.5 s, 2 min 5 s."""
    if value < 1e-3:
        return f"{value * 1e6:.1f} us"
    if value < 1.0:
        return f"{value * 1e3:.1f} ms"
    if value < 60.0:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def size(value: float) -> str:
    """Write a number of bytes with its unit: 512 B, 4.0 KiB, 1.5 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def table(rows: Sequence[Sequence[str]], *, heading: Sequence[str], right: Sequence[int] = ()) -> str:
    """Lay rows out in columns; the columns listed in `right` are aligned to the right."""
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
    rule = "  ".join("-" * width for width in widths)

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.rjust(widths[column]) if column in right else cell.ljust(widths[column])
            for column, cell in enumerate(row)
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([line(heading), rule, *(line(row) for row in rows)])


class Progress:
    """A progress bar with a live rate; a plain line every few seconds where nobody can see it move.

    Used as a context manager around the work; `advance` is cheap enough to call per item.
    """

    def __init__(
        self, label: str, total: float | None, unit: str, *, done: float = 0, quiet: bool = False
    ) -> None:
        self.label = label
        self.total = total
        self.unit = unit
        self.done = done
        self.note = ""
        self._started_with = done
        self._stream = sys.stderr
        self._redraws = is_interactive(self._stream)
        self._quiet = quiet
        self._began_s = time.perf_counter()
        self._shown_s = self._began_s if not self._redraws else 0.0
        self._ended_s: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended_s = time.perf_counter()
        self._show(last=True)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the work began; stands still after its end."""
        return (self._ended_s or time.perf_counter()) - self._began_s

    @property
    def rate(self) -> float:
        """Units done per second so far."""
        return (self.done - self._started_with) / max(self.elapsed_s, 1e-9)

    def advance(self, amount: float = 1) -> None:
        """Count work as done and redraw when it is time."""
        self.update(self.done + amount)

    def update(self, done: float) -> None:
        """Set the work done so far and redraw when it is time."""
        self.done = done
        interval_s = REDRAW_INTERVAL_S if self._redraws else LINE_INTERVAL_S
        now_s = time.perf_counter()
        if now_s - self._shown_s >= interval_s:
            self._shown_s = now_s
            self._show(last=False)

    def _show(self, *, last: bool) -> None:
        if self._quiet:
            return
        line = f"{self.label:<10} {self._bar()}{self._figures(last=last)}"
        if self._redraws:
            columns = shutil.get_terminal_size().columns
            self._stream.write(f"\r\033[2K{line[: columns - 1]}" + ("\n" if last else ""))
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def _bar(self) -> str:
        if not self.total:
            return ""
        share = min(self.done / self.total, 1.0)
        wide = shutil.get_terminal_size().columns >= WIDE_COLUMNS
        cells = BAR_CELLS if wide else BAR_CELLS_NARROW
        full = int(share * cells)
        return f"[{'#' * full}{'-' * (cells - full)}] {share:4.0%}  "

    def _figures(self, *, last: bool) -> str:
        if self.unit == "B":
            counted = size(self.done) + (f" of {size(self.total)}" if self.total else "")
            rate = f"{size(self.rate)}/s"
        else:
            counted = f"{self.done:,.0f}" + (f" of {self.total:,.0f}" if self.total else "") + f" {self.unit}"
            # Work that goes in large steps would stand at 0/s.
            rate = f"{self.rate:,.0f}/s" if self.rate >= 10 else f"{self.rate:,.1f}/s"
        parts = [counted, rate]
        if last:
            parts.append(f"in {seconds(self.elapsed_s)}")
        elif self.total and self.rate > 0:
            parts.append(f"{seconds(max(self.total - self.done, 0) / self.rate)} left")
        if self.note:
            parts.append(self.note)
        return "  ".join(parts)
