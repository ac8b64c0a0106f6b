"""Makes the Celery app of a worker process. With ``worker.py`` the only place that knows Celery."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from celery import Celery
from kombu.entity import Queue

from executor.tickets import TASK, queue_name


def kombu_url(broker_url: str) -> str:
    """redis-py's ``unix:///path?db=0`` in kombu's spelling; other URLs as they are."""
    parts = urlsplit(broker_url)
    if parts.scheme != "unix":
        return broker_url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={database}"


def make_celery(namespace: str, broker_url: str, execute: Callable[[str, str], None]) -> Celery:
    """The Celery app of one worker process, its one task bound to `execute(job_id, attempt)`.

    Early acks, because the lease recovers lost work and late acks only leave messages behind; no result backend, no
    events, no time limits, because the job's row has them all; a lost connection cancels nothing.
    """
    app = Celery("awaitsql", broker=kombu_url(broker_url), set_as_current=False)
    queue = queue_name(namespace)
    app.conf.update(
        task_queues=[Queue(queue, routing_key=queue)],
        task_default_queue=queue,
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
    app.task(name=TASK, ignore_result=True, acks_late=False)(execute)
    return app
