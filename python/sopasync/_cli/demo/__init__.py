"""`sopasync demo`: the store at work on the sources of the standard library."""

from __future__ import annotations

from sopasync._cli.demo.command import add_to

__all__ = ("add_to",)
