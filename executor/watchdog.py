"""A worker's watching threads: one beats for every running job, one hears of cancels, one stops what others left.

Also counts zombies: threads whose statement was cancelled and did not come back within the grace. Their job is ended,
and when too many are lost the process is told to go, for its supervisor to start a fresh one.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable

import redis
from redis.exceptions import RedisError

from executor.enrolled import told_of
from executor.leaving import Leaving
from executor.running import RunningJob
from executor.running_jobs import RunningJobs
from executor.settings import ExecutorSettings
from executor.signals import listen_for_cancels
from executor.store import WorkerStore

log = logging.getLogger(__name__)

_TICK_S = 0.25
_CANCEL_AGAIN_S = 1.0
_WORKER_TTL_FACTOR = 3.0


def new_worker_id() -> str:
    """Host, process id and a few random letters: told apart even when a process id comes again."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


def _nothing() -> None:
    """For a worker that runs no statements, and so stops none that others left."""


class Watchdog:
    """Keeps leases and the worker's own entry alive, and carries cancels to the running statements.

    `on_stuck` is called with each of the `jobs` that does not come back after it was told to stop, to end it;
    `on_exhausted` once when half of the `slots` are held by such; `on_left_running` when a dead worker's statement is
    to be stopped on its server.
    """

    def __init__(
        self,
        settings: ExecutorSettings,
        store: WorkerStore,
        jobs: RunningJobs,
        connection: redis.Redis,
        worker: str,
        leaving: Leaving,
        *,
        slots: int,
        on_stuck: Callable[[RunningJob], None],
        on_exhausted: Callable[[], None],
        on_left_running: Callable[[], None] = _nothing,
        queue: str = "",
        settings_now: Callable[[], ExecutorSettings],
    ) -> None:
        self._settings = settings
        self._settings_now = settings_now
        self._store = store
        self._jobs = jobs
        self._connection = connection
        self._worker = worker
        self._leaving = leaving
        self._told = (0, False)
        self._slots = slots
        self._queue = queue
        self._on_stuck = on_stuck
        self._on_exhausted = on_exhausted
        self._on_left_running = on_left_running
        self._zombies: list[RunningJob] = []
        self._stops_wanted = threading.Event()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._beats, name="awaitsql-beats", daemon=True),
            threading.Thread(target=self._cancels, name="awaitsql-cancels", daemon=True),
            threading.Thread(target=self._stops, name="awaitsql-stops", daemon=True),
        ]

    def __enter__(self) -> Watchdog:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=3)

    def _cancels(self) -> None:
        listen_for_cancels(
            self._connection,
            self._settings.namespace,
            on_cancel=self._jobs.cancel,
            on_left_running=self._stops_wanted.set,
            stop=self._stop,
        )

    def _beats(self) -> None:
        enrol_at = 0.0
        while not self._stop.wait(_TICK_S):
            try:
                if time.monotonic() >= enrol_at or self._is_news():
                    self.enrol()
                    enrol_at = time.monotonic() + self._settings.beat_s
                for job in self._jobs.now():
                    self._tell(job)
                    self._hurry(job)
            except (RedisError, OSError) as error:
                log.warning("beat_interrupted", extra={"error": type(error).__name__})
            except Exception:
                # without this thread every lease here runs out
                log.exception("beat_failed")

    def _is_news(self) -> bool:
        """Whether others would reckon with slots that are not there: what leaves has ever fewer."""
        return self._leaving.has_begun and self._told != (len(self._jobs), True)

    def enrol(self) -> None:
        """Says that this worker is alive, and what it takes.

        Raises:
            RedisError: the broker did not answer.
        """
        self._zombies = [job for job in self._zombies if not job.is_over]
        busy, leaves = len(self._jobs), self._leaving.has_begun
        slots = busy if leaves else max(self._slots - len(self._zombies), 0)
        ttl_s = self._settings.beat_s * _WORKER_TTL_FACTOR
        about = told_of(self._settings_now(), slots=self._slots, busy=busy, leaves=leaves, ttl_s=ttl_s)
        zombies = len(self._zombies)
        self._store.enrol(self._worker, slots, ttl_s, about, queue=self._queue, zombies=zombies, leaves=leaves)
        self._told = (busy, leaves)
        self._stops_wanted.set()

    def _stops(self) -> None:
        # a thread of its own: a server that hangs must not hold up the beats
        while not self._stop.is_set():
            if self._stops_wanted.wait(_TICK_S):
                self._stops_wanted.clear()
                try:
                    self._on_left_running()
                except Exception:
                    log.exception("orphan_statement_not_stopped")

    def _tell(self, job: RunningJob) -> None:
        now = time.monotonic()
        news = (job.stage, job.rows)
        if news == job.told and now - job.beat_at < self._settings.beat_s:
            return
        self._jobs.tell(job)
        job.told, job.beat_at = news, now

    def _hurry(self, job: RunningJob) -> None:
        if job.stop_asked_at is None:
            if job.is_late(self._settings.cancel_grace_s):
                job.stop("late")
            return
        waited = time.monotonic() - job.stop_asked_at
        if waited > self._settings.cancel_grace_s:
            self._zombies.append(job)
            log.error("thread_stuck", extra={"job_id": job.job_id, "zombies": len(self._zombies)})
            self._on_stuck(job)
            if len(self._zombies) * 2 >= self._slots:
                self._on_exhausted()
        elif waited > _CANCEL_AGAIN_S:
            # a cancel that came before the statement reached the server found nothing to stop
            job.stop(job.stopped or "cancelled")
