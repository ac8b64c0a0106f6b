"""One job from claim to finish: open, execute, stream, publish. No Celery in it.

The thread that runs a statement is the only one that ends its job, unless it is stuck; everything another thread may
do to it goes through `RunningJob`.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

from executor.adapters import make_adapter
from executor.adapters.base import Adapter
from executor.errors import ErrorCode, ExecutorError, SourceFailed, StatementFailed
from executor.jobs import JobKind, JobState, Limits
from executor.results import ResultStore
from executor.running import RunningJob, StoppedFromOutside
from executor.settings import ExecutorSettings
from executor.signing import Signer
from executor.store import BROKER_ERRORS, WorkerStore, result_fields

log = logging.getLogger(__name__)

_SAY_FOR_S = 60.0
"""How long a worker tries to tell a broker that is away how a job ended."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a verified payload asks for."""

    kind: JobKind
    source: str
    sql: str
    limits: Limits

    @classmethod
    def of(cls, payload: dict[str, Any]) -> Order:
        """From the signed payload's fields."""
        return cls(JobKind(payload["kind"]), payload["source"], payload["sql"], Limits(**payload["limits"]))


class Runner:
    """Executes jobs in the threads that call `run`. Adapters are made when a source is first used."""

    def __init__(
        self, settings: ExecutorSettings, store: WorkerStore, results: ResultStore, signer: Signer, worker: str
    ) -> None:
        self._settings = settings
        self._store = store
        self._results = results
        self._signer = signer
        self._worker = worker
        self._adapters: dict[str, Adapter] = {}
        self._adapters_lock = threading.Lock()
        # by attempt: after a lost lease the next attempt may come to this very worker
        self._running: dict[tuple[str, str], RunningJob] = {}
        self._leaving = False

    # -- what other threads ask ------------------------------------------------------------------------------------

    def running(self) -> list[RunningJob]:
        """The jobs that are running in this process now."""
        return list(self._running.values())

    def cancel(self, job_id: str) -> None:
        """Stops the job if it runs here."""
        for job in self.running():
            if job.job_id == job_id:
                job.stop("cancelled")

    def leave(self) -> None:
        """Stops everything because the process is going; jobs go back in line."""
        self._leaving = True
        for job in self.running():
            job.stop("left")

    def adapter(self, source: str) -> Adapter:
        """The source's adapter. Raises `SourceFailed` for an unknown source or a missing driver."""
        with self._adapters_lock:
            if source not in self._adapters:
                config = self._settings.sources.get(source)
                if config is None:
                    raise SourceFailed(
                        ErrorCode.SOURCE_UNAVAILABLE,
                        f"The worker has no source named {source}.",
                        hint="Start servers and workers with the same configuration.",
                    )
                self._adapters[source] = make_adapter(source, config)
            return self._adapters[source]

    def close(self) -> None:
        """Closes every adapter's connections."""
        with self._adapters_lock:
            for adapter in self._adapters.values():
                adapter.close()
            self._adapters.clear()

    # -- one job ---------------------------------------------------------------------------------------------------

    def run(self, job_id: str, attempt: str) -> None:
        """Claims, executes and finishes one job. A stale ticket is let go without a word."""
        if self._leaving:
            return
        claim = self._store.claim(job_id, attempt, self._worker)
        if claim is None:
            return
        for earlier in self.running():
            if earlier.job_id == job_id:
                earlier.stop("lost")
        job = RunningJob(job_id, attempt)
        self._running[job_id, attempt] = job
        try:
            self._attempt(job, claim.payload, claim.signature, claim.deadline_at)
        finally:
            self._running.pop((job_id, attempt), None)
            job.is_over = True

    def _attempt(self, job: RunningJob, payload: str, signature: str, deadline_at: float) -> None:
        order: Order | None = None
        try:
            told = self._signer.open(payload, signature)
            self._check_order(job, told)
            order = Order.of(told)
            fields = self._execute(job, order, deadline_at)
        except StoppedFromOutside:
            self._end_stopped(job)
        except Exception as error:  # noqa: BLE001 - a job must end whatever is raised in it
            if job.stopped is not None:
                self._end_stopped(job)
            else:
                self._end_failed(job, self._as_ours(error, order))
        else:
            self._finish(job, JobState.SUCCEEDED, "done", fields)

    def _check_order(self, job: RunningJob, told: dict[str, Any]) -> None:
        config = self._settings.sources.get(told["source"])
        if told["job_id"] != job.job_id:
            raise StatementFailed(
                ErrorCode.STATEMENT_FAILED,
                "The statement was signed for another job; it was not run.",
                hint="Submit the statement again.",
            )
        if config is None or told["source_fingerprint"] != config.fingerprint():
            raise StatementFailed(
                ErrorCode.STATEMENT_EXPIRED,
                f"The configuration of source {told['source']} has changed since the statement was checked.",
                hint="Submit the statement again.",
            )
        if told["not_after"] < time.time():
            raise StatementFailed(
                ErrorCode.STATEMENT_EXPIRED,
                "The statement was checked too long ago to be run now.",
                hint="Submit the statement again.",
            )

    def _execute(self, job: RunningJob, order: Order, deadline_at: float) -> dict[str, str]:
        adapter = self.adapter(order.source)
        if order.kind is JobKind.INTROSPECT:
            job.check()
            schema = adapter.inspect()
            self._store.save_schema(order.source, schema.to_json())
            return {"rows": str(len(schema.tables))}
        if order.kind is JobKind.PROBE:
            return {"findings": json.dumps([asdict(finding) for finding in adapter.probe()])}
        seconds = min(order.limits.timeout_s, deadline_at - time.time())
        job.limit(seconds)
        if seconds <= 0:
            raise StatementFailed(
                ErrorCode.STATEMENT_TIMEOUT,
                "The job used up its time before this attempt could begin.",
                hint="Ask for less: filter, aggregate, or split the question.",
            )
        try:
            with adapter.session(timeout_s=seconds) as session:
                try:
                    job.attach(session)
                    rows = session.run(order.sql)
                    with self._results.writer(job.job_id, int(job.attempt), limits=order.limits) as writer:
                        job.watch(writer)
                        writer.start(rows.schema)
                        for batch in rows.batches:
                            job.check()
                            if not writer.write(batch):
                                # nobody will read on: without this the driver would drain the rest
                                session.cancel()
                                break
                        job.check()
                        summary = writer.finish()
                finally:
                    job.detach()
        except ExecutorError:
            raise
        except StoppedFromOutside:
            raise
        except Exception as error:
            raise adapter.classify(error) from error
        return result_fields(summary, writer.first_page)

    def _as_ours(self, error: Exception, order: Order | None) -> ExecutorError:
        if isinstance(error, ExecutorError):
            return error
        if order is not None and order.kind is not JobKind.QUERY and order.source in self._adapters:
            return self._adapters[order.source].classify(error)
        log.exception("job_crashed", exc_info=error)
        return StatementFailed(
            ErrorCode.STATEMENT_FAILED,
            f"Running the statement failed in an unexpected way ({type(error).__name__}).",
            hint="The worker's log has the details; the same statement will probably fail again.",
        )

    # -- the end ---------------------------------------------------------------------------------------------------

    def _finish(self, job: RunningJob, state: JobState, reason: str, fields: dict[str, str]) -> bool:
        until = time.monotonic() + _SAY_FOR_S
        while True:
            try:
                counts = self._store.finish(job.job_id, job.attempt, self._worker, state, reason, fields)
                break
            except BROKER_ERRORS as error:
                # the rows are there; only the word is missing, and saying it twice is harmless
                log.warning("finish_interrupted", extra={"job_id": job.job_id, "error": type(error).__name__})
                if self._leaving or time.monotonic() > until:
                    return False
                time.sleep(0.2)
        if not counts:
            log.warning("finish_refused", extra={"job_id": job.job_id, "attempt": job.attempt})
        return counts

    def _end_failed(self, job: RunningJob, error: ExecutorError) -> None:
        log.info("job_failed", extra={"job_id": job.job_id, "code": str(error.code)})
        fields = {"error": json.dumps(error.as_dict())}
        if self._finish(job, JobState.FAILED, str(error.code), fields):
            self._results.delete(job.job_id)

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
        if job.stopped == "cancelled":
            asked = job.stop_asked_at or time.monotonic()
            after = int((time.monotonic() - asked) * 1000)
            if self._finish(job, JobState.CANCELLED, "asked", {"stopped_after_ms": str(after)}):
                self._results.delete(job.job_id)

    def give_up(self, job: RunningJob) -> None:
        """Ends a cancelled job whose thread does not come back. The thread's own last word will not count."""
        self._running.pop((job.job_id, job.attempt), None)
        self._end_stopped(job)
