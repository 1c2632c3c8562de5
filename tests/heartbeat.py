"""How long the event loop is kept: what every test of that promise measures with.

Time is processor time of the loop's thread, because other processes of the machine take wall time that nobody here
can give back. A busy neighbour still makes the same instructions take longer, by its caches and its half of a core, so
a test repeats its work until enough rounds have kept the promise: such noise only ever adds, while a turn that is
too long is too long in every round.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskStatus

BLOCKED_MS_MAX = 5.0
GOOD_ROUNDS = 3
ROUNDS_MAX = 9


class Heartbeat:
    """Measures the longest time between two turns of the event loop that it is given.

    Where Python code on other threads is to get on, the loop's thread rests for `rest_s` after each of them; that takes
    no processor time.
    """

    def __init__(self, rest_s: float = 0.0) -> None:
        self.longest_ms = 0.0
        self._rest_s = rest_s
        self._going = True

    async def beat(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Ask for a turn again and again until `stop` is called."""
        before = time.thread_time()
        task_status.started()
        while self._going:
            await anyio.sleep(0)
            now = time.thread_time()
            self.longest_ms = max(self.longest_ms, (now - before) * 1000)
            before = now
            if self._rest_s:
                time.sleep(self._rest_s)

    def stop(self) -> None:
        """Let `beat` end."""
        self._going = False


async def longest_turn_ms(work: Callable[[int], Awaitable[None]], number: int, rest_s: float = 0.0) -> float:
    """Run `work(number)` with the garbage collector off, and say how long it kept the loop at most."""
    heart = Heartbeat(rest_s)
    gc.collect()
    gc.disable()
    try:
        async with anyio.create_task_group() as tasks:
            await tasks.start(heart.beat)
            await work(number)
            heart.stop()
    finally:
        gc.enable()
    return heart.longest_ms


async def assert_loop_stays_free(work: Callable[[int], Awaitable[None]], *, rest_s: float = 0.0) -> None:
    """Fail unless `GOOD_ROUNDS` of at most `ROUNDS_MAX` rounds of `work(round)` never kept the loop too long."""
    longest_ms: list[float] = []
    for number in range(ROUNDS_MAX):
        longest_ms.append(await longest_turn_ms(work, number, rest_s))
        if sum(one < BLOCKED_MS_MAX for one in longest_ms) == GOOD_ROUNDS:
            return
    rounds = ", ".join(f"{one:.1f}" for one in longest_ms)
    raise AssertionError(
        f"the event loop was kept longer than {BLOCKED_MS_MAX:g} ms; longest turns in ms: {rounds}"
    )
