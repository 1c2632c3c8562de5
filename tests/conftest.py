"""Fixtures every test may use: the three event loops sopasync supports, and a fresh database folder."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import sopasync
from sopasync import _core

BACKENDS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(
        ("asyncio", {"use_uvloop": True}),
        id="uvloop",
        marks=pytest.mark.skipif(sys.platform == "win32", reason="uvloop does not exist for Windows"),
    ),
    pytest.param(("trio", {}), id="trio"),
]


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The event loop a test marked `anyio` runs on: asyncio, asyncio on uvloop, and trio in turn."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    """A path for a database folder that does not exist yet."""
    return tmp_path / "database"


@pytest.fixture
async def db(db_path: Path, anyio_backend: tuple[str, dict[str, Any]]) -> AsyncIterator[sopasync.Database]:
    """A fresh open database, on each event loop in turn."""
    async with sopasync.Database(db_path) as database:
        yield database


@pytest.fixture
def engine(db_path: Path) -> Iterator[_core.Engine]:
    """The extension's own handle on a fresh database."""
    engine = _core.Engine.open(str(db_path))
    yield engine
    engine.close()
