"""Where the measurements were made: machine, versions, and how long the disk takes to sync."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from time import perf_counter

from .spread import percentile

SYNCS = 200
SYNC_BYTES = 4096
PACKAGES = ("sopasync", "lmdb", "apsw", "aiosqlite", "rocksdict", "sop4py", "msgspec", "anyio")
IN_MEMORY = {"tmpfs", "ramfs"}


def describe(folder: Path, packages: Iterable[str] = PACKAGES) -> dict[str, object]:
    """Everything a reader needs to judge the figures."""
    return {
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "processors": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "file_system": file_system(folder),
        "fdatasync_us": round(sync_microseconds(folder)),
        "packages": dict(_versions(packages)),
    }


def file_system(folder: Path) -> str:
    """Type of the file system a folder lies on."""
    best, kind = "", "unknown"
    path = str(folder.resolve()) + "/"
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, mount, found, *_ = line.split()
        if path.startswith(mount.rstrip("/") + "/") and len(mount) >= len(best):
            best, kind = mount, found
    return kind


def sync_microseconds(folder: Path) -> float:
    """Median time to write 4 KiB over written ones and sync them."""
    place = folder / "sync-probe"
    samples: list[float] = []
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT)
    try:
        os.pwrite(descriptor, bytes(SYNCS * SYNC_BYTES), 0)
        os.fsync(descriptor)
        for turn in range(SYNCS):
            begun = perf_counter()
            os.pwrite(descriptor, os.urandom(SYNC_BYTES), turn * SYNC_BYTES)
            os.fdatasync(descriptor)
            samples.append((perf_counter() - begun) * 1e6)
    finally:
        os.close(descriptor)
        place.unlink()
    return percentile(samples, 50)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _versions(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed"
