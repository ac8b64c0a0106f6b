"""Leases jobs of a queue to a body of another package: Celery brings tickets, the body runs in this process's loop.

As `runner` for statements, but that the work is somebody else's coroutine; the lease, its beats and its end are the
same. Started by `Executor.serve`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry

from executor.answering import opened_answers
from executor.answers import InputNeeded
from executor.bodies import Answered, Body, Lease
from executor.claims import Claims
from executor.connections import connect_sync
from executor.endings import Endings
from executor.errors import ErrorCode, ExecutorError, JobLost, StatementFailed
from executor.jobs import JobState
from executor.leaving import STOP_S, Leaving
from executor.metrics import WorkerMetrics
from executor.orders import Order
from executor.queue import let_another_begin, make_celery, make_controller, stop_worker
from executor.running import RunningJob
from executor.running_jobs import RunningJobs
from executor.settings import ExecutorSettings
from executor.signing import Signer
from executor.store import Claim, WorkerStore
from executor.tracing import traces_of
from executor.watchdog import Watchdog, new_worker_id

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.02


class _Running:
    """A body's task, as `RunningJob` stops what runs."""

    query_id: str | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Answered]) -> None:
        self._loop = loop
        self._task = task

    def cancel(self) -> None:
        """Cancels the body; asked again, again."""
        self._loop.call_soon_threadsafe(self._task.cancel)


