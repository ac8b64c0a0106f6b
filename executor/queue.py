"""Makes the Celery app of a worker process. With ``worker.py`` the only place that knows Celery."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import parse_qs, quote, unquote, urlsplit

import celery.worker.state
from celery import Celery, bootsteps
from celery.app.trace import setup_worker_optimizations
from celery.signals import task_received
from kombu.asynchronous.hub import get_event_loop, set_event_loop
from kombu.entity import Queue

from executor.leaving import Leaving
from executor.tickets import TASK, queue_name


def kombu_url(broker_url: str) -> str:
    """redis-py's ``unix:///path?db=0`` in kombu's spelling; other URLs as they are."""
    parts = urlsplit(broker_url)
    if parts.scheme != "unix":
        return broker_url
    told = parse_qs(parts.query)
    database = told.get("db", ["0"])[0]
    password = f":{quote(told['password'][0], safe='')}@" if "password" in told else ""
    return f"redis+socket://{password}{unquote(parts.path)}?virtual_host={database}"


class _Hands:
    """How many tickets this process holds, so that it takes what it can run and leaves the rest to other workers.

    Celery's prefetch limit counts acknowledgements, and there are none; its own ``disable_prefetch`` looks again once
    a second at most when every thread was busy.
    """

    def __init__(self, threads: int, leaving: Leaving) -> None:
        self._threads = threads
        self._leaving = leaving
        self._held = 0
        self._lock = threading.Lock()

    def may_take(self) -> bool:
        """Whether a thread is free, and the process stays."""
        return self._held < self._threads and not self._leaving.has_begun

    def take(self, **_: object) -> None:
        """A ticket has come."""
        with self._lock:
            self._held += 1

    def drop(self) -> None:
        """Its job is over: the event loop, perhaps asleep, may fetch the next."""
        with self._lock:
            self._held -= 1
        hub = get_event_loop()
        if hub is not None:
            hub.call_soon(_nothing)


def let_another_begin() -> None:
    """After a worker of this process has stopped: Celery would give the next one its closed event loop."""
    celery.worker.state.should_stop = None
    set_event_loop(None)


def stop_worker() -> None:
    """Asks the worker of this process to stop, from another thread; see ``celery.contrib.testing.worker``."""
    celery.worker.state.should_stop = 0


def _nothing() -> None:
    """Runs in the event loop to wake it."""


def _nothing_is_kept(_delivery_tag: str) -> None:
    """Stands for an acknowledgement where there is none."""


def make_celery(
    namespace: str,
    broker_url: str,
    execute: Callable[[str, str], None],
    leaving: Leaving,
    *,
    queue: str = "",
    threads: int = 1,
) -> Celery:
    """The Celery app of one worker process of `queue`, its one task bound to `execute(job_id, attempt)`.

    No acknowledgements, because the lease recovers lost work; no result backend, no events, no time limits, because
    the job's row has them all; a lost connection cancels nothing. Holds at most `threads` tickets at once, and fetches
    none once `leaving` has begun; one that was on its way then still comes to `execute`.
    """
    hands = _Hands(threads, leaving)

    class TakeWhatCanRun(bootsteps.StartStopStep):
        """Asks `hands` before each fetch, and acknowledges nothing. Comes after the step that makes the consumer."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, parent: Any) -> None:
            task_received.connect(hands.take, weak=False)
            qos = parent.task_consumer.channel.qos
            qos.can_consume = hands.may_take
            # kombu keeps nothing of what is consumed without acknowledgement, yet acknowledges it to Redis
            # (kombu.Message.ack asks for `no_ack_consumers`, which its virtual channels do not have)
            qos.ack = _nothing_is_kept

        def stop(self, parent: Any) -> None:
            del parent
            task_received.disconnect(hands.take)

    def run_ticket(job_id: str, attempt: str) -> None:
        try:
            execute(job_id, attempt)
        finally:
            hands.drop()

    app = Celery("awaitsql", broker=kombu_url(broker_url), set_as_current=False)
    key = queue_name(namespace, queue)
    app.conf.update(
        # the lease recovers lost work: nothing to acknowledge, and nothing left behind
        task_queues=[Queue(key, routing_key=key, no_ack=True)],
        task_default_queue=key,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=False,
        task_publish_retry=False,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": 3600,
            "body_encoding": None,
            "socket_timeout": 30,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
    )
    app.task(name=TASK, ignore_result=True, acks_late=False, shared=False)(run_ticket)
    cast("dict[str, set[Any]]", app.steps)["consumer"].add(TakeWhatCanRun)
    # as Celery's own program does: else its threads look the task up in whatever app was made first in this process
    setup_worker_optimizations(app)
    return app


def make_controller(app: Celery, name: str, *, threads: int) -> Any:
    """Takes the app's tickets from its ``start()`` on: no program around it, no banner, no signal handlers of its own.

    Args:
        app: from `make_celery`.
        name: of this process, for Celery's own words; colons in it become hyphens.
        threads: that run tickets.
    """
    return cast("Any", app).WorkController(
        pool="threads",
        concurrency=threads,
        hostname=name.replace(":", "-"),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
