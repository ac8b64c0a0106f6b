"""The worker process: Celery hands it tickets, its threads run them. Nothing is decided here.

As a program (``python -m executor.worker``) it is a child of a server or of the command line: it reads its settings as
one JSON line from standard input and lives until that pipe closes, so that it never outlives its parent.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from executor.connections import connect_sync
from executor.history.drainer import Drainer
from executor.key_place import signing_keys
from executor.leaving import EXIT_ASKED, EXIT_STUCK, STOP_S, Leaving
from executor.logs import log_as_json
from executor.metrics import WorkerMetrics, process_registry
from executor.metrics_page import serving_metrics
from executor.queue import make_celery, make_controller
from executor.reaper import Reaper
from executor.renewal import Renewal
from executor.results.opening import open_results
from executor.runner import Runner
from executor.running_jobs import RunningJobs
from executor.settings import ExecutorSettings
from executor.signing import Keys, Signer
from executor.store import WorkerStore
from executor.sweeper import Sweeper
from executor.tracing.export import FLUSH_S, TraceExport
from executor.upkeep_store import UpkeepStore
from executor.watchdog import Watchdog, new_worker_id

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.02


class _Exit:
    """How the process goes: once, whoever asks for it and however often."""

    def __init__(
        self, store: WorkerStore, jobs: RunningJobs, leaving: Leaving, spans: TraceExport, signer: Signer, worker: str
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._leaving = leaving
        self._spans = spans
        self._signer = signer
        self._worker = worker
        self._lock = threading.Lock()
        self._is_going = False

    def go(self, code: int = EXIT_ASKED) -> None:
        """Waits until what runs is finished or its time is over, gives the rest back, and ends the process.

        Returns at once where another thread is at it.
        """
        with self._lock:
            if self._is_going:
                return
            self._is_going = True
        log.info("worker_leaving", extra={"worker": self._worker, "running": len(self._jobs)})
        while self._jobs.are_at_work and self._leaving.seconds_left > 0:
            time.sleep(_LOOK_EVERY_S)
        # a broker that died with our parent would be asked again and again
        last_call = threading.Timer(STOP_S + 1.0 + FLUSH_S, os._exit, (code,))
        last_call.daemon = True
        last_call.start()
        self._jobs.leave()
        until = time.monotonic() + STOP_S
        while self._jobs.are_at_work and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_S)
        try:
            self._store.leave(self._signer, self._worker)
        except Exception:
            log.exception("worker_left_without_word")
        self._spans.close()
        log.info("worker_stopped", extra={"worker": self._worker})
        # Celery's own shutdown would wait for its pool and its connections; nothing here needs them any more
        os._exit(code)


def run_worker(
    settings: ExecutorSettings,
    broker_url: str,
    keys: Keys,
    *,
    worker: str = "",
    read_again: Callable[[Callable[[ExecutorSettings], None]], None] | None = None,
    stop_with_stdin: bool = False,
) -> None:
    """Runs jobs until a signal (or, with `stop_with_stdin`, the end of standard input) says stop; ends the process.

    At SIGTERM or SIGINT nothing new is taken, and what runs is finished within ``drain_timeout_s``; what is not goes
    back in line, its statement stopped. A second signal, or the end of standard input, does that at once. Its exit code
    is one of `executor.leaving`.

    At SIGHUP `read_again` is called with what lets it go on under other settings; without, that signal is as SIGTERM.
    Each further line of standard input, with `stop_with_stdin`, is such settings, too.

    Raises:
        SettingsInvalid: the signing key is not the one that this configuration's servers use.
    """
    worker = worker or new_worker_id()
    connection = connect_sync(broker_url)
    store, upkeep = WorkerStore(settings, connection), UpkeepStore(settings, connection)
    signer = Signer(keys)
    upkeep.check_key(signer)
    spans = TraceExport(settings.tracing, role="worker")
    results = open_results(settings)
    jobs = RunningJobs(store, worker)
    leaving = Leaving(settings.drain_timeout_s)
    registry = process_registry(importlib.metadata.version("awaitsql"))
    metrics = WorkerMetrics(registry, slots=settings.concurrency, busy=lambda: len(jobs))
    runner = Runner(settings, store, results, signer, worker, leaving, metrics, jobs)
    app = make_celery(settings.namespace, broker_url, runner.run, leaving, threads=settings.concurrency)
    way_out = _Exit(store, jobs, leaving, spans, signer, worker)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        # not in the handler itself: it may have interrupted a thread that holds a lock we need
        threading.Thread(target=lambda: way_out.go() if leaving.ask() else None, name="awaitsql-leave").start()

    def hurry_away(code: int = EXIT_ASKED) -> None:
        leaving.hurry()
        way_out.go(code)

    def reload(settings: ExecutorSettings) -> None:
        runner.reload(settings)
        log.info("worker_reloaded", extra={"worker": worker, "sources": list(settings.sources)})

    def on_hang_up(_number: int, _frame: FrameType | None) -> None:
        if read_again is not None:
            threading.Thread(target=read_again, args=(reload,), name="awaitsql-reload").start()

    def on_stdin() -> None:
        while line := sys.stdin.buffer.readline():
            try:
                reload(ExecutorSettings.model_validate(json.loads(line)["settings"]))
            except Exception:
                # without this thread our parent's end would not be seen
                log.exception("worker_not_reloaded", extra={"worker": worker})
        hurry_away()

    controller = make_controller(app, f"awaitsql@{worker}", threads=settings.concurrency)
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGHUP, on_signal if read_again is None else on_hang_up)
    if stop_with_stdin:
        threading.Thread(target=on_stdin, name="awaitsql-parent", daemon=True).start()
    with (
        Watchdog(
            settings,
            store,
            jobs,
            connection,
            worker,
            leaving,
            slots=settings.concurrency,
            on_stuck=runner.give_up,
            on_exhausted=lambda: hurry_away(EXIT_STUCK),
            on_left_running=runner.stop_left_running,
            settings_now=lambda: runner.settings,
        ),
        Reaper(upkeep, settings.lease_s),
        Renewal(upkeep, signer),
        Drainer(settings, upkeep, connection, signer),
        Sweeper(settings, upkeep, results, metrics.deleted),
        serving_metrics(registry, settings.metrics_host, settings.metrics_port),
    ):
        log.info("worker_started", extra={"worker": worker, "concurrency": settings.concurrency})
        controller.start()
    runner.close()


def main() -> None:
    """The child process: settings from standard input, then jobs until the pipe closes."""
    told: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    log_as_json(told["log_level"])
    settings = ExecutorSettings.model_validate(told["settings"])
    run_worker(settings, told["broker_url"], signing_keys(settings), worker=told["worker"], stop_with_stdin=True)


if __name__ == "__main__":
    main()
