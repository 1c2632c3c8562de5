"""How a command says that it cannot go on, and the exit codes every command uses."""

from __future__ import annotations

DONE = 0
ANSWER_IS_NO = 1
"""The key is not there, nothing was found, damage was found, rows were rejected."""
USAGE = 2
FAILED = 3
INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot go on; the message is the one line its user sees."""
