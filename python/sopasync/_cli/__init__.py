"""The command line: `sopasync COMMAND` or `python -m sopasync COMMAND`; one file or folder per command."""

from __future__ import annotations

from sopasync._cli.program import main

__all__ = ("main",)