class Serving:
    """One process's service of one queue. See `Executor.serve` for the arguments."""

    def __init__(
        self,
        settings_now: Callable[[], ExecutorSettings],
        broker_url: str,
        signer: Signer,
        queue: str,
        body: Body,
        *,
        slots: int,
        worker: str = "",
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._settings_now = settings_now
        self._settings = settings = settings_now()
        self._broker_url = broker_url
        self._signer = signer
        self._queue = queue
        self._body = body
        self._slots = slots
        self._worker = worker or new_worker_id()
        self._connection = connect_sync(broker_url)
        self._store = WorkerStore(settings, self._connection)
        self._jobs = jobs = RunningJobs(self._store, self._worker)
        self._metrics = WorkerMetrics(registry or CollectorRegistry(), slots=slots, busy=lambda: len(jobs))
        self._leaving = Leaving(settings.drain_timeout_s)
        self._claims = Claims(self._store, signer, self._worker, self._leaving, settings_now)
        self._endings = Endings(
            self._store,
            signer,
            self._worker,
            self._leaving,
            self._metrics,
            input_timeout_s=settings.input_timeout_s,
        )
        self._traces = traces_of(settings.tracing)

    async def run(self, drain: asyncio.Event) -> bool:
        """Serves until cancelled, or until half of the slots are held by bodies that do not stop: then False.

        Once `drain` is set no job is taken, and True is returned when those that run are finished, or their time
        (``drain_timeout_s``) is over.
        """
        self._loop = asyncio.get_running_loop()
        exhausted = asyncio.Event()

        def exhaust() -> None:
            self._loop.call_soon_threadsafe(exhausted.set)

        app = make_celery(
            self._settings.namespace,
            self._broker_url,
            self._ticket,
            self._leaving,
            queue=self._queue,
            threads=self._slots,
        )
        controller = make_controller(app, f"awaitsql-{self._queue}@{self._worker}", threads=self._slots)
        taking = threading.Thread(target=controller.start, name=f"awaitsql-{self._queue}", daemon=True)
        with Watchdog(
            self._settings,
            self._store,
            self._jobs,
            self._connection,
            self._worker,
            self._leaving,
            queue=self._queue,
            slots=self._slots,
            on_stuck=self._give_up,
            on_exhausted=exhaust,
            settings_now=self._settings_now,
        ):
            taking.start()
            log.info("worker_started", extra={"worker": self._worker, "queue": self._queue, "slots": self._slots})
            try:
                await _either(exhausted, drain)
                if drain.is_set():
                    await self._drain(exhausted)
            finally:
                await self._leave(taking)
        return not exhausted.is_set()

    async def _drain(self, exhausted: asyncio.Event) -> None:
        """Waits until what runs is finished, or its time is over."""
        self._leaving.ask()
        log.info("worker_leaving", extra={"worker": self._worker, "running": len(self._jobs)})
        while self._jobs.are_at_work and self._leaving.seconds_left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await exhausted.wait()
                    return

    async def _leave(self, taking: threading.Thread) -> None:
        self._leaving.hurry()
        self._jobs.leave()
        stop_worker()
        until = time.monotonic() + STOP_S
        while (self._jobs.are_at_work or taking.is_alive()) and time.monotonic() < until:
            await asyncio.to_thread(taking.join, _LOOK_EVERY_S)
        let_another_begin()
        try:
            await asyncio.to_thread(self._store.leave, self._signer, self._worker)
        except Exception:
            log.exception("worker_left_without_word")
        log.info("worker_stopped", extra={"worker": self._worker, "queue": self._queue})

    # -- one job ---------------------------------------------------------------------------------------------------

    def _ticket(self, job_id: str, attempt: str) -> None:
        """Claims, has worked on, and finishes one job, in a thread of Celery's. A stale ticket is let go."""
        with self._jobs.claiming():
            claim = self._claims.claim(job_id, attempt)
            if claim is None:
                return
            with self._traces.attempt(claim.trace, job_id, attempt, source=claim.source, queue=self._queue) as span:
                job = RunningJob(job_id, attempt, claim.source, sure_until=claim.sure_until, span=span)
                job.stage = ""
                with self._jobs.working_on(job):
                    self._attempt(job, claim)

    def _attempt(self, job: RunningJob, claim: Claim) -> None:
        try:
            order = self._claims.order(claim)
            self._claims.check(order, claim, job)
            job.span.tell("awaitsql.job.kind", order.kind)
            self._metrics.waited("worker", order.source, claim.waited_s)
            lease = self._lease(job, order, claim)
            answered = asyncio.run_coroutine_threadsafe(self._work(job, lease), self._loop).result()
        except InputNeeded as needed:
            self._endings.ask(job, needed.request)
        except Exception as error:  # noqa: BLE001 - a job must end whatever is raised in it
            self._end(job, error)
        else:
            self._endings.finish(job, JobState.SUCCEEDED, "done", {"answer_of": answered.job_id})

    async def _work(self, job: RunningJob, lease: Lease) -> Answered:
        limit = asyncio.timeout(lease.seconds_left)
        try:
            async with limit:
                task = asyncio.ensure_future(self._body(lease))
                job.attach(_Running(self._loop, task))
                try:
                    return await task
                finally:
                    job.detach()
        except TimeoutError as late:
            if not limit.expired():
                raise
            raise StatementFailed(
                ErrorCode.STATEMENT_TIMEOUT,
                f"The question was not answered in the {lease.order.limits.job_timeout_s:g} s that it had.",
                hint="Ask for less, or ask again: the model or the database may be slow just now.",
            ) from late

    def _lease(self, job: RunningJob, order: Order, claim: Claim) -> Lease:
        async def keep(text: str) -> None:
            payload, signature = self._signer.sign({"job_id": job.job_id, "kept": text})
            await self._note(job, {"kept_payload": payload, "kept_signature": signature})

        async def tell(told: Mapping[str, Any]) -> None:
            job.notes["generated"] = json.dumps(told, separators=(",", ":"))
            await self._note(job, job.notes)

        def enter(stage: str) -> None:
            job.stage = stage

        answers = opened_answers(self._signer, claim.answers, job_id=job.job_id)
        kept = self._kept(job)
        return Lease(order, int(job.attempt), claim.ends_at, kept, answers, keep=keep, tell=tell, enter=enter)

    def _kept(self, job: RunningJob) -> str:
        """What an earlier attempt kept; nothing where it does not carry our signature, or is another job's."""
        found = self._store.kept(job.job_id)
        if found is None:
            return ""
        try:
            told = self._signer.open(*found)
        except StatementFailed:
            return ""
        return told["kept"] if told.get("job_id") == job.job_id else ""

    async def _note(self, job: RunningJob, fields: Mapping[str, str]) -> None:
        if not await asyncio.to_thread(self._store.note, job.job_id, job.attempt, self._worker, fields):
            raise JobLost(ErrorCode.JOB_LOST, "The lease of this job went to another worker.")

    # -- the end ---------------------------------------------------------------------------------------------------

    def _give_up(self, job: RunningJob) -> None:
        """Ends a job whose body does not come back. The body's own last word will not count."""
        self._jobs.give_up(job)
        self._end_stopped(job)

    def _end(self, job: RunningJob, error: Exception) -> None:
        if job.is_given_up:
            return
        if job.stopped is not None:
            self._end_stopped(job)
            return
        if not isinstance(error, ExecutorError):
            log.exception("job_crashed", exc_info=error, extra={"job_id": job.job_id})
            error = StatementFailed(
                ErrorCode.STATEMENT_FAILED,
                f"Answering the question failed in an unexpected way ({type(error).__name__}).",
                hint="The log of the workers of this queue has the details.",
            )
        log.info("job_failed", extra={"job_id": job.job_id, "code": str(error.code)})
        self._endings.finish(job, JobState.FAILED, str(error.code), {"error": json.dumps(error.as_dict())})

    def _end_stopped(self, job: RunningJob) -> None:
        if job.stopped == "cancelled":
            self._endings.finish(job, JobState.CANCELLED, "asked", {})
        elif job.stopped == "left":
            # its own statements, jobs of their own, go on for the next attempt or end with this one's parent
            self._endings.give_back(job, "call")
        # late is told by `_work`; one that is lost is another worker's


async def _either(one: asyncio.Event, other: asyncio.Event) -> None:
    """Waits until one of the two is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
