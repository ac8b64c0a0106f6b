"""A worker that says what it is told, each line as it comes, and does nothing else."""

from __future__ import annotations

import sys

for line in sys.stdin:
    sys.stdout.write(line)
    sys.stdout.flush()
