"""The last word of an attempt at a job, said until the broker has heard it, and what is measured then.

Of statements and of bodies alike. Does not know why the job ends so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from executor.answering import signed_request
from executor.answers import InputRequest
from executor.connections import BROKER_ERRORS
from executor.jobs import JobState
from executor.leaving import Leaving
from executor.metrics import WorkerMetrics
from executor.orders import ASKED
from executor.running import RunningJob
from executor.signing import Signer
from executor.store import WorkerStore

log = logging.getLogger(__name__)

_SAY_FOR_S = 60.0
"""How long a worker tries to tell a broker that is away how a job ended."""


class Endings:
    """Of the jobs of one worker process. Thread-safe.

    Each says whether its word counts: it does not where the lease was lost, or the broker stayed away.

    Args:
        store: where it is said.
        signer: signs what a job asks.
        worker: the name that leases are held under.
        leaving: a process that goes at once waits for no broker.
        metrics: of the process.
        input_timeout_s: how long a job waits for an answer.
    """

    def __init__(
        self,
        store: WorkerStore,
        signer: Signer,
        worker: str,
        leaving: Leaving,
        metrics: WorkerMetrics,
        *,
        input_timeout_s: float,
    ) -> None:
        self._store = store
        self._signer = signer
        self._worker = worker
        self._leaving = leaving
        self._metrics = metrics
        self._input_timeout_s = input_timeout_s

    def finish(self, job: RunningJob, state: JobState, reason: str, fields: Mapping[str, str]) -> bool:
        """The job is over.

        Args:
            job: the job that is held.
            state: a final one.
            reason: a word for the state; for a failed job, its error's code.
            fields: of the job's row, besides its notes.
        """
        told = {**job.notes, **fields}
        return self._say_and_measure(
            job,
            state,
            lambda: self._store.finish(job.job_id, job.attempt, self._worker, state, reason, told),
            code=reason if state is JobState.FAILED else "",
        )

    def ask(self, job: RunningJob, request: InputRequest) -> bool:
        """The job waits for an answer; a later attempt goes on with it."""
        log.info("job_asks", extra={"job_id": job.job_id, "purpose": request.purpose})
        signed = signed_request(self._signer, request, job_id=job.job_id, attempt=int(job.attempt))
        wait_s = self._input_timeout_s
        return self._say_and_measure(
            job,
            JobState.WAITING,
            lambda: self._store.wait(job.job_id, job.attempt, self._worker, signed, wait_s, job.notes),
        )

    def give_back(self, job: RunningJob, seen: str) -> bool:
        """Another worker has the job, at once.

        Args:
            job: the job that is held.
            seen: how its statement was seen to have stopped; empty where it was not.
        """
        return self._say(
            job, JobState.QUEUED, lambda: self._store.give_back(job.job_id, job.attempt, self._worker, seen)
        )

    def _say_and_measure(self, job: RunningJob, state: JobState, word: Callable[[], bool], *, code: str = "") -> bool:
        counts = self._say(job, state, word, code=code)
        if counts:
            self._measure(job, state)
        return counts

    def _say(self, job: RunningJob, state: JobState, word: Callable[[], bool], *, code: str = "") -> bool:
        """Says how an attempt ended, for its span and to the broker. `word` changes nothing when it is said twice."""
        job.span.tell("awaitsql.job.state", state)
        if code:
            job.span.fail(code)
        until = time.monotonic() + _SAY_FOR_S
        while True:
            try:
                counts = word()
                break
            except BROKER_ERRORS as error:
                log.warning("finish_interrupted", extra={"job_id": job.job_id, "error": type(error).__name__})
                if self._leaving.seconds_left < 0 or time.monotonic() > until:
                    return False
                time.sleep(0.2)
        if not counts:
            log.warning("finish_refused", extra={"job_id": job.job_id, "attempt": job.attempt})
        return counts

    def _measure(self, job: RunningJob, state: JobState) -> None:
        """What an attempt that came to its end took, and what it waited for; nothing of one whose order was no good."""
        if job.kind is None:
            return
        self._metrics.ended(job.kind, state, job.seconds)
        if job.kind not in ASKED:
            return
        self._metrics.waited("connection", job.source, job.connecting.total_s)
        self._metrics.waited("database", job.source, job.database.total_s + job.database.waiting_s)
        if job.stored_s is not None:
            self._metrics.waited("store", job.source, job.stored_s)
            if state is JobState.SUCCEEDED:
                self._metrics.kept(job.source, rows=job.rows, size=job.bytes)
