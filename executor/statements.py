"""One statement in a session of its database: its plan held to the cost gate, its rows streamed into the store.

Knows no claim and no end of a job.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Literal

from executor.adapters.base import Adapter, Session
from executor.answers import InputNeeded
from executor.costs import answered_cost, confirmable, confirmation, cost_request, hold, in_words
from executor.errors import ErrorCode, ExecutorError, StatementFailed
from executor.job_row import result_fields
from executor.jobs import CostGate, JobKind
from executor.open_sources import OpenSources
from executor.orders import Order
from executor.results import ResultStore
from executor.running import SLOW_STORE_S, RunningJob, StoppedFromOutside
from executor.running_jobs import RunningJobs
from executor.signing import Signer
from executor.store import WorkerStore
from executor.tracing import Span, Traces


class Statements:
    """Runs those of one worker process, each in the thread that calls.

    Args:
        store: keeps what a job tells.
        results: keeps the rows.
        signer: signs what a caller may confirm.
        worker: the name that leases are held under.
        jobs: beat for a job before its statement begins.
        sources: what is open.
        traces: of the process.
    """

    def __init__(
        self,
        store: WorkerStore,
        results: ResultStore,
        signer: Signer,
        worker: str,
        jobs: RunningJobs,
        sources: OpenSources,
        traces: Traces,
    ) -> None:
        self._store = store
        self._results = results
        self._signer = signer
        self._worker = worker
        self._jobs = jobs
        self._sources = sources
        self._traces = traces

    def run(self, job: RunningJob, order: Order, adapter: Adapter, *, timeout_s: float) -> dict[str, str]:
        """Explains where that is asked for, runs, and streams; the fields of the job's row.

        Raises:
            ExecutorError: as the adapter classifies what its driver raised.
            InputNeeded: the statement's cost is to be confirmed.
            StoppedFromOutside: the job was told to stop.
        """
        try:
            with ExitStack() as lent:
                with job.connecting:
                    session = lent.enter_context(adapter.session(timeout_s=timeout_s, name=job.name))
                try:
                    job.attach(session)
                    if order.session:
                        session.take_on(dict(order.session))
                    if job.query_id is not None and not self._is_known(job):
                        # before the statement: killed from here on, somebody knows what to stop on the server
                        self._jobs.tell(job)
                        job.check()
                    if order.kind is JobKind.DRY_RUN or order.cost is not None:
                        self._explain(job, order, session)
                    if order.kind is JobKind.DRY_RUN:
                        return {"rows": "0"}
                    return self.stream(job, order, session)
                finally:
                    job.detach()
        except (ExecutorError, StoppedFromOutside, InputNeeded):
            raise
        except Exception as error:
            raise adapter.classify(error) from error

    @staticmethod
    def _is_known(job: RunningJob) -> bool:
        """Whether the session is the one that the job's row has named since the claim, and the lease still ours."""
        return job.query_id == job.name and time.monotonic() < job.sure_until

    def stream(self, job: RunningJob, order: Order, session: Session) -> dict[str, str]:
        """Runs the order's text in `session`, and keeps its rows; the fields of the job's row.

        Raises: whatever a driver raises, `ExecutorError` of the store, or `StoppedFromOutside`.
        """
        operation = "EXPLAIN" if order.sql.startswith("EXPLAIN") else "SELECT"
        with self._on_database(job, order, session, operation) as span:
            fields = self._streamed(job, order, session)
            span.tell("db.response.returned_rows", int(fields["rows"]))
            return fields

    def _explain(self, job: RunningJob, order: Order, session: Session) -> None:
        """Asks the database what it expects, keeps that, and holds the statement to its cost gate.

        Raises:
            StatementFailed: ``too_expensive`` or ``needs_confirmation``; not for a dry run, which costs nothing.
            InputNeeded: in place of the latter, where somebody is there to ask.
        """
        job.stage = "explaining"
        with self._on_database(job, order, session, "EXPLAIN"), job.database:
            found = session.explain(order.sql)
        job.check()
        # exact numbers, and a plan's conditions, would tell of rows that the caller may not see
        estimate = {"cost": in_words(found.cost, is_filtered=order.is_filtered)}
        if found.rows is not None:
            estimate["rows"] = in_words(found.rows, is_filtered=order.is_filtered)
        job.notes["estimate"] = json.dumps(estimate)
        if order.kind is JobKind.DRY_RUN:
            job.notes["plan"] = json.dumps([] if order.is_filtered else list(found.plan))
        self._store.note(job.job_id, job.attempt, self._worker, job.notes)
        gate = order.cost or CostGate()
        yes = answered_cost(gate, job.answers)
        confirmed = order.confirmed if yes is None else yes
        try:
            expensive = hold(gate, found.cost, confirmed=confirmed, is_filtered=order.is_filtered)
        except StatementFailed as error:
            if order.kind is JobKind.DRY_RUN:
                job.notes["expensive"] = error.message.removesuffix(" It was not run.")
                return
            if error.code is ErrorCode.NEEDS_CONFIRMATION:
                cost = confirmable(found.cost, is_filtered=order.is_filtered)
                if order.asks:
                    raise InputNeeded(cost_request(error.message, gate, cost)) from None
                job.notes["confirm_by"] = gate.confirm_by
                job.notes["confirmation"] = confirmation(
                    self._signer, owner=order.owner, fingerprint=order.fingerprint, cost=cost, now=self._store.now()
                )
            raise
        if expensive:
            job.notes["expensive"] = expensive
        job.stage = "executing"

    @contextmanager
    def _on_database(
        self, job: RunningJob, order: Order, session: Session, operation: Literal["SELECT", "EXPLAIN"]
    ) -> Generator[Span]:
        """Around a statement on a database: the statement's span, and the comment by which it is found there."""
        config = self._sources.settings.sources.get(order.source)
        adapter = self._sources.known(order.source)

        def code_of(error: Exception) -> str:
            if job.stopped is not None:
                return job.stopped
            if isinstance(error, ExecutorError) or adapter is None:
                return str(getattr(error, "code", type(error).__name__))
            return str(adapter.classify(error).code)

        with self._traces.statement(
            order.source,
            config,
            operation=operation,
            tables=[touch.table for touch in order.proof],
            text=lambda: self._store.shown_sql(job.job_id),
            code_of=code_of,
        ) as span:
            if comment := span.comment(job.job_id):
                session.mark(comment)
            yield span

    def _streamed(self, job: RunningJob, order: Order, session: Session) -> dict[str, str]:
        began = time.monotonic()
        with job.database:
            rows = session.run(order.sql)
        writer = self._results.writer(job.job_id, int(job.attempt), limits=order.limits)
        job.watch(writer)
        with writer:
            writer.start(rows.schema)
            while True:
                with job.database:
                    batch = next(rows.batches, None)
                if batch is None:
                    break
                job.check()
                if not writer.write(batch):
                    # nobody will read on: without this the driver would drain the rest
                    session.cancel()
                    break
            job.check()
            summary = writer.finish()
            waited_s = writer.patience.total_s
        if waited_s > max(SLOW_STORE_S, (time.monotonic() - began) / 2):
            job.notes["slow_store"] = f"{waited_s:.1f}"
        return result_fields(summary, writer.first_page)
