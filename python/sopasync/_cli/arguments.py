"""Arguments that several commands share: the database, the store, keys."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec

from sopasync._cli.failure import CommandError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage]

DEFAULT_DATABASE = "sopasync-data"


def command(
    commands: Subparsers, name: str, *, summary: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """Add a command whose help teaches: what it does, then examples to copy."""
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_database(parser: argparse.ArgumentParser) -> None:
    """Add `--db`."""
    default = os.environ.get("SOPASYNC_DB") or DEFAULT_DATABASE
    parser.add_argument(
        "--db",
        "--database",
        type=Path,
        default=Path(default),
        metavar="FOLDER",
        help="the database (default: $SOPASYNC_DB, else ./sopasync-data; now %(default)s)",
    )


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the name of a store as the first argument."""
    parser.add_argument("store", metavar="STORE", help="name of the store")


def add_key_type(parser: argparse.ArgumentParser) -> None:
    """Add `--as`."""
    parser.add_argument(
        "--as",
        dest="key_type",
        choices=sorted(READERS),
        default="json",
        help="how to read keys on the command line: json (the default) takes what is valid JSON as such, "
        "a list as a tuple, and anything else as text",
    )


def key(text: str, key_type: str) -> Any:
    """Read a key from the command line."""
    try:
        return READERS[key_type](text)
    except (ValueError, ArithmeticError) as error:
        raise CommandError(f"{text!r} is no key of type {key_type}: {error}") from None


def _json_or_text(text: str) -> Any:
    try:
        return _with_tuples(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text


def _with_tuples(value: Any) -> Any:
    return tuple(map(_with_tuples, cast("list[Any]", value))) if isinstance(value, list) else value


READERS: dict[str, Callable[[str], Any]] = {
    "json": _json_or_text,
    "text": str,
    "int": int,
    "float": float,
    "uuid": UUID,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "hex": bytes.fromhex,
}
