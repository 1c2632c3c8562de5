"""Real texts that every machine has: sentences of the documentation in the standard library's sources."""

from __future__ import annotations

import ast
import re
import sysconfig
from pathlib import Path

_ENDS = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_CHARACTERS = range(30, 301)


def sentences(count: int) -> list[str]:
    """The first so many distinct sentences, always the same on one Python."""
    found: dict[str, None] = {}
    for place in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        if "site-packages" in place.parts:
            continue
        for text in _documentation(place):
            for part in _ENDS.split(text):
                sentence = " ".join(part.split())
                if len(sentence) in _CHARACTERS:
                    found[sentence] = None
        if len(found) >= count:
            break
    return list(found)[:count]


def _documentation(place: Path) -> list[str]:
    try:
        tree = ast.parse(place.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return []  # tests of the compiler are no Python, some are not UTF-8
    nodes = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return [text for node in nodes if (text := ast.get_docstring(node))]
