"""The jobs that run in this process now, and what other threads do to them: look, beat, cancel, give up.

Of statements and of bodies alike. Knows neither of the two, and not how a job ends.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

from executor.running import RunningJob
from executor.store import WorkerStore


class RunningJobs:
    """Of one process. Thread-safe.

    Args:
        store: where their leases are.
        worker: the name that the leases are held under.
    """

    def __init__(self, store: WorkerStore, worker: str) -> None:
        self._store = store
        self._worker = worker
        # by attempt: after a lost lease the next attempt may come to this very worker
        self._jobs: dict[tuple[str, str], RunningJob] = {}
        self._claiming: set[int] = set()
        self._has_left = False

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def are_at_work(self) -> bool:
        """Whether a job runs here, or may be about to: the broker may have given one that no thread has begun yet."""
        return bool(self._jobs or self._claiming)

    def now(self) -> list[RunningJob]:
        """Those that run at this moment."""
        return list(self._jobs.values())

    @contextmanager
    def claiming(self) -> Generator[None]:
        """This thread may come to have a job inside, until it is `working_on` it. To be entered before it claims."""
        thread = threading.get_ident()
        self._claiming.add(thread)
        try:
            yield
        finally:
            self._claiming.discard(thread)

    @contextmanager
    def working_on(self, job: RunningJob) -> Generator[None]:
        """The job counts as running inside; an earlier attempt at it that runs here still has lost its lease."""
        for earlier in self.now():
            if earlier.job_id == job.job_id:
                earlier.stop("lost")
        self._jobs[job.job_id, job.attempt] = job
        self._claiming.discard(threading.get_ident())
        if self._has_left:
            job.stop("left")
        try:
            yield
        finally:
            if job.stopped is not None:
                job.span.tell("awaitsql.job.stopped", job.stopped)
            self._forget(job)
            job.is_over = True

    def tell(self, job: RunningJob) -> None:
        """Beats for the job: extends its lease, tells how far it is, and hears whether it is to stop.

        Raises:
            RedisError: the broker did not answer.
        """
        answer = self._store.beat(
            job.job_id,
            job.attempt,
            self._worker,
            stage=job.stage,
            rows=job.rows,
            size=job.bytes,
            query_id=job.query_id,
        )
        if answer == "lost":
            job.stop("lost")
        elif answer == "cancel":
            job.stop("cancelled")

    def cancel(self, job_id: str) -> None:
        """Stops the job if it runs here."""
        for job in self.now():
            if job.job_id == job_id:
                job.stop("cancelled")

    def leave(self) -> None:
        """Stops everything because the process is going; each job goes back in line when it has stopped."""
        self._has_left = True  # for what is claimed at this moment
        for job in self.now():
            job.stop("left")

    def give_up(self, job: RunningJob) -> None:
        """Counts a job no more that does not come back. The last word of what runs it will not count."""
        self._forget(job)
        job.is_given_up = True

    def _forget(self, job: RunningJob) -> None:
        self._jobs.pop((job.job_id, job.attempt), None)
