"""Every example runs as its reader would run it, says what it shows, and its assertions hold."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"

PROMISES = {
    "bulk_load": "Loaded 100000 rows; the first are [",
    "structured_data": "Added 1000 users.",
    "bank_transfer": "After 50 transfers at once: {'user_1': 9400, 'user_2': 600}, 51 lines in the log.",
    "complex_keys": "In the US: Dan, Alice, Bob",
    "ride_on_metadata": "Doc 101: [DELETED]",
    "dictionary_lookup": "Found: Bob",
    "remove_store": "As expected:",
    "vector_search": "Match: prod_101, Score: 0.9986",
    "change_feed": "The mirror has all 100 orders as the store has them, up to commit 103.",
    "model_store": "As expected: model 'adapters/coder_lora' in store 'registry' is at version 2, not at 1",
    "atomic_training": "Killed 3 times: row, weights and vectors were of one version each time.",
    "blob_streams": "Read 52428800 bytes of 2026/talk.raw; their checksum is right.",
    "text_search": "Found: mine",
    "secondary_indexes": "In Oslo, the oldest first: ['Cid', 'Ann']",
    "relations": "Who takes what: [('Ida', 'algebra'), ('Ida', 'botany'), ('Una', 'algebra')]",
    "swarm_tasks": "100 tasks committed 2000 items; every one is there.",
    "blocking_threads": "320 words; the most frequent: be 60, to 60, is 40",
    "swarm_threads": "5 threads committed 500 items; every one is there.",
}


def test_every_example_is_listed_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(PROMISES)


@pytest.mark.parametrize("name", sorted(PROMISES))
def test_example_keeps_its_promise(name: str, tmp_path: Path) -> None:
    assert PROMISES[name] in output_of(EXAMPLES / f"{name}.py", tmp_path)
    assert list(tmp_path.iterdir()) == [], "an example leaves its files behind"


def test_the_program_in_the_readme_runs(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    shown = "print({name: account.balance async for name, account in accounts.items()})"
    program = program.replace(
        "\n\n\nanyio.run",
        f"""
        async with db.begin_transaction() as tx:
            accounts = await tx.open_btree("accounts", value_type=Account)
            {shown}


anyio.run""",
    )
    (tmp_path / "readme.py").write_text(program)
    assert output_of(tmp_path / "readme.py", tmp_path) == "{'ann': 70, 'bob': 30}\n"


def output_of(program: Path, folder: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", program],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout
