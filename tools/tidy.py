"""Check what no linter knows: long files, words that must not stay, paths of one machine, package indexes.

Also that the tests named in the documentation exist.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES_MAX = 500
SOURCES = {".rs", ".py", ".pyi"}
TEXTS = SOURCES | {".md", ".toml", ".yml", ".txt", ".sh"}
TEXTS_WITHOUT_SUFFIX = {"Makefile", "run"}

# The words are put together here so that this file does not find itself.
LEFTOVERS = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b")
UNFINISHED = re.compile(r"\b(?:todo|unimplemented|dbg)!\(")
MACHINE = re.compile(r"(?<![\w.])/(?:ro" + r"ot|ho" + r"me|wo" + r"rk|Us" + r"ers)/\w")
TEST_FILE = re.compile(r"`((?:tests|rust/core/tests)/[\w/.-]+)`")
PACKAGE_INDEX = re.compile(r"index-url|find-links|https?://")


def tracked() -> list[Path]:
    """Return the files git knows, relative to the root of the project."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [Path(name) for name in listing.stdout.split("\0") if name]


def complaints(name: Path, text: str) -> list[str]:
    """Say what is wrong with one file."""
    found: list[str] = []
    lines = text.splitlines()
    if name.suffix in SOURCES and len(lines) > FILE_LINES_MAX:
        found.append(f"{name}: {len(lines)} lines; at most {FILE_LINES_MAX}: is it still one thing?")
    for number, line in enumerate(lines, start=1):
        if LEFTOVERS.search(line) or UNFINISHED.search(line):
            found.append(f"{name}:{number}: a left-over: {line.strip()}")
        if MACHINE.search(line):
            found.append(f"{name}:{number}: a path of one machine: {line.strip()}")
        if name.suffix == ".md":
            missing = [path for path in TEST_FILE.findall(line) if not (ROOT / path).exists()]
            found += [f"{name}:{number}: there is no {path}" for path in missing]
        if name.parts[0] == "requirements" and PACKAGE_INDEX.search(line):
            found.append(f"{name}:{number}: a package index by name: {line.strip()}")
    return found


def main() -> int:
    """Print every complaint; fail when there is one."""
    found: list[str] = []
    for name in tracked():
        is_text = name.suffix in TEXTS or name.name in TEXTS_WITHOUT_SUFFIX
        if is_text and (ROOT / name).is_file():
            found += complaints(name, (ROOT / name).read_text(encoding="utf-8"))
    print("\n".join(found) if found else "tidy: nothing to complain about")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
