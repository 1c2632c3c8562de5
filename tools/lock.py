"""Write requirements/*.txt again: the newest versions that pyproject.toml allows, each with its hashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Each group is resolved under the versions of another, so that all of them fit into one environment.
GROUPS = {"build": None, "test": "build", "check": "test", "bench": "build", "embeddings": None}
ALONE = {"embeddings"}
"""Groups whose packages are installed without their dependencies."""


def main() -> int:
    """Lock every group."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "uv"], check=True)
    for group, base in GROUPS.items():
        print(f"requirements/{group}.txt")
        command: list[str | Path] = [uv, "pip", "compile", "--upgrade"]
        if group in ALONE:
            command += ["--group", f"pyproject.toml:{group}", "--no-deps"]
        else:
            command += ["pyproject.toml", "--group", group]
        command += ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--quiet"]
        command += [
            "--no-emit-index-url",
            "--no-emit-find-links",
            "--output-file",
            f"requirements/{group}.txt",
        ]
        if base is not None:
            command += ["--constraint", f"requirements/{base}.txt"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
