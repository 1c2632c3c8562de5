"""A process of our own that is killed with SIGKILL while it works, and what it had said until then."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sopasync._cli.failure import CommandError

STARTUP_SECONDS_MAX = 60.0

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Linear algebra on small matrices takes many times as long when its threads wait for one another on a busy machine."""


@dataclass
class Killed:
    """One kill, as the killer saw it."""

    lines: list[bytes]
    """Every line the process wrote. The last one may lack its end: then it says nothing."""
    after_s: float
    """From the line that was waited for to the kill."""


def kill(module: str, arguments: Sequence[str], awaited: Callable[[bytes], bool], delay_s: float) -> Killed:
    """Run a module as a process, wait for a line of its output and then `delay_s`, and kill it.

    Raises:
        CommandError: It failed by itself, or never wrote such a line.
    """
    lines: list[bytes] = []
    with tempfile.TemporaryFile() as complaints:
        command = [sys.executable, "-m", module, *arguments]
        environment = os.environ | ONE_THREAD
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, env=environment) as victim:
            reached = threading.Event()
            reader = threading.Thread(target=_read, args=(victim, lines, awaited, reached))
            reader.start()
            reached.wait(STARTUP_SECONDS_MAX)
            began_s = time.perf_counter()
            time.sleep(delay_s)
            victim.kill()
            after_s = time.perf_counter() - began_s
            reader.join()
        complaints.seek(0)
        complaint = complaints.read().decode(errors="replace").strip().splitlines()
    if complaint or not any(awaited(line) for line in lines):
        what = module.rpartition(".")[2]
        raise CommandError(
            f"the {what} process failed by itself: {complaint[-1] if complaint else 'no output'}"
        )
    return Killed(lines, after_s)


def _read(
    victim: subprocess.Popen[bytes],
    lines: list[bytes],
    awaited: Callable[[bytes], bool],
    reached: threading.Event,
) -> None:
    assert victim.stdout is not None
    for line in victim.stdout:
        lines.append(line)
        if awaited(line):
            reached.set()
    reached.set()
