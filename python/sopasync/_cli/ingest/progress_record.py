"""How far a file has been ingested, stored in the same commit as its rows."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from sopasync._cli.failure import CommandError
from sopasync._cli.ingest.rows import START, Position

STORE = "sopasync.ingested"
FINGERPRINT_BYTES_MAX = 64 * 1024


class IngestRecord(msgspec.Struct):
    """How far one file has been ingested into one store."""

    offset: int = 0
    line: int = 0
    accepted: int = 0
    rejected: int = 0
    report_bytes: int = 0
    """Length of the report of rejected rows at this point; what lies behind it is written again."""
    fingerprint: str = ""
    """Hash of the beginning of the file, to notice when another file has taken its name."""
    fingerprint_bytes: int = 0

    @property
    def position(self) -> Position:
        """Where to go on."""
        return Position(self.offset, self.line)

    def check(self, path: Path) -> None:
        """Refuse to go on in a file that is not the one this record is about."""
        if self.position != START and fingerprint(path, self.fingerprint_bytes) != self.fingerprint:
            raise CommandError(
                f"{path} is not the file that was ingested under this name before "
                f"({self.accepted + self.rejected:,} rows of it); use --restart to ingest it from its beginning"
            )


def fingerprint(path: Path, length: int) -> str:
    """Hash the first `length` bytes of a file."""
    with path.open("rb") as file:
        return hashlib.blake2b(file.read(length), digest_size=16).hexdigest()
