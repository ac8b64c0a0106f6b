"""Folders that DuckDB spills to, each held by a lock of its process, so that those of a killed one can be told.

Knows no database.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # on Windows nothing is locked, and nothing of others is removed
    fcntl = None

_PREFIX = "awaitsql-duckdb-"
_LOCK = "held"
_YOUNG_S = 60.0
"""A folder younger than this may not have been locked yet."""


class SpillFolder:
    """A new folder, its process's until it is removed or the process ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._held: IO[bytes] = (self.path / _LOCK).open("wb")
        if fcntl is not None:
            fcntl.flock(self._held, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Delete it with all that is in it. Again is nothing."""
        self._held.close()
        shutil.rmtree(self.path, ignore_errors=True)


def remove_orphans(*, young_s: float = _YOUNG_S) -> int:
    """Delete the folders whose processes are gone and that are at least `young_s` seconds old; how many."""
    gone = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or gone meanwhile
            if time.time() - folder.stat().st_mtime >= young_s and _is_free(folder / _LOCK):
                shutil.rmtree(folder)
                gone += 1
    return gone


def _is_free(lock: Path) -> bool:
    if fcntl is None:
        return False
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True
