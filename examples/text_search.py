"""Text search: the standard library's docstrings, searched by words in the transaction that added them, and after."""

from __future__ import annotations

import ast
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio

import sopasync
from sopasync import Query, SearchConfig, SearchDocument

MODULES = ("asyncio", "collections", "concurrent", "email", "http", "json", "logging", "sqlite3", "unittest")


def docstrings() -> Iterator[SearchDocument]:
    """Name, docstring and module of every documented function and class of some packages."""
    library = Path(sysconfig.get_path("stdlib"))
    for package in MODULES:
        for path in sorted((library / package).rglob("*.py")):
            module = ".".join(path.relative_to(library).with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    text = ast.get_docstring(node)
                    if text:
                        yield SearchDocument(
                            f"{module}.{node.name}:{node.lineno}",
                            {"name": node.name, "text": text},
                            {"package": package, "lines": text.count("\n") + 1},
                        )


async def main(folder: Path) -> None:
    """Index, search, change, search again."""
    # Occurrences in a name count three times as much; English words are found by their stems.
    config = SearchConfig(fields={"name": 3.0, "text": 1.0}, language="english")
    async with sopasync.Database(folder / "library") as db:
        async with db.begin_transaction() as tx:
            library = await tx.open_search("docstrings", config)
            await library.add_many(docstrings())
            print(f"Indexed {await library.count()} docstrings in one transaction.")
            # Seen here before the commit, and by everybody after it.
            assert await library.search("coroutine")

        async with db.begin_transaction(sopasync.TransactionMode.FOR_READING) as tx:
            library = await tx.open_search("docstrings")
            for hit in await library.search('"event loop" +runs -thread', limit=3, highlight=True):
                piece = hit.highlights["text"][0].marked("[", "]", escape=str).split("\n")[0]
                print(f"{hit.score:6.2f}  {hit.doc_id}  {piece}")

            # The same from expressions, with a condition on the payload.
            query = Query.prefix("serializ") & ~Query.term("json", field="name")
            short = await library.search(query, filter={"package": "json", "lines": {"$lte": 30}})
            assert all(hit.payload["package"] == "json" for hit in short)

            assert await library.search("xylophone") == []  # nothing found is an empty list

        async with db.begin_transaction() as tx:
            library = await tx.open_search("docstrings")
            await library.add("mine", {"name": "xylophone", "text": "Plays a tune."})
            await library.add("mine", {"name": "marimba", "text": "Plays a tune."})  # replaces it
            assert await library.search("xylophone") == []
            (hit,) = await library.search("marimba~1")
            print(f"Found: {hit.DocID}")
            await library.delete("mine")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
