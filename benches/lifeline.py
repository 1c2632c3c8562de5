"""Processes that measure end with the one that started them, however that ends: by itself, a signal or a time limit.

The parent holds one end of a pipe that it never writes to; nobody else has that end. When the other end says that it is
closed, the parent is gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

_VARIABLE = "BENCHES_LIFELINE"
_held: list[int] = []
"""Ends of pipes that are open as long as this process lives."""


def start(module: str, arguments: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Start ``python -m module`` in a session of its own; it has to call `watch`."""
    theirs, ours = os.pipe()
    _held.append(ours)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            start_new_session=True,
            pass_fds=[theirs],
            text=True,
            **{**options, "env": {**(options.get("env") or os.environ), _VARIABLE: str(theirs)}},
        )
    finally:
        os.close(theirs)


def watch() -> None:
    """End this process, and what it has started, when its parent is gone. Without a parent of that kind, do nothing."""
    descriptor = os.environ.pop(_VARIABLE, None)
    if descriptor is not None:
        threading.Thread(target=_wait, args=(int(descriptor),), name="lifeline", daemon=True).start()


def _wait(descriptor: int) -> None:
    os.set_inheritable(descriptor, False)
    os.read(descriptor, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)
