"""The demonstration's input: every module, class and function of the standard library, read from its sources."""

from __future__ import annotations

import ast
import os
import sysconfig
import tokenize
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec

MODULES_PER_JOB = 24
DOCSTRING_CHARS_MAX = 4_000


class Definition(msgspec.Struct, frozen=True):
    """One class, function, method or the module itself."""

    module: str
    kind: str
    """`module`, `class`, `function` or `method`."""
    qualified_name: str
    """The dotted path inside the module, with `~2`, `~3` where a name is defined again."""
    name: str
    signature: str
    docstring: str
    file: str
    line: int


class Module(msgspec.Struct, frozen=True):
    """What one source file holds."""

    name: str
    file: str
    lines: int
    definitions: list[Definition]
    imports: list[str]
    """Dotted names of the modules it imports, each once, in order."""


def standard_library(on_modules: Callable[[int, int], None], limit: int | None = None) -> list[Module]:
    """Parse the sources of the running interpreter's standard library in parallel processes.

    `on_modules(done, total)` is called as results arrive. Files that are no valid Python (the standard
    library has some, as test data) are left out.
    """
    files = sorted(_source_files())[:limit]
    jobs = [files[start : start + MODULES_PER_JOB] for start in range(0, len(files), MODULES_PER_JOB)]
    modules: list[Module] = []
    done = 0
    with ProcessPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for job, packed in zip(jobs, pool.map(_parse_files, jobs), strict=True):
            modules += msgspec.msgpack.decode(packed, type=list[Module])
            done += len(job)
            on_modules(done, len(files))
    return modules


def _source_files() -> Iterator[tuple[str, str]]:
    root = Path(sysconfig.get_path("stdlib"))
    for path in root.rglob("*.py"):
        relative = path.relative_to(root)
        if "site-packages" not in relative.parts and "dist-packages" not in relative.parts:
            yield str(relative), str(path)


def _parse_files(files: list[tuple[str, str]]) -> bytes:
    # Packed, because pickling the objects between processes costs more than parsing saves.
    modules = [module for relative, path in files if (module := parse_module(relative, path)) is not None]
    return msgspec.msgpack.encode(modules)


def parse_module(relative: str, path: str) -> Module | None:
    """Read one source file; None when it is no valid Python."""
    try:
        with tokenize.open(path) as source:
            text = source.read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, UnicodeDecodeError, RecursionError):
        return None
    parts = list(Path(relative).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    name = ".".join(parts) or "__init__"
    reader = _DefinitionReader(name, relative, is_package=relative.endswith("__init__.py"))
    reader.read_module(tree)
    return Module(name, relative, text.count("\n") + 1, reader.definitions, list(reader.imports))


class _DefinitionReader(ast.NodeVisitor):
    """Collects the definitions and imports of one module."""

    def __init__(self, module: str, file: str, *, is_package: bool) -> None:
        self.module = module
        self.file = file
        self.package = module if is_package else module.rpartition(".")[0]
        self.definitions: list[Definition] = []
        self.imports: dict[str, None] = {}
        self.path: list[tuple[str, str]] = []
        self.times_seen: dict[tuple[str, str], int] = {}

    def read_module(self, tree: ast.Module) -> None:
        self._add("module", self.module.rpartition(".")[2], "", tree, 1, self.module)
        self.visit(tree)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        bases = ", ".join(ast.unparse(base) for base in [*node.bases, *(k.value for k in node.keywords)])
        self._add("class", node.name, f"({bases})" if bases else "", node, node.lineno)
        self._descend("class", node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.imports[alias.name] = None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        origin = node.module or ""
        if node.level:
            parents = self.package.split(".")
            kept = parents[: len(parents) - node.level + 1]
            origin = ".".join([*kept, origin] if origin else kept)
        if origin:
            self.imports[origin] = None

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        kind = "method" if self.path and self.path[-1][0] == "class" else "function"
        result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        self._add(kind, node.name, f"({ast.unparse(node.args)}){result}", node, node.lineno)
        self._descend("function", node)

    def _descend(self, kind: str, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.path.append((kind, node.name))
        self.generic_visit(node)
        self.path.pop()

    def _add(
        self,
        kind: str,
        name: str,
        signature: str,
        node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
        line: int,
        qualified_name: str | None = None,
    ) -> None:
        path = qualified_name or ".".join([*(part for _, part in self.path), name])
        seen = self.times_seen[kind, path] = self.times_seen.get((kind, path), 0) + 1
        self.definitions.append(
            Definition(
                module=self.module,
                kind=kind,
                qualified_name=path if seen == 1 else f"{path}~{seen}",
                name=name,
                signature=signature,
                docstring=(ast.get_docstring(node) or "")[:DOCSTRING_CHARS_MAX],
                file=self.file,
                line=line,
            )
        )
