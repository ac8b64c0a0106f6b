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
from types import FrameType
from typing import Any

from executor.acts import SYSTEM, Act
from executor.history.drainer import Drainer
from executor.key_place import signing_keys
from executor.logs import log_as_json
from executor.metrics import WorkerMetrics, process_registry
from executor.metrics_page import serving_metrics
from executor.queue import make_celery, make_controller
from executor.reaper import Reaper
from executor.renewal import Renewal
from executor.results.opening import open_results
from executor.runner import Runner
from executor.settings import ExecutorSettings
from executor.signing import Keys, Signer
from executor.store import WorkerStore, connect_sync
from executor.sweeper import Sweeper
from executor.tracing.export import FLUSH_S, TraceExport
from executor.watchdog import Watchdog, new_worker_id

log = logging.getLogger(__name__)

_LEAVE_S = 3.0
"""How long a leaving worker waits for cancelled statements to come back."""


def run_worker(
    settings: ExecutorSettings, broker_url: str, keys: Keys, *, worker: str = "", stop_with_stdin: bool = False
) -> None:
    """Runs jobs until a signal (or, with `stop_with_stdin`, the end of standard input) says stop.

    SIGTERM and SIGINT cancel the running statements and put their jobs back in line.

    Raises:
        SettingsInvalid: the signing key is not the one that this configuration's servers use.
    """
    worker = worker or new_worker_id()
    connection = connect_sync(broker_url)
    store = WorkerStore(settings, connection)
    signer = Signer(keys)
    store.check_key(signer)
    spans = TraceExport(settings.tracing, role="worker")
    results = open_results(settings)
    registry = process_registry(importlib.metadata.version("awaitsql"))
    metrics = WorkerMetrics(registry, slots=settings.concurrency, busy=lambda: len(runner.running()))
    runner = Runner(settings, store, results, signer, worker, metrics)
    app = make_celery(settings.namespace, broker_url, runner.run, threads=settings.concurrency)
    leaving = threading.Event()

    def leave() -> None:
        if leaving.is_set():
            return
        leaving.set()
        # a broker that died with our parent would be asked again and again
        last_call = threading.Timer(_LEAVE_S + 1.0 + FLUSH_S, os._exit, (0,))
        last_call.daemon = True
        last_call.start()
        runner.leave()
        until = time.monotonic() + _LEAVE_S
        while runner.running() and time.monotonic() < until:
            time.sleep(0.02)
        try:
            store.depart(worker, lost=False)
            store.tell(signer, Act("worker_drained", SYSTEM, {"worker": worker}))
        except Exception:
            log.exception("worker_left_without_word")
        spans.close()
        log.info("worker_stopped", extra={"worker": worker})
        # Celery's own shutdown would wait for its pool and its connections; nothing here needs them any more
        os._exit(0)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        # not in the handler itself: it may have interrupted a thread that holds a lock we need
        threading.Thread(target=leave, name="awaitsql-leave").start()

    def on_stdin_end() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        leave()

    controller = make_controller(app, f"awaitsql@{worker}", threads=settings.concurrency)
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    if stop_with_stdin:
        threading.Thread(target=on_stdin_end, name="awaitsql-parent", daemon=True).start()
    with (
        Watchdog(
            settings,
            store,
            runner,
            connection,
            worker,
            slots=settings.concurrency,
            on_exhausted=leave,
            on_left_running=runner.stop_left_running,
        ),
        Reaper(store, settings.lease_s),
        Renewal(store, signer),
        Drainer(settings, store, connection, signer),
        Sweeper(settings, store, results, metrics.deleted),
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
