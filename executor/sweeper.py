"""Deletes results that outlived their job's row, and what killed workers wrote for jobs that then failed.

Runs in a thread of every worker; doing it twice harms nothing. Of jobs that the broker does not know, only results
older than their lifetime go: rows that a broken broker forgot are not taken from whoever still has them.
"""

from __future__ import annotations

import logging
import threading

from redis.exceptions import RedisError

from executor.results import ResultStore
from executor.settings import ExecutorSettings
from executor.store import WorkerStore

log = logging.getLogger(__name__)

_EVERY_S = 300.0
_SETTLED_S = 300.0


class Sweeper:
    """A thread that sweeps every five minutes. A context manager."""

    def __init__(self, settings: ExecutorSettings, store: WorkerStore, results: ResultStore) -> None:
        self._min_age_s = settings.result_ttl_s
        self._store = store
        self._results = results
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="awaitsql-sweeper", daemon=True)

    def __enter__(self) -> Sweeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def sweep(self, *, settled_s: float = _SETTLED_S) -> int:
        """One round; the number of results deleted.

        Args:
            settled_s: how old the rows of a failed or cancelled job are at least, so that nobody still writes them.
        """
        gone = self._results.expire(self._store.may_have_rows, min_age_s=settled_s)
        return gone + self._results.expire(self._store.exists, min_age_s=self._min_age_s)

    def _loop(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                gone = self.sweep()
                if gone:
                    log.info("results_swept", extra={"results": gone})
            except (RedisError, OSError) as error:
                log.warning("sweep_interrupted", extra={"error": type(error).__name__})
