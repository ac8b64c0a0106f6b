"""What one worker process counts and measures. Its instruments stand on a registry that it is given; no global one.

Labels are words of our own and names of configured sources: no SQL, no principal, nothing of anybody's rows. Knows no
HTTP; `executor.metrics_page` serves the registry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, PlatformCollector, ProcessCollector

from executor.jobs import JobKind, JobState

Wait = Literal["worker", "connection", "database", "store"]
"""What a job waits for: a worker to take it; a connection of the source's pool; the database, while it explains, runs
and gives its rows; the place where results are kept."""

Gone = Literal["expired", "orphaned", "evicted"]
"""Why rows were deleted: their time was over; no job has them any more; newer ones needed the room."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
_ROWS = (0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_BYTES = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)


def process_registry(version: str) -> CollectorRegistry:
    """A new registry with what every process of ours tells: its version, its memory, its processor time."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    Info("awaitsql_build", "The version that runs here.", registry=registry).info({"version": version})
    return registry


class WorkerMetrics:
    """The instruments of a worker, of statements or of another queue. Thread-safe."""

    def __init__(self, registry: CollectorRegistry, *, slots: int, busy: Callable[[], int]) -> None:
        """Makes the instruments.

        Args:
            registry: where they stand.
            slots: jobs that this process can run at once.
            busy: how many it runs now.
        """
        Gauge("awaitsql_worker_slots", "Jobs that this process can run at once.", registry=registry).set(slots)
        Gauge("awaitsql_worker_slots_busy", "Jobs that this process runs now.", registry=registry).set_function(busy)
        self._waits = Histogram(
            "awaitsql_wait_seconds",
            "What a job's attempt waited for, in all.",
            ["wait", "source"],
            registry=registry,
            buckets=_SECONDS,
        )
        self._runs = Histogram(
            "awaitsql_run_seconds",
            "From claim to end of a job's attempt.",
            ["kind", "state"],
            registry=registry,
            buckets=_SECONDS,
        )
        self._rows = Histogram("awaitsql_result_rows", "Rows kept.", ["source"], registry=registry, buckets=_ROWS)
        self._bytes = Histogram(
            "awaitsql_result_bytes", "Bytes kept, as Arrow in memory.", ["source"], registry=registry, buckets=_BYTES
        )
        self._deleted = Counter(
            "awaitsql_results_deleted", "Results deleted from where they are kept.", ["why"], registry=registry
        )
        for why in ("expired", "orphaned", "evicted"):
            self._deleted.labels(why)

    def waited(self, wait: Wait, source: str, seconds: float) -> None:
        """An attempt at a job on `source` waited so long."""
        self._waits.labels(wait, source).observe(seconds)

    def ended(self, kind: JobKind, state: JobState, seconds: float) -> None:
        """An attempt came to this state, `seconds` after it was claimed; `waiting` where it asks something."""
        self._runs.labels(kind, state).observe(seconds)

    def kept(self, source: str, *, rows: int, size: int) -> None:
        """A result of so many rows and bytes is whole."""
        self._rows.labels(source).observe(rows)
        self._bytes.labels(source).observe(size)

    def deleted(self, why: Gone) -> None:
        """A result is gone."""
        self._deleted.labels(why).inc()
