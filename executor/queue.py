"""What Celery carries: a ticket (job id, attempt), and nothing else. Also makes the Celery app of a worker.

The submitting side pushes the message itself, from the same script that stores the job, so it never imports Celery;
`ticket_template` writes what Celery's protocol 2 and kombu's Redis transport would have sent.
Source: https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from celery import Celery

TASK = "awaitsql.execute"


def queue_name(namespace: str) -> str:
    """The Redis list that is the configuration's Celery queue."""
    return f"{namespace}:tickets"


def ticket_template(namespace: str) -> str:
    """The kombu message of a ticket, with ``@JOB@``, ``@ATTEMPT@`` and ``@TAG@`` where a script writes its own.

    The body is not base64 (kombu's ``body_encoding`` option), so that a script can write into it.
    """
    queue = queue_name(namespace)
    body = json.dumps([["@JOB@", "@ATTEMPT@"], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    headers = {
        "lang": "py",
        "task": TASK,
        "id": "@TAG@",
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": "@TAG@",
        "parent_id": None,
        "argsrepr": "('@JOB@', '@ATTEMPT@')",
        "kwargsrepr": "{}",
        "origin": "awaitsql",
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    properties = {
        "correlation_id": "@TAG@",
        "reply_to": "",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        "body_encoding": None,
        "delivery_tag": "@TAG@",
    }
    message = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": properties,
    }
    return json.dumps(message)


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
    from celery import Celery  # noqa: PLC0415 - only workers pay for Celery
    from kombu.entity import Queue  # noqa: PLC0415 - as above

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
