"""One measurement, in a process of its own: ``python -m benches.worker JOB RESULT``, both JSON files.

A process each keeps caches, background threads and memory of one store away from the others, and lets
the parent end what hangs.
"""

from __future__ import annotations

import gc
import json
import sys
import traceback
from pathlib import Path

from . import lifeline
from .job import Job
from .workloads import WORKLOADS


def main() -> int:
    """Do the job; the result says how it ended."""
    lifeline.watch()
    job = Job.from_dict(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    result: dict[str, object]
    try:
        gc.collect()
        gc.freeze()
        result = {"status": "ok", "metrics": WORKLOADS[job.workload](job)}
    except ImportError as error:
        result = {"status": "missing", "message": str(error)}
    except Exception as error:
        result = {"status": "failed", "message": f"{type(error).__name__}: {error}"}
        traceback.print_exc()
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")
    return 0 if result["status"] != "failed" else 1


if __name__ == "__main__":
    sys.exit(main())
