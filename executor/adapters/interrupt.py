"""Stops one statement at its deadline or on request, and says which of the two it was. Knows no database.

An in-process database has no server to count seconds, and a driver's interrupt is lost when it comes a moment before
the statement starts. So the interrupt is repeated until the statement has ended, and never sent after that.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from executor.errors import ErrorCode, StatementFailed
from executor.timers import Later, Timers

_REPEAT_S = 0.05  # doubled from one time to the next, up to
_REPEAT_MOST_S = 1.0


class Interrupter:
    """The stop button of one statement; `close` it when the statement has ended.

    Args:
        interrupt: asks the driver to stop; called from other threads, possibly several times.
        timeout_s: seconds from `start` to the deadline.
        timers: watch the deadline; None where the database's server does.
    """

    def __init__(self, interrupt: Callable[[], None], *, timeout_s: float, timers: Timers | None) -> None:
        self._interrupt = interrupt
        self._timeout_s = timeout_s
        self._timers = timers
        self._deadline: Later | None = None
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._cancelled = False
        self._started_at: float | None = None
        self._thread: threading.Thread | None = None

    @property
    def was_cancelled(self) -> bool:
        """Whether someone asked for the stop."""
        return self._cancelled

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed (within 2 % of it, for clocks that differ)."""
        return self._started_at is not None and time.monotonic() - self._started_at >= self._timeout_s * 0.98

    def start(self) -> None:
        """Begins to count. Raises `StatementFailed` when a cancel came before."""
        self.check()
        self._started_at = time.monotonic()
        if self._deadline is not None:  # of what this session ran before
            self._deadline.cancel()
        if self._timers is not None:
            self._deadline = self._timers.call_later(self._timeout_s, self._ensure_thread)

    def cancel(self) -> None:
        """Stops the statement now; harmless before, after and twice."""
        with self._lock:
            if self._ended.is_set():
                return
            self._cancelled = True
            with contextlib.suppress(Exception):  # a driver's refusal to interrupt must not reach the canceller
                self._interrupt()
            if self._started_at is not None:
                self._ensure_thread()

    def check(self) -> None:
        """Raises `StatementFailed` if it has to stop: ``statement_timeout``, or ``statement_failed`` after a cancel."""
        if self._cancelled:
            raise StatementFailed(ErrorCode.STATEMENT_FAILED, "The statement was cancelled.")
        if self.is_late:
            raise StatementFailed(
                ErrorCode.STATEMENT_TIMEOUT,
                f"The statement took longer than its {self._timeout_s:g} s.",
                hint="Read fewer rows (a narrower WHERE, an aggregate), or ask for a longer timeout.",
            )

    def close(self) -> None:
        """The statement has ended: nothing is interrupted after this returns."""
        with self._lock:
            self._ended.set()
        if self._deadline is not None:
            self._deadline.cancel()
        if self._thread is not None:
            self._thread.join()

    def _ensure_thread(self) -> None:
        with self._lock:
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(target=self._insist, name="statement-stop", daemon=True)
                self._thread.start()

    def _insist(self) -> None:
        pause = _REPEAT_S
        while True:
            with self._lock:
                if self._ended.is_set():
                    return
                with contextlib.suppress(Exception):  # as in cancel
                    self._interrupt()
            self._ended.wait(pause)
            pause = min(2 * pause, _REPEAT_MOST_S)
