"""Every example runs as its reader would run it, says what it shows, and its assertions hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

PROMISES = {
    "structured_data": "Added 1000 users.",
    "bank_transfer": "After 50 transfers at once: {'user_1': 9400, 'user_2': 600}, 51 lines in the log.",
    "complex_keys": "In the US: Dan, Alice, Bob",
    "ride_on_metadata": "Doc 101: [DELETED]",
    "dictionary_lookup": "Found: Bob",
    "remove_store": "As expected:",
    "swarm_tasks": "100 tasks committed 2000 items; every one is there.",
    "swarm_threads": "5 threads committed 500 items; every one is there.",
}


def test_every_example_is_listed_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(PROMISES)


@pytest.mark.parametrize("name", sorted(PROMISES))
def test_example_keeps_its_promise(name: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", EXAMPLES / f"{name}.py"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert PROMISES[name] in result.stdout
    assert result.stderr == ""
    assert list(tmp_path.iterdir()) == [], "an example leaves its files behind"
