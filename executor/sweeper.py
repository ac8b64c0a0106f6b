"""Deletes results that nobody can read any more, and the oldest ones where room is short. Runs in every worker.

Doing it twice, or in two workers at once, harms nothing. What a job that is not finished may still need is never
touched: its own rows, and the results that it reads. Rows that a broken broker forgot stay for their lifetime.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable

from redis.exceptions import RedisError

from executor.adapters.duckdb_spill import remove_orphans
from executor.errors import ExecutorError
from executor.jobs import JobState
from executor.metrics import Gone
from executor.results import ResultStore, StoredAttempt
from executor.settings import ExecutorSettings
from executor.upkeep_store import UpkeepStore

log = logging.getLogger(__name__)

_EVERY_S = 300.0
_LATE_WORD_S = 60.0
"""Rows younger than this stay whatever the job's row says: whoever wrote them may not have had the last word yet."""


def _nothing(_why: Gone) -> None:
    """For one whose deletions nobody counts."""


class Sweeper:
    """A thread that sweeps when it starts and then every five minutes. A context manager.

    `on_deleted` is told of each deletion, and why.
    """

    def __init__(
        self,
        settings: ExecutorSettings,
        store: UpkeepStore,
        results: ResultStore,
        on_deleted: Callable[[Gone], None] = _nothing,
    ) -> None:
        self._settings = settings
        self._store = store
        self._results = results
        self._on_deleted = on_deleted
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="awaitsql-sweeper", daemon=True)

    def __enter__(self) -> Sweeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def sweep(self, *, late_word_s: float = _LATE_WORD_S) -> int:
        """One round; the number of attempts and results deleted.

        Raises:
            RedisError: the broker is away; nothing more was deleted.
            ResultFailed: ``store_unavailable``.
        """
        kept = self._results.inventory()
        if not kept:
            return 0
        ids = {attempt.job_id for attempt in kept}
        states = self._store.standing(ids)
        shared = self._store.referenced(ids)
        being_read = self._store.inputs_in_use()
        now = self._results.now()
        gone = 0
        finished: dict[str, list[StoredAttempt]] = defaultdict(list)
        for attempt in kept:
            age = now - attempt.written_at
            state, current = states.get(attempt.job_id, (None, 0))
            if attempt.job_id in being_read:
                continue
            if attempt.job_id in shared:
                finished[attempt.job_id].append(attempt)
            elif state is None and age >= self._settings.result_ttl_s:
                self._results.delete(attempt.job_id)
                self._on_deleted("expired")
                gone += 1
            elif state is None or (state is JobState.SUCCEEDED and attempt.attempt == current):
                finished[attempt.job_id].append(attempt)
            elif age >= late_word_s and (state.is_terminal or attempt.attempt < current):
                # of a lost worker, or of a job that ended without one
                self._results.delete(attempt.job_id, attempt.attempt)
                self._on_deleted("orphaned")
                gone += 1
        return gone + self._make_room(sum(attempt.bytes for attempt in kept), finished)

    def _make_room(self, used: int, finished: dict[str, list[StoredAttempt]]) -> int:
        """Evict results, the one that was finished first going first, until there is room enough."""
        free = self._results.free_bytes()
        most = self._settings.results_max_bytes
        excess = max(
            0 if most is None else used - most,
            0 if free is None else self._settings.results_min_free_bytes - free,
        )
        gone = 0
        for job_id, attempts in sorted(finished.items(), key=lambda found: max(a.written_at for a in found[1])):
            if excess <= 0:
                break
            if self._store.evict(job_id):
                self._results.delete(job_id)
                self._on_deleted("evicted")
                excess -= sum(attempt.bytes for attempt in attempts)
                gone += 1
        if gone:
            log.warning("results_evicted", extra={"results": gone})
        return gone

    def _loop(self) -> None:
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            wait_s = _EVERY_S
            try:
                spilled = remove_orphans()
                gone = self.sweep()
                if gone or spilled:
                    log.info("results_swept", extra={"results": gone, "spill_folders": spilled})
            except (RedisError, OSError, ExecutorError) as error:
                log.warning("sweep_interrupted", extra={"error": type(error).__name__})
