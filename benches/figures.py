"""The figures sopasync is to reach, each against one metric of one workload."""

from __future__ import annotations

from dataclasses import dataclass

from .adapters import OURS, OURS_BULK, OURS_DIRECT

PEERS = ("lmdb", "sqlite", "aiosqlite", "rocksdb", "sop4py")


@dataclass(frozen=True)
class Figure:
    """A line of the table: what is measured, by which of our stores, against which peers."""

    title: str
    workload: str
    metric: str
    unit: str
    ours: str = OURS
    target: float | None = None
    more_is_better: bool = True
    peers: tuple[str, ...] = PEERS
    target_times: tuple[str, float] | None = None
    """A peer, and how many times faster than it."""
    compared: bool = True
    """Whether a ratio to the peers says anything."""

    def reached(self, value: float) -> bool | None:
        """Whether a value is as good as the target; ``None`` without one."""
        if self.target is None:
            return None
        return value >= self.target if self.more_is_better else value <= self.target


def _less(
    title: str,
    workload: str,
    metric: str,
    unit: str,
    target: float | None,
    ours: str = OURS,
    *,
    compared: bool = True,
    peers: tuple[str, ...] = PEERS,
) -> Figure:
    return Figure(
        title, workload, metric, unit, ours, target, more_is_better=False, compared=compared, peers=peers
    )


FIGURES = (
    Figure("durable 1-row commits, 1 client, await", "commits_1", "per_s", "/s"),
    Figure("durable 1-row commits, 1 client, direct", "commits_1", "per_s", "/s", OURS_DIRECT, 5_000),
    Figure("durable 1-row commits, 8 threads, await", "commits_8_threads", "per_s", "/s"),
    Figure(
        "durable 1-row commits, 8 threads, direct", "commits_8_threads", "per_s", "/s", OURS_DIRECT, 20_000
    ),
    Figure("durable 1-row commits, 64 tasks", "commits_64_tasks", "per_s", "/s"),
    Figure(
        "durable 10-put transactions, 64 tasks",
        "transactions_64_tasks",
        "per_s",
        "/s",
        target=15_000,
        target_times=("aiosqlite", 20.0),
    ),
    _less("commit p50, 64 tasks, 10 puts", "transactions_64_tasks", "p50_ms", "ms", None),
    _less("commit p99, 64 tasks, 10 puts", "transactions_64_tasks", "p99_ms", "ms", None),
    _less("point get, cached, direct", "reads", "get_us", "us", 1.3, OURS_DIRECT),
    _less("point get, cached, await", "reads", "get_us", "us", 2.0),
    Figure("scan by pages, values as bytes", "reads", "values_per_s", "/s", target=3e6),
    Figure("scan by pages, keys and values as bytes", "reads", "items_per_s", "/s", target=3e6),
    Figure("scan by pages, typed records", "records", "records_per_s", "/s", target=1e6),
    Figure("load, random order, one transaction", "load_random", "rows_per_s", "rows/s", target=350_000),
    Figure("load, random order, bulk_load", "load_random", "rows_per_s", "rows/s", OURS_BULK, 350_000),
    Figure("load, key order, one transaction", "load_sorted", "rows_per_s", "rows/s"),
    Figure("load, key order, bulk_load", "load_sorted", "rows_per_s", "rows/s", OURS_BULK, 1e6),
    Figure("load, random order, commits of 1000 rows", "load_commits", "rows_per_s", "rows/s"),
    _less("page file after a load in one transaction", "load_random", "space", "x raw", 1.5),
    _less("page file after loads in commits of 1000", "load_commits", "space", "x raw", 1.5),
    _less("whole folder after a load, log included", "load_random", "space_with_log", "x raw", None),
    Figure("log replay", "reopen", "replayed_per_s", "rows/s", target=500_000, peers=("sqlite", "rocksdb")),
    _less("open after a crash", "reopen", "open_ms", "ms", None),
    _less(
        "commit p99 during a checkpoint, times outside", "checkpoint", "p99_ratio", "x", 2.0, compared=False
    ),
    _less("commit p99 during a checkpoint", "checkpoint", "during_p99_ms", "ms", None),
    Figure(
        "join, one to one, columns", "relations", "one_to_one_per_s", "rows/s", target=1e6, compared=False
    ),
    Figure(
        "join, many to one, columns", "relations", "many_to_one_per_s", "rows/s", target=1e6, compared=False
    ),
    Figure(
        "join, one to many, columns", "relations", "one_to_many_per_s", "rows/s", target=1e6, compared=False
    ),
    Figure(
        "join, through a link store, columns",
        "relations",
        "many_to_many_per_s",
        "rows/s",
        target=1e6,
        compared=False,
    ),
    Figure(
        "join, one to one, items", "relations", "one_to_one_rows_per_s", "rows/s", target=1e6, compared=False
    ),
    Figure(
        "join, many to one, items",
        "relations",
        "many_to_one_rows_per_s",
        "rows/s",
        target=1e6,
        compared=False,
    ),
    Figure(
        "join, one to many, items",
        "relations",
        "one_to_many_rows_per_s",
        "rows/s",
        target=1e6,
        compared=False,
    ),
    Figure(
        "join, through a link store, items",
        "relations",
        "many_to_many_rows_per_s",
        "rows/s",
        target=1e6,
        compared=False,
    ),
    _less("put with one index, times one without", "relations", "index_put_times", "x", None, compared=False),
    _less(
        "memory beyond the cache, data several times it",
        "memory",
        "over_cache_mib",
        "MiB",
        64.0,
        compared=False,
    ),
    _less("weights, 100 MB, saved", "weights", "save_ms", "ms", None, compared=False),
    _less("the same, times safetensors and fsync", "weights", "save_ratio", "x", 1.3, compared=False),
    _less("weights loaded, verified before", "weights", "load_ms", "ms", 10.0, compared=False),
    _less("weights loaded, first since opening", "weights", "load_first_ms", "ms", None, compared=False),
    _less("weights loaded by safetensors", "weights", "peer_load_ms", "ms", None, compared=False),
    _less("blob written, times a plain file", "blobs", "write_ratio", "x", 1.15, compared=False),
    _less("blob read as bytes, first, times a plain file", "blobs", "read_ratio", "x", 1.15, compared=False),
    _less("blob read from the disk, times a plain file", "blobs", "cold_ratio", "x", 1.15, compared=False),
    _less("blob read as bytes again", "blobs", "read_again_ratio", "x", None, compared=False),
    _less("blob read as views", "blobs", "view_ratio", "x", None, compared=False),
    _less("memory of a long blob, written and read", "blobs", "memory_mib", "MiB", 64.0, compared=False),
    _less("commits with a reader of changes, slower by", "feed", "slower_percent", "%", 10.0, compared=False),
)
