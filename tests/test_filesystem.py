"""A blob store as an fsspec filesystem: fsspec's own tests, and what they leave out."""

from __future__ import annotations

import errno
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.tests import abstract

import sopasync
from sopasync.filesystem import BlobFileSystem


@pytest.fixture
def blob_fs(tmp_path: Path) -> Iterator[BlobFileSystem]:
    """A file system over a new database."""
    fs = BlobFileSystem(tmp_path / "database", "files", skip_instance_cache=True)
    yield fs
    fs.close()


class BlobFixtures(abstract.AbstractFixtures):  # type: ignore[misc]
    """What fsspec's tests need to know of the file system."""

    @pytest.fixture
    def fs(self, blob_fs: BlobFileSystem) -> BlobFileSystem:
        """The file system under test."""
        return blob_fs

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        """How paths are joined."""
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def fs_path(self) -> str:
        """A folder to work in."""
        return "work"

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        """Folders are there as long as a blob lies in them."""
        return False


class TestCopy(abstract.AbstractCopyTests, BlobFixtures):  # type: ignore[misc]
    """fsspec's tests of copying."""


class TestGet(abstract.AbstractGetTests, BlobFixtures):  # type: ignore[misc]
    """fsspec's tests of getting."""


class TestPut(abstract.AbstractPutTests, BlobFixtures):  # type: ignore[misc]
    """fsspec's tests of putting."""


class TestOpen(abstract.AbstractOpenTests, BlobFixtures):  # type: ignore[misc]
    """fsspec's tests of opening."""


class TestPipe(abstract.AbstractPipeTests, BlobFixtures):  # type: ignore[misc]
    """fsspec's tests of piping."""


def test_files_and_folders_are_listed(blob_fs: BlobFileSystem) -> None:
    assert blob_fs.ls("") == []
    assert not blob_fs.exists("a")
    for name in ("a/b/c", "a/b/d", "a/e", "f", "a.txt"):
        blob_fs.pipe_file(name, name.encode())
    assert [entry["name"] for entry in blob_fs.ls("")] == ["a", "a.txt", "f"]
    assert blob_fs.ls("a", detail=False) == ["a/b", "a/e"]
    assert blob_fs.find("a") == ["a/b/c", "a/b/d", "a/e"]
    assert blob_fs.glob("a/*/d") == ["a/b/d"]
    assert blob_fs.isdir("a/b")
    assert blob_fs.isfile("a/b/c")
    assert blob_fs.info("a/e")["size"] == 3
    assert blob_fs.created("a/e") <= blob_fs.modified("a/e")
    blob_fs.rm("a", recursive=True)
    assert blob_fs.find("") == ["a.txt", "f"]
    blob_fs.mv("f", "g")
    assert blob_fs.cat("g") == b"f"
    for call in (blob_fs.info, blob_fs.cat, blob_fs.rm_file, blob_fs.ls):
        with pytest.raises(FileNotFoundError):
            call("nothing")


def test_a_file_shows_when_it_is_closed_and_not_at_all_when_it_is_discarded(blob_fs: BlobFileSystem) -> None:
    with blob_fs.open("a", "wb", block_size=1000) as file:
        for _ in range(10):
            file.write(b"x" * 999)
        assert not blob_fs.exists("a")
    assert blob_fs.info("a")["size"] == 9990
    with blob_fs.open("a", "ab") as file:
        file.write(b"more")
    assert blob_fs.cat("a") == b"x" * 9990 + b"more"
    file = blob_fs.open("b", "wb", autocommit=False)
    file.write(b"never")
    file.close()
    assert not blob_fs.exists("b")
    file.discard()
    file = blob_fs.open("b", "wb", autocommit=False)
    file.write(b"now")
    file.close()
    file.commit()
    assert blob_fs.cat("b") == b"now"
    with pytest.raises(FileExistsError):
        blob_fs.open("b", "xb")
    with pytest.raises(sopasync.InvalidArgumentError):
        blob_fs.open("b", "r+b")


def test_an_open_file_that_is_replaced_is_told_and_never_mixed(blob_fs: BlobFileSystem) -> None:
    blob_fs.pipe_file("a", b"1" * 100_000)
    with blob_fs.open("a", "rb", block_size=1000) as file:
        assert file.read(10) == b"1" * 10
        blob_fs.pipe_file("a", b"2" * 100_000)
        with pytest.raises(OSError, match="written again") as caught:
            file.seek(90_000)
            file.read(100)
        assert caught.value.errno == errno.ESTALE


def test_two_writers_of_one_file_do_not_both_succeed(blob_fs: BlobFileSystem) -> None:
    first, second = (blob_fs.open("a", "wb", block_size=10) for _ in range(2))
    first.write(b"first" * 10)
    second.write(b"second" * 10)
    first.close()
    with pytest.raises(sopasync.ConflictError):
        second.close()
    assert blob_fs.cat("a") == b"first" * 10


def test_arrow_reads_and_writes_by_url(tmp_path: Path) -> None:
    options: dict[str, Any] = {"database": str(tmp_path / "database"), "store": "tables"}
    table = pa.table({"n": list(range(1000)), "t": [str(n) for n in range(1000)]})
    with fsspec.open("sopasync://reports/a.parquet", "wb", **options) as file:
        pq.write_table(table, file)
    fs = fsspec.filesystem("sopasync", **options)
    assert pq.read_table("reports/a.parquet", filesystem=fs).equals(table)
    fs.close()


def test_a_forgotten_file_system_closes_its_database(tmp_path: Path) -> None:
    fs = BlobFileSystem(tmp_path / "database", "files", skip_instance_cache=True)
    fs.pipe_file("a", b"x")
    del fs
    gc.collect()
    again = BlobFileSystem(tmp_path / "database", "files", read_only=True, skip_instance_cache=True)
    assert again.cat("a") == b"x"
    with pytest.raises(sopasync.ReadOnlyError):
        again.pipe_file("b", b"x")
    again.close()
