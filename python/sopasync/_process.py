"""What belongs to the process and not to one handle: fork detection, and engines still open at exit."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._core import Engine


class _Process:
    """The current process, and the engines it has open.

    ``generation`` grows in a child after ``fork()``. A handle remembers the generation it was opened
    in: the engine's threads and the file lock stayed with the parent, so another generation must
    not use it, not even to close it.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._open: set[Engine] = set()
        self._lock = threading.Lock()
        self._inherited: list[Engine] = []

    def opened(self, engine: Engine) -> None:
        """Remember an engine, so that it is closed when the interpreter exits."""
        with self._lock:
            self._open.add(engine)

    def close(self, engine: Engine) -> None:
        """Close an engine, once. Blocks."""
        with self._lock:
            if engine not in self._open:
                return
            self._open.discard(engine)
        engine.close()

    def abandon(self, engine: Engine) -> None:
        """Close an engine whose handle was lost, without keeping the garbage collector waiting."""
        # While the interpreter exits no thread starts any more; `close_all` has closed everything then.
        if engine in self._open and not sys.is_finalizing():
            threading.Thread(target=self.close, args=(engine,), name="sopasync-close").start()

    def close_all(self) -> None:
        """Close what is still open when the interpreter exits."""
        for engine in list(self._open):
            # Nobody is left to be told, and every acknowledged commit is in the log already.
            with contextlib.suppress(Exception):
                self.close(engine)

    def forked(self) -> None:
        """Runs in the child."""
        self.generation += 1
        self._lock = threading.Lock()
        # Kept for ever: dropping the last reference would join threads that are not here.
        self._inherited.extend(self._open)
        self._open = set()


process = _Process()
atexit.register(process.close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process.forked)
