"""The peer of `submit.py`: a Celery worker whose task makes the same database call and nothing else.

Started by that script with the broker's URL and a source's settings as JSON. The task runs the statement through the
same adapter, keeps the rows as JSON under the ticket's id and publishes the id: no job row, no lease, no limits, no
signature, no result store, no cancel.
"""

from __future__ import annotations

import json
import sys

import redis
from celery import Celery
from pydantic import TypeAdapter

from executor.adapters import make_adapter
from executor.queue import kombu_url
from executor.sources import AnySource

THREADS = 8
QUEUE = "bare"
DONE = "bare:done"


def make_app(broker_url: str) -> Celery:
    """Celery as its documentation sets it up for short tasks: no results, no prefetch beyond one, no events."""
    app = Celery("bare", broker=kombu_url(broker_url), set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
    )
    return app


def main() -> None:
    broker_url, told = sys.argv[1:]
    adapter = make_adapter("peer", TypeAdapter(AnySource).validate_json(told))
    kept = redis.Redis.from_url(broker_url)
    app = make_app(broker_url)

    def run(ticket: str, sql: str) -> None:
        with adapter.session(timeout_s=60) as session:
            rows = session.run(sql)
            names = rows.schema.names
            answer = [list(row.values()) for batch in rows.batches for row in batch.to_pylist()]
        with kept.pipeline(transaction=False) as both:
            both.set(f"bare:{ticket}", json.dumps([names, answer]), ex=60)
            both.publish(DONE, ticket)
            both.execute()

    app.task(name="bare.run")(run)
    app.WorkController(
        pool="threads",
        concurrency=THREADS,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    ).start()


if __name__ == "__main__":
    main()
