"""The workloads, by name. Each is a function of a job, run in a process of its own, that returns its metrics."""

from __future__ import annotations

from collections.abc import Callable

from benches.job import Job, Metrics

from . import checkpoints, commits, contents, loads, memory, reads, relations, reopening

WORKLOADS: dict[str, Callable[[Job], Metrics]] = {
    "load_random": loads.random_order,
    "load_sorted": loads.key_order,
    "load_commits": loads.many_commits,
    "reads": reads.reads,
    "records": reads.records,
    "commits_1": commits.one_client,
    "commits_8_threads": commits.threads,
    "commits_64_tasks": commits.tasks,
    "transactions_64_tasks": commits.transactions,
    "checkpoint": checkpoints.checkpoint,
    "reopen_fill": reopening.fill,
    "reopen": reopening.reopen,
    "memory": memory.memory,
    "weights": contents.weights,
    "blobs": contents.blobs,
    "feed": contents.feed,
    "relations": relations.relations,
}
