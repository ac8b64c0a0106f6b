"""What an order has a worker do, by the kind of its job: inspect, probe, profile, run SQL on a source or over results.

Knows no claim and no end of a job.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict

from executor.adapters.base import Adapter
from executor.errors import ErrorCode, ExecutorError, StatementFailed
from executor.jobs import JobKind
from executor.open_sources import OpenSources
from executor.orders import Order
from executor.profiling.profiler import GaveWay, Profiler
from executor.profiling.reading import Reading
from executor.reading import check_input
from executor.results import ResultStore
from executor.results.opening import open_value_lists
from executor.running import RunningJob, StoppedFromOutside
from executor.running_jobs import RunningJobs
from executor.settings import ExecutorSettings
from executor.signing import Signer
from executor.source_schema import SourceSchema
from executor.statements import Statements
from executor.store import WorkerStore
from executor.timers import Timers
from executor.tracing import Traces


class Executing:
    """In one worker process, each order in the thread that calls.

    Args:
        settings: what a profile and a query over results may take.
        store: keeps what a job tells.
        results: keeps the rows.
        signer: signs schemas, and opens what was signed.
        worker: the name that leases are held under.
        jobs: beat for a job.
        sources: what is open.
        traces: of the process.
    """

    def __init__(
        self,
        settings: ExecutorSettings,
        store: WorkerStore,
        results: ResultStore,
        signer: Signer,
        worker: str,
        jobs: RunningJobs,
        sources: OpenSources,
        traces: Traces,
    ) -> None:
        self._settings = settings
        self._store = store
        self._results = results
        self._signer = signer
        self._worker = worker
        self._jobs = jobs
        self._sources = sources
        self._statements = Statements(store, results, signer, worker, jobs, sources, traces)
        self._timers = Timers()

    def execute(self, job: RunningJob, order: Order, ends_at: float) -> dict[str, str]:
        """Does what the order says; the fields of the job's row.

        Args:
            job: the job that is held.
            order: what was signed for it.
            ends_at: of `time.monotonic`, when the job must be over.

        Raises:
            ExecutorError: it failed.
            GaveWay: a profile has left the source to others, and is back in line.
            InputNeeded: somebody is to be asked.
            StoppedFromOutside: the job was told to stop.
        """
        if order.kind is JobKind.QUERY_RESULT:
            return self._query_results(job, order, self._seconds(job, order, ends_at))
        adapter = self._sources.lend(job, order.source, order.source_fingerprint)
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
        return self._statements.run(job, order, adapter, timeout_s=self._seconds(job, order, ends_at))

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
            Reading(adapter, job, self._jobs.tell, timeout_s=settings.table_timeout_s, ends_at=ends_at),
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
                    return self._statements.stream(job, order, session)
                finally:
                    job.detach()
        except StoppedFromOutside:
            raise
        except Exception as error:
            raise classify_over_results(error, memory_mb) from error
