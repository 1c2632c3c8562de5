"""The texts: WordNet's glosses from Debian's package, and the standard library's docstrings."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

PLACES = (Path("/usr/share/wordnet"),)
FILES = ("data.noun", "data.verb", "data.adj", "data.adv")


def texts(name: str, cache: Path, folder: Path | None = None) -> list[str]:
    """The texts of that name: ``glosses`` or ``docstrings``."""
    return docstrings() if name == "docstrings" else glosses(cache, folder)


def glosses(cache: Path, folder: Path | None = None) -> list[str]:
    """A definition with its examples for each of WordNet's 117,659 meanings; fetched once, when not installed."""
    for place in (folder, *PLACES, cache / "usr" / "share" / "wordnet"):
        if place is not None and (place / FILES[0]).exists():
            return _read(place)
    return _read(_fetch(cache))


def _read(folder: Path) -> list[str]:
    found: list[str] = []
    for name in FILES:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        found += [line.partition(" | ")[2].strip() for line in lines if not line.startswith("  ")]
    return found


def _fetch(cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    remedy = (
        "install the Debian package wordnet-base, or give the folder of WordNet's data files with --wordnet"
    )
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise SystemExit(f"WordNet is not installed, and there is no apt-get to fetch it with: {remedy}")
    try:
        subprocess.run(
            ["apt-get", "-q", "download", "wordnet-base"], cwd=cache, check=True, stdout=sys.stderr
        )
        package = next(cache.glob("wordnet-base_*.deb"))
        subprocess.run(["dpkg-deb", "-x", package, cache], check=True)
    except (subprocess.CalledProcessError, StopIteration) as error:
        raise SystemExit(
            f"WordNet is not installed, and apt-get could not fetch it ({error}): {remedy}"
        ) from error
    return cache / "usr" / "share" / "wordnet"


def docstrings() -> list[str]:
    """Every docstring of the standard library's modules, classes and functions."""
    found: list[str] = []
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if {"site-packages", "test", "tests", "idlelib"} & set(path.parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        nodes = (node for node in ast.walk(tree) if isinstance(node, kinds))
        found += [text for text in map(ast.get_docstring, nodes) if text]
    return found
