"""A configuration's `Figures` as Prometheus metrics, read at scrape time: the same from whichever server is asked.

Knows no HTTP. The names are in ``docs/monitoring.md``, each with what it means.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from executor.errors import ErrorCode
from executor.figures import HOW_SUBMITTED, Figures
from executor.jobs import JobKind, JobState

_ASKED_FOR = (JobKind.QUERY, JobKind.QUERY_RESULT, JobKind.ASK)
_TOLD_AT_ZERO = (
    ErrorCode.STATEMENT_FAILED,
    ErrorCode.STATEMENT_TIMEOUT,
    ErrorCode.STATEMENT_EXPIRED,
    ErrorCode.WORKER_LOST,
    ErrorCode.NO_WORKERS,
)
"""Ends that alerts look at: a series that begins with its first job has no rate before the second."""


def metrics_of(figures: Figures | None) -> Iterator[Metric]:
    """The metrics of a configuration; of a broker that did not answer (None), that it did not."""
    yield GaugeMetricFamily("awaitsql_broker_up", "Whether the broker answered this scrape.", value=figures is not None)
    if figures is not None:
        yield from _queues(figures)
        yield from _broker(figures)
        yield from _counters(figures)


def _queues(figures: Figures) -> Iterator[Metric]:
    queued = GaugeMetricFamily("awaitsql_queue_jobs", "Jobs in line.", labels=["queue"])
    age = GaugeMetricFamily("awaitsql_queue_age_seconds", "How long the first job in line waits.", labels=["queue"])
    busy = GaugeMetricFamily("awaitsql_slots_busy", "Jobs that workers run now.", labels=["queue"])
    alive = GaugeMetricFamily("awaitsql_workers_alive", "Worker processes that beat.", labels=["queue"])
    slots = GaugeMetricFamily("awaitsql_slots", "Jobs that the workers alive can run at once.", labels=["queue"])
    zombies = GaugeMetricFamily(
        "awaitsql_zombies", "Slots lost to threads that do not come back from a cancel.", labels=["queue"]
    )
    for queue in figures.queues:
        name = [queue.name]
        queued.add_metric(name, queue.queued)
        age.add_metric(name, queue.oldest_s)
        busy.add_metric(name, queue.running)
        alive.add_metric(name, queue.workers)
        slots.add_metric(name, queue.slots)
        zombies.add_metric(name, queue.zombies)
    yield from (queued, age, busy, alive, slots, zombies)
    yield GaugeMetricFamily("awaitsql_jobs_waiting", "Jobs that wait for an answer.", value=figures.waiting)


def _broker(figures: Figures) -> Iterator[Metric]:
    yield GaugeMetricFamily("awaitsql_broker_memory_bytes", "Memory the broker uses.", value=figures.memory_bytes)
    if figures.memory_limit_bytes is not None:
        yield GaugeMetricFamily(
            "awaitsql_broker_memory_limit_bytes", "Memory the broker may use.", value=figures.memory_limit_bytes
        )
    yield GaugeMetricFamily(
        "awaitsql_history_events_pending", "Events the history has not taken yet.", value=figures.events_pending
    )
    yield GaugeMetricFamily(
        "awaitsql_history_lag_seconds",
        "Age of the oldest event that the history has not taken.",
        value=figures.history_lag_s,
    )


def _counters(figures: Figures) -> Iterator[Metric]:
    submitted = CounterMetricFamily(
        "awaitsql_jobs_submitted", "Jobs by how they come to their rows.", labels=["kind", "how"]
    )
    told = {(str(kind), how): 0 for kind in _ASKED_FOR for how in HOW_SUBMITTED} | dict(figures.submitted)
    for key, number in told.items():
        submitted.add_metric(list(key), number)
    yield submitted
    ended = CounterMetricFamily("awaitsql_jobs_ended", "Jobs by how they ended.", labels=["kind", "state", "code"])
    ends = [(str(JobState.SUCCEEDED), ""), (str(JobState.CANCELLED), "")]
    ends += [(str(JobState.FAILED), str(code)) for code in _TOLD_AT_ZERO]
    for key, number in ({(str(kind), *end): 0 for kind in _ASKED_FOR for end in ends} | dict(figures.ended)).items():
        ended.add_metric(list(key), number)
    yield ended
    lost = CounterMetricFamily("awaitsql_leases_lost", "Jobs whose worker was not heard of any more.", labels=["queue"])
    for queue in figures.queues:
        lost.add_metric([queue.name], figures.leases_lost.get(queue.name, 0))
    yield lost
