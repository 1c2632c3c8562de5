"""One store with one dataset, in a process that does what it is asked: ``python -m benches.vectors.worker TASK``.

The task is a JSON file; then every line of the input names a measurement, and every line of the output has its result.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from benches import lifeline

from . import adapters
from .data import Dataset
from .scale import VectorScale
from .work import WORK, Bench


def main() -> int:
    """Answer until the input ends."""
    lifeline.watch()
    # What libraries print must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    data = Dataset.load(Path(task["data"]))
    folder = Path(task["folder"])

    def make(name: str) -> adapters.VectorIndex:
        return adapters.index(task["store"], folder / name, data.metric, data.dimension)

    bench: Bench | None = None
    for line in sys.stdin:
        name = line.strip()
        result: dict[str, Any]
        try:
            if bench is None:
                bench = Bench(make, make("main"), data, folder.parent, VectorScale(**task["scale"]))
            gc.collect()
            result = {"status": "ok", "metrics": WORK[name](bench)}
        except ImportError as error:
            result = {"status": "missing", "message": str(error)}
        except adapters.Unsupported:
            result = {"status": "unsupported", "message": "unsupported"}
        except Exception as error:
            result = {"status": "failed", "message": f"{type(error).__name__}: {error}"}
            traceback.print_exc()
        print(json.dumps(result), file=answers, flush=True)
    if bench is not None:
        bench.index.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
