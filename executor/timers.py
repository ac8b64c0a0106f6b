"""Calls to be made later, all from one thread. Starting a thread for each would cost more than a short statement.

Knows no statements and no results.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Later:
    """One call to come; `cancel` it when it is not wanted any more."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """The call is not made, unless it is being made just now."""
        self._call = None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to call any more: it was cancelled, or made."""
        return self._call is None

    def run(self) -> None:
        """Makes the call, once."""
        call, self._call = self._call, None
        if call is not None:
            call()


class Timers:
    """A thread that makes calls when their time has come. Starts with the first call; ends with the process.

    Calls must be short: each holds up the ones behind it. What a call raises is logged.
    """

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Later]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def call_later(self, seconds: float, call: Callable[[], None]) -> Later:
        """`call` in `seconds` from now, from the timers' thread."""
        later = Later(call)
        at = time.monotonic() + seconds
        with self._changed:
            is_next = not self._due or at < self._due[0][0]
            heapq.heappush(self._due, (at, next(self._order), later))
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="awaitsql-timers", daemon=True)
                self._thread.start()
            elif is_next:
                self._changed.notify()
        return later

    def _loop(self) -> None:
        while True:
            with self._changed:
                # most are cancelled long before: to wake for each would be once a statement
                while self._due and self._due[0][2].is_over:
                    heapq.heappop(self._due)
                if not self._due:
                    self._changed.wait()
                    continue
                left = self._due[0][0] - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                later = heapq.heappop(self._due)[2]
            try:
                later.run()
            except Exception:
                log.exception("timer_call_failed")
