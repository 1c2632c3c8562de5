"""The program itself: parses the command line, runs one command, turns every failure into one line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import cast

import sopasync
from sopasync._cli import backup, check, get, inspect, query, scan, stats
from sopasync._cli import demo as demonstration
from sopasync._cli import ingest as ingestion
from sopasync._cli.failure import DONE, FAILED, INTERRUPTED, CommandError
from sopasync._exceptions import DatabaseLockedError, SopasyncError

DESCRIPTION = """\
A durable, transactional store in a folder. Every command names the folder with --db (default:
$SOPASYNC_DB, else ./sopasync-data); commands that only read also work while another process owns it."""

EPILOG = """\
first steps:
  sopasync demo                                         see it work, on your own Python's sources
  sopasync ingest users.jsonl --store users --key id    load a file; run it again to go on after Ctrl-C
  sopasync get users 42                                 one value, as JSON
  sopasync scan users --limit 10                        the first ten, one JSON line each
  sopasync query "open a file" --db sopasync-demo       texts of the demo by words, by meaning, and by both

keys on the command line:
  A KEY is read as JSON where it is valid JSON, else as text: 42 is a number, '"42"' and abc are text,
  '["eu", 7]' is a tuple, '{"region": "eu"}' a record key.

exit codes:
  0 done    1 the answer is no (not there, not found, damage, rows rejected)    2 wrong command line
  3 failed, with one line that says why    130 interrupted"""

COMMANDS = (demonstration, ingestion, query, get, scan, inspect, check, backup, stats)


def parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command line."""
    main_parser = argparse.ArgumentParser(
        prog="sopasync",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main_parser.add_argument("--version", action="version", version=f"sopasync {sopasync.__version__}")
    commands = main_parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return main_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parsed = parser().parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("sopasync: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): not an error, but flushing at exit would be one.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        return _failed(error)
    return code


def _failed(error: Exception) -> int:
    """Say in one line what went wrong; what nobody foresaw keeps its traceback behind SOPASYNC_TRACEBACK=1."""
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    if os.environ.get("SOPASYNC_TRACEBACK") == "1":
        raise error
    message = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, CommandError | SopasyncError | OSError):
        message = f"{type(error).__name__}: {message} (SOPASYNC_TRACEBACK=1 shows where)"
    if isinstance(error, DatabaseLockedError) and "read-only" not in message:
        message += " (get, scan, inspect and stats work meanwhile)"
    print(f"sopasync: {message}", file=sys.stderr)
    return FAILED
