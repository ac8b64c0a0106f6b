"""How long something is waited for, added up: so that a slow store, a slow database and a full pool are told apart."""

from __future__ import annotations

import time
from types import TracebackType


class Patience:
    """Counts the seconds spent in its ``with`` blocks, which one thread enters at a time; any thread may read."""

    def __init__(self) -> None:
        self._since: float | None = None
        self.total_s = 0.0

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.total_s += self.waiting_s
        self._since = None

    @property
    def waiting_s(self) -> float:
        """Seconds since the wait began that is going on; 0 where none is."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since
