"""`python -m sopasync` is the same as `sopasync`."""

from __future__ import annotations

import sys

from sopasync._cli import main

if __name__ == "__main__":
    sys.exit(main())
