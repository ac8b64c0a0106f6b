"""How much this process may grow while DuckDB works in it. Knows no database.

DuckDB's memory_limit counts what its buffer manager holds: not lists, strings and maps on their way through a
statement. ``SELECT range(1000000000)`` takes 20 GB under a limit of 128 MB, and cannot be interrupted before it has
them. So while a statement runs, the kernel refuses memory beyond a bound (RLIMIT_DATA, Linux 4.7 and newer); DuckDB
answers with its own out-of-memory error and goes on working. Elsewhere there is no such bound.

The kernel counts what is reserved, not what is used: Arrow's allocator reserves 1 GiB when it is first asked, and a
thread the size of its stack. What other threads may need meanwhile has to find room under the bound, too, or their jobs
fail for this one's.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import pyarrow as pa

_ROOM_MB = 1024
"""Beyond memory_limit: vectors of a sane statement, batches on their way, whatever other threads need meanwhile."""


class ProcessBound:
    """The bound of one process: what it held when the first statement began, and an allowance for each that runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[int] = []
        self._base = 0
        self._before = 0

    @contextlib.contextmanager
    def grown_by(self, megabytes: int) -> Generator[None]:
        """While inside, `megabytes` and some room more may be taken; the limit that was there before is kept, too."""
        allowance = (megabytes + _ROOM_MB) * 1_000_000
        with self._lock:
            if not self._running:
                pa.allocate_buffer(1)  # or the reservation would be taken out of the room, and be all of it
                self._base, self._before = _held_bytes(), _soft_limit()
            self._running.append(allowance)
            self._set()
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(allowance)
                self._set()

    def _set(self) -> None:
        if self._base:
            bound = self._base + sum(self._running) if self._running else self._before
            _limit_to(min(bound, self._before) if self._before >= 0 else bound)


if sys.platform == "linux":
    import resource

    def _held_bytes() -> int:
        """What RLIMIT_DATA counts, now; 0 where the kernel does not tell."""
        with contextlib.suppress(OSError, StopIteration, ValueError):
            lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
        return 0

    def _soft_limit() -> int:
        return resource.getrlimit(resource.RLIMIT_DATA)[0]

    def _limit_to(soft: int) -> None:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))

else:

    def _held_bytes() -> int:
        """0: nothing is bounded here."""
        return 0

    def _soft_limit() -> int:
        return -1

    def _limit_to(soft: int) -> None:
        del soft


PROCESS = ProcessBound()
"""The bound of this process: a limit of the kernel's is one for all its sources."""
