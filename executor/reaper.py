"""Mends what death leaves behind: lost leases, lost tickets, jobs that waited too long. One process at a time does.

Runs in a thread of every server and of every worker, never inside a task; the broker elects who does it.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from contextlib import suppress

from redis.exceptions import RedisError

from executor.upkeep_store import MEMORY_WARN_PERCENT, UpkeepStore

log = logging.getLogger(__name__)

_EVERY_S = 0.5
_LEADS_S = 3.0
_MEMORY_EVERY_S = 5.0


class Reaper:
    """A thread that reaps twice a second while it leads. A context manager."""

    def __init__(self, store: UpkeepStore, grace_s: float) -> None:
        self._store = store
        self._grace_s = grace_s
        self._who = secrets.token_hex(8)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="awaitsql-reaper", daemon=True)

    def __enter__(self) -> Reaper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _loop(self) -> None:
        not_before = look_at = 0.0
        while not self._stop.wait(_EVERY_S):
            try:
                if time.monotonic() >= not_before and self._store.is_leader(self._who, _LEADS_S):
                    for job_id in self._store.reap():
                        log.warning("job_reaped", extra={"job_id": job_id})
                    if time.monotonic() >= look_at:
                        look_at = time.monotonic() + _MEMORY_EVERY_S
                        self._look_at_memory()
            except (RedisError, OSError) as error:
                # leases ran out while nobody could beat: give their holders the time to come back
                not_before = time.monotonic() + self._grace_s
                log.warning("reaper_interrupted", extra={"error": type(error).__name__})
        with suppress(RedisError, OSError):
            self._store.resign(self._who)  # the next one need not wait for our hold

    def _look_at_memory(self) -> None:
        percent = self._store.note_memory()
        if percent is not None and percent >= MEMORY_WARN_PERCENT:
            log.warning("broker_memory_nearly_full", extra={"percent": percent})
