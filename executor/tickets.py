"""What Celery carries: a ticket (job id, attempt), and nothing else. Loads no Celery.

The submitting side pushes the message itself, from the same script that stores the job, so it never imports Celery;
`ticket_template` writes what Celery's protocol 2 and kombu's Redis transport would have sent.
Source: https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

from __future__ import annotations

import json

TASK = "awaitsql.execute"


def queue_name(namespace: str, queue: str = "") -> str:
    """The Redis list that is one of the configuration's Celery queues: that of statements, or the one of that name."""
    return f"{namespace}:{queue}:tickets" if queue else f"{namespace}:tickets"


def ticket_template(namespace: str, queue: str = "") -> str:
    """The kombu message of a ticket, with ``@JOB@``, ``@ATTEMPT@`` and ``@TAG@`` where a script writes its own.

    The body is not base64 (kombu's ``body_encoding`` option), so that a script can write into it.
    """
    routing_key = queue_name(namespace, queue)
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
        "delivery_info": {"exchange": "", "routing_key": routing_key},
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
