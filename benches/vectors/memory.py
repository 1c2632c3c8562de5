"""Memory of a process that takes in far more vectors than its cache holds, and builds their graph.

The figure is the highest anonymous memory above what the process had before it opened the store. Pages of mapped
files are not in it: the system drops those that are clean, and writes the others out, when memory is wanted elsewhere.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from benches.workloads.memory import MIB, resident

CACHE_BYTES = 16 * MIB
LOOK_SECONDS = 0.002


class Highest:
    """The highest anonymous memory while it is entered, again and again looked at by a thread."""

    def __init__(self) -> None:
        self._before = resident("RssAnon")
        self._highest = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.is_set():
            self._highest = max(self._highest, resident("RssAnon"))
            time.sleep(LOOK_SECONDS)

    def take(self) -> float:
        """MiB beyond the cache since the last call."""
        highest, self._highest = max(self._highest, resident("RssAnon")), 0
        return (highest - self._before - CACHE_BYTES) / MIB
