"""One job from claim to finish: open, execute, stream, publish. No Celery in it.

The thread that runs a statement is the only one that ends its job, unless it is stuck; everything another thread may
do to it goes through `RunningJob`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Literal

from executor.adapters.base import Adapter, Session
from executor.answering import opened_answers, signed_request
from executor.answers import InputNeeded, InputRequest
from executor.costs import answered_cost, confirmable, confirmation, cost_request, hold, in_words
from executor.endings import say
from executor.errors import ErrorCode, ExecutorError, StatementFailed
from executor.job_row import result_fields
from executor.jobs import CostGate, JobKind, JobState
from executor.leaving import Leaving
from executor.metrics import WorkerMetrics
from executor.open_sources import OpenSources
from executor.orders import Order
from executor.profiling.profiler import GaveWay, Profiler
from executor.profiling.reading import Reading
from executor.reading import check_input
from executor.results import ResultStore
from executor.results.opening import open_value_lists
from executor.running import SLOW_STORE_S, RunningJob, StoppedFromOutside
from executor.settings import ExecutorSettings
from executor.signing import Signer
from executor.sources import SourceSchema
from executor.stops import see_the_end
from executor.store import Claim, WorkerStore
from executor.timers import Timers
from executor.tracing import Span, traces_of

log = logging.getLogger(__name__)

_STATEMENTS = (JobKind.QUERY, JobKind.DRY_RUN, JobKind.QUERY_RESULT)

_SEE_S = 1.5
"""How long it is looked whether a server has stopped a statement before the job ends without that proof."""


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
    ) -> None:
        self._settings = settings
        self._store = store
        self._results = results
        self._signer = signer
        self._worker = worker
        self._open = OpenSources(settings, self.running)
        self._metrics = metrics
        # by attempt: after a lost lease the next attempt may come to this very worker
        self._running: dict[tuple[str, str], RunningJob] = {}
        self._leaving = leaving
        self._policy = (float("-inf"), "")
        self._timers = Timers()
        self._traces = traces_of(settings.tracing)

    # -- what other threads ask ------------------------------------------------------------------------------------

    def running(self) -> list[RunningJob]:
        """The jobs that are running in this process now."""
        return list(self._running.values())

    def cancel(self, job_id: str) -> None:
        """Stops the job if it runs here."""
        for job in self.running():
            if job.job_id == job_id:
                job.stop("cancelled")

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

    def stop_left_running(self) -> None:
        """Stops statements that dead workers left on their servers, and tells when each was seen to have stopped.

        Raises: whatever a driver raises, or the broker; what was not stopped is tried again later.
        """
        while (left := self._store.take_stop()) is not None:
            if self.settings.fingerprint_of(left.source) != left.source_print:
                # the server of now is not the one it runs on, and has nothing to say of it
                log.warning("orphan_statement_out_of_reach", extra={"job_id": left.job_id, "source": left.source})
                continue
            adapter = self._open.adapter(left.source)
            found = adapter.stop(left.query_id)
            how = see_the_end(adapter, left.query_id, within_s=_SEE_S)
            log.warning(
                "orphan_statement_stopped",
                extra={"job_id": left.job_id, "source": left.source, "found": found, "seen": how},
            )
            if how is not None:
                self._store.stopped(left.job_id, how, left.entry)

    def leave(self) -> None:
        """Stops everything because the process is going; each job goes back in line when its statement has stopped."""
        for job in self.running():
            job.stop("left")

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
        if self._leaving.has_begun:
            self._store.return_ticket(job_id, attempt)
            return
        claim = self._store.claim(job_id, attempt, self._worker, self.settings.source_fingerprints())
        if claim is None:
            return
        for earlier in self.running():
            if earlier.job_id == job_id:
                earlier.stop("lost")
        with self._traces.attempt(claim.trace, job_id, attempt, source=claim.source, queue="") as span:
            self._run(RunningJob(job_id, attempt, claim.source, span=span), claim)

    def _run(self, job: RunningJob, claim: Claim) -> None:
        job_id, attempt = job.job_id, job.attempt
        self._running[job_id, attempt] = job
        try:
            self._attempt(job, claim)
        finally:
            if job.stopped is not None:
                job.span.tell("awaitsql.job.stopped", job.stopped)
            self._running.pop((job_id, attempt), None)
            job.is_over = True
            self._open.tidy()
            if job.is_given_up and job.query_id is None:
                # its end was told before, without the proof
                self._store.stopped(job_id, "call")

    def _attempt(self, job: RunningJob, claim: Claim) -> None:
        order: Order | None = None
        try:
            order = Order.of(self._signer.open(claim.payload, claim.signature))
            job.span.tell("awaitsql.job.kind", order.kind)
            order.check(
                job_id=job.job_id,
                owner=claim.owner,
                source=claim.source,
                source_fingerprint=self.settings.fingerprint_of(order.source),
                policy_version=self._policy_version(claim),
                now=time.time(),
            )
            job.kind = order.kind
            self._metrics.waited("worker", order.source, claim.waited_s)
            job.answers = opened_answers(self._signer, claim.answers, job_id=job.job_id)
            fields = self._execute(job, order, claim.ends_at)
        except StoppedFromOutside:
            if not job.is_given_up:
                self._end_stopped(job)
        except GaveWay:
            log.info("profile_gave_way", extra={"job_id": job.job_id, "source": job.source})
        except InputNeeded as needed:
            self._ask(job, needed.request)
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
            self._finish(job, JobState.SUCCEEDED, "done", fields)

    def _policy_version(self, claim: Claim) -> str:
        """The version of the policies that holds. An older word than one heard before does not count: it was replayed.

        Raises:
            StatementFailed: what the broker says of it was not signed with our key.
        """
        if claim.policy[0]:
            told = self._signer.open(*claim.policy)
            self._policy = max(self._policy, (float(told["issued_at"]), str(told["policy_version"])))
        return self._policy[1]

    def _execute(self, job: RunningJob, order: Order, ends_at: float) -> dict[str, str]:
        if order.kind is JobKind.QUERY_RESULT:
            return self._query_results(job, order, self._seconds(job, order, ends_at))
        adapter = self._open.lend(job, order.source, order.source_fingerprint)
        if order.kind is JobKind.INTROSPECT:
            job.check()
            schema = adapter.inspect()
            self._store.save_schema(self._signer, order.source, order.source_fingerprint, schema.to_json())
            return {"rows": str(len(schema.tables))}
        if order.kind is JobKind.PROBE:
            findings = adapter.probe()
            told = {"findings": json.dumps([asdict(finding) for finding in findings])}
            if all(finding.level != "error" for finding in findings):
                told["connections"] = json.dumps(adapter.most_connections())
            return told
        if order.kind is JobKind.PROFILE:
            return self._profile(job, order, adapter, ends_at)
        seconds = self._seconds(job, order, ends_at)
        try:
            with ExitStack() as lent:
                with job.connecting:
                    session = lent.enter_context(adapter.session(timeout_s=seconds))
                try:
                    job.attach(session)
                    if order.session:
                        session.take_on(dict(order.session))
                    if job.query_id is not None:
                        # before the statement: killed from here on, somebody knows what to stop on the server
                        self.tell(job)
                        job.check()
                    if order.kind is JobKind.DRY_RUN or order.cost is not None:
                        self._explain(job, order, session)
                    if order.kind is JobKind.DRY_RUN:
                        return {"rows": "0"}
                    return self._stream(job, order, session)
                finally:
                    job.detach()
        except (ExecutorError, StoppedFromOutside, InputNeeded):
            raise
        except Exception as error:
            raise adapter.classify(error) from error

    def _profile(self, job: RunningJob, order: Order, adapter: Adapter, ends_at: float) -> dict[str, str]:
        job.stage = "profiling"
        schema = self._store.schema(self._signer, order.source, order.source_fingerprint)
        if schema is None:
            schema = adapter.inspect().to_json()
            self._store.save_schema(self._signer, order.source, order.source_fingerprint, schema)
        settings = self._settings.profile

        def note(done: int, total: int) -> None:
            job.notes |= {"tables_done": str(done), "tables_total": str(total)}
            self._store.note(job.job_id, job.attempt, self._worker, job.notes)

        profiler = Profiler(
            Reading(adapter, job, self.tell, timeout_s=settings.table_timeout_s, ends_at=ends_at),
            adapter,
            SourceSchema.from_json(schema),
            self._store.profile(self._signer, order.source, order.source_fingerprint),
            open_value_lists(self._settings),
            settings,
            note=note,
            give_way=lambda: self._store.give_way(job.job_id, job.attempt, self._worker),
            now=self._store.now,
        )
        try:
            read = profiler.run(order.profiled, anew_since=order.anew_since)
        except (ExecutorError, StoppedFromOutside, GaveWay):
            raise
        except Exception as error:
            raise adapter.classify(error) from error
        return {"rows": str(read)}

    def _seconds(self, job: RunningJob, order: Order, ends_at: float) -> float:
        """What the statement has, from now.

        Raises:
            StatementFailed: ``statement_timeout`` when that is nothing.
        """
        seconds = min(order.limits.timeout_s, ends_at - time.monotonic())
        job.limit(seconds)
        if seconds <= 0:
            raise StatementFailed(
                ErrorCode.STATEMENT_TIMEOUT,
                "The job used up its time before this attempt could begin.",
                hint="Ask for less: filter, aggregate, or split the question.",
            )
        return seconds

    def _query_results(self, job: RunningJob, order: Order, seconds: float) -> dict[str, str]:
        # with its driver: only workers that are asked need it
        from executor.adapters.duckdb_results import classify_over_results, results_session  # noqa: PLC0415

        memory_mb = self._settings.query_result_memory_mb
        for told in order.inputs:
            check_input(told, order.owner, self._store, self._signer)
        try:
            with results_session(
                {told.name: self._results.whole(told.rows_of, told.attempt) for told in order.inputs},
                memory_mb=memory_mb,
                timeout_s=seconds,
                timers=self._timers,
                check=job.check,
            ) as session:
                try:
                    job.attach(session)
                    return self._stream(job, order, session)
                finally:
                    job.detach()
        except StoppedFromOutside:
            raise
        except Exception as error:
            raise classify_over_results(error, memory_mb) from error

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
        config = self.settings.sources.get(order.source)
        adapter = self._open.known(order.source)

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

    def _stream(self, job: RunningJob, order: Order, session: Session) -> dict[str, str]:
        operation = "EXPLAIN" if order.sql.startswith("EXPLAIN") else "SELECT"
        with self._on_database(job, order, session, operation) as span:
            fields = self._streamed(job, order, session)
            span.tell("db.response.returned_rows", int(fields["rows"]))
            return fields

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

    def _as_ours(self, error: Exception, order: Order | None) -> ExecutorError:
        if isinstance(error, ExecutorError):
            return error
        is_asked = order is None or order.kind in (JobKind.QUERY, JobKind.DRY_RUN, JobKind.QUERY_RESULT)
        known = None if order is None or is_asked else self._open.known(order.source)
        if known is not None:
            return known.classify(error)
        log.exception("job_crashed", exc_info=error)
        return StatementFailed(
            ErrorCode.STATEMENT_FAILED,
            f"Running the statement failed in an unexpected way ({type(error).__name__}).",
            hint="The worker's log has the details; the same statement will probably fail again.",
        )

    # -- the end ---------------------------------------------------------------------------------------------------

    def _ask(self, job: RunningJob, request: InputRequest) -> None:
        """Lets the job wait for an answer; a later attempt goes on with it."""
        log.info("job_asks", extra={"job_id": job.job_id, "purpose": request.purpose})
        signed = signed_request(self._signer, request, job_id=job.job_id, attempt=int(job.attempt))
        asked = self._say(
            job,
            JobState.WAITING,
            lambda: self._store.wait(
                job.job_id, job.attempt, self._worker, signed, self._settings.input_timeout_s, job.notes
            ),
        )
        if asked:
            self._measure(job, JobState.WAITING)

    def _finish(self, job: RunningJob, state: JobState, reason: str, fields: dict[str, str]) -> bool:
        told = {**job.notes, **fields}
        counts = self._say(
            job,
            state,
            lambda: self._store.finish(job.job_id, job.attempt, self._worker, state, reason, told),
            code=reason if state is JobState.FAILED else "",
        )
        if counts:
            self._measure(job, state)
        return counts

    def _measure(self, job: RunningJob, state: JobState) -> None:
        """What an attempt that came to its end took, and what it waited for; nothing of one whose order was no good."""
        if job.kind is None:
            return
        self._metrics.ended(job.kind, state, job.seconds)
        if job.kind not in _STATEMENTS:
            return
        self._metrics.waited("connection", job.source, job.connecting.total_s)
        self._metrics.waited("database", job.source, job.database.total_s + job.database.waiting_s)
        if job.stored_s is not None:
            self._metrics.waited("store", job.source, job.stored_s)
            if state is JobState.SUCCEEDED:
                self._metrics.kept(job.source, rows=job.rows, size=job.bytes)

    def _say(self, job: RunningJob, state: JobState, word: Callable[[], bool], *, code: str = "") -> bool:
        return say(job, state, word, is_leaving=lambda: self._leaving.seconds_left < 0, code=code)

    def _end_failed(self, job: RunningJob, error: ExecutorError) -> None:
        log.info("job_failed", extra={"job_id": job.job_id, "code": str(error.code)})
        fields = {"error": json.dumps(error.as_dict())}
        is_late = error.code is ErrorCode.STATEMENT_TIMEOUT and job.has_begun
        seen = self._seen_stopped(job) if is_late else {}
        if seen:
            seen["stopped_after_ms"] = str(job.late_ms)
        if self._finish(job, JobState.FAILED, str(error.code), {**fields, **seen}):
            self._drop_rows(job)
            if is_late and not seen:
                self._abandon(job)

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
            seen = self._seen_stopped(job)
            if self._finish(job, JobState.CANCELLED, "asked", seen):
                self._drop_rows(job)
                if not seen:
                    self._abandon(job)
        elif job.stopped == "left":
            self._give_back(job)

    def _give_back(self, job: RunningJob) -> None:
        """Lets another worker have the job, at once."""
        seen = self._seen_stopped(job).get("stop_seen", "")
        log.info("job_given_back", extra={"job_id": job.job_id, "source": job.source, "seen": seen})
        back = JobState.QUEUED
        self._say(job, back, lambda: self._store.give_back(job.job_id, job.attempt, self._worker, seen))

    def _drop_rows(self, job: RunningJob) -> None:
        try:
            self._results.delete(job.job_id)
        except ExecutorError as error:  # the sweeper will find them
            log.warning("rows_left_behind", extra={"job_id": job.job_id, "code": str(error.code)})

    def _seen_stopped(self, job: RunningJob) -> dict[str, str]:
        """The fields that say how the database was seen to have stopped; empty where it was not."""
        if job.is_given_up:
            return {}
        if job.query_id is None or not job.has_begun:
            # the database runs in this process and its call has come back; what has not begun runs nowhere
            return {"stop_seen": "call"}
        how = None if job.lent is None else see_the_end(job.lent, job.query_id, within_s=_SEE_S)
        return {} if how is None else {"stop_seen": how}

    def _abandon(self, job: RunningJob) -> None:
        log.error("statement_not_seen_to_stop", extra={"job_id": job.job_id, "source": job.source})
        self._store.abandon(job.job_id, self._worker, job.source, job.query_id)

    def give_up(self, job: RunningJob) -> None:
        """Ends a cancelled job whose thread does not come back. The thread's own last word will not count."""
        self._running.pop((job.job_id, job.attempt), None)
        job.is_given_up = True
        self._end_stopped(job)
