"""A worker process on its way out: whether it still takes jobs, and until when it finishes those it has.

Asked once it drains: nothing new is taken, what runs is finished within a deadline. Asked again it hurries: what still
runs is stopped and goes back in line at once. Knows no job and no broker.
"""

from __future__ import annotations

import threading
import time

STOP_S = 3.0
"""How long a process that has given its jobs back waits for stopped statements to return."""

EXIT_ASKED = 0
"""Left because it was asked to: every job it had is finished, or back in line."""

EXIT_STUCK = 6
"""Left by itself, half of its threads lost to statements that do not stop: its supervisor is to start a new one."""


class Leaving:
    """Of one process. Thread-safe; every method may be called again.

    Args:
        timeout_s: seconds that running jobs are given to finish.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._ends_at = float("inf")
        self._begun = threading.Event()
        self._lock = threading.Lock()

    @property
    def has_begun(self) -> bool:
        """Whether nothing new is taken any more."""
        return self._begun.is_set()

    @property
    def seconds_left(self) -> float:
        """Until what still runs is given back; below zero when that is over, infinity before it has begun."""
        return self._ends_at - time.monotonic()

    def ask(self) -> bool:
        """Begins, or hurries where it had begun; whether it begins now."""
        if self._begin(self._timeout_s):
            return True
        self.hurry()
        return False

    def hurry(self) -> bool:
        """Running jobs get no more time; whether it begins now."""
        begins = self._begin(0.0)
        self._ends_at = min(self._ends_at, time.monotonic())
        return begins

    def _begin(self, seconds: float) -> bool:
        with self._lock:
            if self._begun.is_set():
                return False
            self._ends_at = time.monotonic() + seconds
            self._begun.set()
            return True
