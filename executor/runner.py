"""One job from claim to finish, and which end it comes to. No Celery in it; what an order does is `executing`'s.

The thread that runs a statement is the only one that ends its job, unless it is stuck; everything another thread may
do to it goes through `RunningJobs`.
"""

from __future__ import annotations

import json
import logging

from executor.adapters.base import crashed
from executor.answering import opened_answers
from executor.answers import InputNeeded
from executor.claims import Claims
from executor.endings import Endings
from executor.errors import ErrorCode, ExecutorError, StatementFailed
from executor.executing import Executing
from executor.jobs import JobState
from executor.leaving import Leaving
from executor.metrics import WorkerMetrics
from executor.open_sources import OpenSources
from executor.orders import ASKED, Order
from executor.profiling.profiler import GaveWay
from executor.results import ResultStore
from executor.running import RunningJob, StoppedFromOutside
from executor.running_jobs import RunningJobs
from executor.settings import ExecutorSettings
from executor.signing import Signer
from executor.stopping import Stopping
from executor.store import Claim, WorkerStore
from executor.tracing import traces_of

log = logging.getLogger(__name__)


class Runner:
    """Executes jobs in the threads that call `run`. Adapters are made when a source is first used."""

    def __init__(
        self,
        settings: ExecutorSettings,
        store: WorkerStore,
        results: ResultStore,
        signer: Signer,
        worker: str,
        leaving: Leaving,
        metrics: WorkerMetrics,
        jobs: RunningJobs,
    ) -> None:
        self._results = results
        self._signer = signer
        self._metrics = metrics
        self._jobs = jobs
        self._open = OpenSources(settings, jobs.now)
        self._traces = traces_of(settings.tracing)
        self._claims = Claims(store, signer, worker, leaving, lambda: self.settings)
        self._executing = Executing(settings, store, results, signer, worker, jobs, self._open, self._traces)
        self._stopping = Stopping(store, self._open, worker)
        self._endings = Endings(store, signer, worker, leaving, metrics, input_timeout_s=settings.input_timeout_s)

    # -- what other threads ask ------------------------------------------------------------------------------------

    def give_up(self, job: RunningJob) -> None:
        """Ends a cancelled job whose thread does not come back. The thread's own last word will not count."""
        self._jobs.give_up(job)
        self._end_stopped(job)

    def stop_left_running(self) -> None:
        """Stops statements that dead workers left on their servers. See `Stopping.stop_left_running`."""
        self._stopping.stop_left_running()

    @property
    def settings(self) -> ExecutorSettings:
        """Those that hold now."""
        return self._open.settings

    def reload(self, settings: ExecutorSettings) -> None:
        """From now on the sources of `settings` are those there are. What runs on another one goes on."""
        self._open.reload(settings)

    def close(self) -> None:
        """Closes every source's connections."""
        self._open.close()

    # -- one job ---------------------------------------------------------------------------------------------------

    def run(self, job_id: str, attempt: str) -> None:
        """Claims, executes and finishes one job. A stale ticket is let go without a word, a good one in time."""
        with self._jobs.claiming():
            claim = self._claims.claim(job_id, attempt)
            if claim is None:
                return
            with self._traces.attempt(claim.trace, job_id, attempt, source=claim.source, queue="") as span:
                job = RunningJob(job_id, attempt, claim.source, sure_until=claim.sure_until, span=span)
                try:
                    with self._jobs.working_on(job):
                        self._attempt(job, claim)
                finally:
                    self._open.tidy()
                    self._stopping.came_back(job)

    def _attempt(self, job: RunningJob, claim: Claim) -> None:
        order: Order | None = None
        try:
            order = self._claims.order(claim)
            job.span.tell("awaitsql.job.kind", order.kind)
            self._claims.check(order, claim, job)
            self._metrics.waited("worker", order.source, claim.waited_s)
            job.answers = opened_answers(self._signer, claim.answers, job_id=job.job_id)
            fields = self._executing.execute(job, order, claim.ends_at)
        except StoppedFromOutside:
            if not job.is_given_up:
                self._end_stopped(job)
        except GaveWay:
            log.info("profile_gave_way", extra={"job_id": job.job_id, "source": job.source})
        except InputNeeded as needed:
            self._endings.ask(job, needed.request)
        except Exception as error:  # noqa: BLE001 - a job must end whatever is raised in it
            if job.is_given_up:
                return
            if job.stopped is not None:
                self._end_stopped(job)
            else:
                failed = self._as_ours(error, order)
                if order is not None and order.is_rewritten:
                    failed.position = None  # it counts the policy's own characters
                self._end_failed(job, failed)
        else:
            self._endings.finish(job, JobState.SUCCEEDED, "done", fields)

    def _as_ours(self, error: Exception, order: Order | None) -> ExecutorError:
        if isinstance(error, ExecutorError):
            return error
        is_asked = order is None or order.kind in ASKED
        known = None if order is None or is_asked else self._open.known(order.source)
        if known is not None:
            return known.classify(error)
        return crashed(error)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _end_failed(self, job: RunningJob, error: ExecutorError) -> None:
        log.info("job_failed", extra={"job_id": job.job_id, "code": str(error.code)})
        fields = {"error": json.dumps(error.as_dict())}
        is_late = error.code is ErrorCode.STATEMENT_TIMEOUT and job.has_begun
        seen = self._stopping.seen(job) if is_late else {}
        if seen:
            seen["stopped_after_ms"] = str(job.late_ms)
        if self._endings.finish(job, JobState.FAILED, str(error.code), {**fields, **seen}):
            self._drop_rows(job)
            if is_late and not seen:
                self._stopping.abandon(job)

    def _end_stopped(self, job: RunningJob) -> None:
        if job.stopped == "late":
            self._end_failed(
                job,
                StatementFailed(
                    ErrorCode.STATEMENT_TIMEOUT,
                    "The statement used up its time and could not be stopped by the database.",
                    hint="Ask for less: filter, aggregate, or split the question.",
                ),
            )
        elif job.stopped == "cancelled":
            seen = self._stopping.seen(job)
            if self._endings.finish(job, JobState.CANCELLED, "asked", seen):
                self._drop_rows(job)
                if not seen:
                    self._stopping.abandon(job)
        elif job.stopped == "left":
            seen_how = self._stopping.seen(job).get("stop_seen", "")
            log.info("job_given_back", extra={"job_id": job.job_id, "source": job.source, "seen": seen_how})
            self._endings.give_back(job, seen_how)

    def _drop_rows(self, job: RunningJob) -> None:
        try:
            self._results.delete(job.job_id)
        except ExecutorError as error:  # the sweeper will find them
            log.warning("rows_left_behind", extra={"job_id": job.job_id, "code": str(error.code)})
