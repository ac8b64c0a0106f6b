"""What is still to be said of jobs that the broker knows nothing of: the history's word, and the rows that are left.

Loads the database library when it is first asked. A history that does not answer says nothing, and is logged.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from executor.errors import ErrorCode, ExecutorError, ResultFailed
from executor.history.records import lost_error
from executor.jobs import Job, JobKind, JobState
from executor.results import PREVIEW_ROWS, ResultStore
from executor.settings import ExecutorSettings
from executor.signing import Signer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from executor.history.verifying import ChainReport
    from executor.history.witness import Head

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HistoryState:
    """How the history is: where it is kept, how much is in it, and why it does not answer, or an empty text."""

    place: str
    jobs: int = 0
    records: int = 0
    trouble: str = ""


class Past:
    """The reading half of the history, for servers. Safe to call from many tasks of one event loop."""

    def __init__(self, settings: ExecutorSettings, signer: Signer) -> None:
        self._settings = settings
        self._signer = signer
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    async def job(self, job_id: str, owner: str) -> Job | None:
        """The job as it was last heard of, if it is the owner's; unfinished ones may be lost."""
        from executor.history.reading import find_job  # noqa: PLC0415 - loads the database library

        job = await self._ask(lambda engine: find_job(engine, self._signer, self._settings.namespace, job_id), None)
        return job if job is not None and job.owner == owner else None

    async def jobs(self, owner: str, limit: int) -> list[Job]:
        """The owner's newest jobs, newest first."""
        from executor.history.reading import jobs_of  # noqa: PLC0415 - as above

        nothing: list[Job] = []
        chain = self._settings.namespace
        return await self._ask(lambda engine: jobs_of(engine, self._signer, chain, owner, limit), nothing)

    async def state(self) -> HistoryState:
        """How the history is."""
        from executor.history.reading import size  # noqa: PLC0415 - as above

        place = self._settings.history.url or str(self._settings.home / "history.sqlite")
        try:
            jobs, records = await asyncio.to_thread(lambda: size(self._opened(), self._settings.namespace))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was asked for
            return HistoryState(place, trouble=_words(error))
        return HistoryState(place, jobs, records)

    async def verify(self, witness: Head | None) -> ChainReport:
        """Goes through the audit's chain, and holds it to what the broker heard of it.

        Raises:
            ExecutorError: ``executor_unavailable`` when the history does not answer.
        """
        from executor.history.verifying import verify  # noqa: PLC0415 - as above

        try:
            chain = self._settings.namespace
            return await asyncio.to_thread(lambda: verify(self._opened(), self._signer, chain, witness))
        except ExecutorError:
            raise
        except Exception as error:
            raise ExecutorError.of(
                ErrorCode.EXECUTOR_UNAVAILABLE,
                f"The history does not answer ({_words(error)}).",
                hint="awaitsql doctor says where it is; nothing is lost, events wait in the broker.",
            ) from error

    def close(self) -> None:
        """Closes the connections."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    async def _ask(self, read: Callable[[Engine], T], nothing: T) -> T:
        try:
            return await asyncio.to_thread(lambda: read(self._opened()))
        except Exception as error:  # noqa: BLE001 - jobs that the broker knows are served without it
            log.warning("history_unread", extra={"error": _words(error)})
            return nothing

    def _opened(self) -> Engine:
        from executor.history.place import open_history  # noqa: PLC0415 - as above

        with self._lock:
            if self._engine is None:
                self._engine = open_history(self._settings)
            return self._engine


def recovered(job: Job, results: ResultStore, *, ttl_s: float) -> Job:
    """A job that only the history knows, as it can still be served.

    Args:
        job: as the history tells it.
        results: where its rows would be.
        ttl_s: how long rows are kept.

    Raises:
        JobLost: ``job_lost`` for one that was never heard to end.
        ResultFailed: ``result_expired`` for one that succeeded and whose rows are gone.
    """
    found = results.current(job.id) if job.kind in (JobKind.QUERY, JobKind.QUERY_RESULT) else None
    if found is not None and (job.state is JobState.SUCCEEDED or is_lost(job)):
        attempt, summary = found
        page = results.page(job.id, attempt, offset=0, limit=PREVIEW_ROWS, complete=True)
        ended = job.finished_at or job.submitted_at
        return replace(
            job,
            state=JobState.SUCCEEDED,
            error=None,
            attempt=attempt,
            finished_at=ended,
            expires_at=ended + ttl_s,
            rows=summary.row_count,
            bytes=summary.bytes,
            summary=summary,
            preview=page.rows,
        )
    if is_lost(job):
        raise lost_error()
    if job.state is JobState.SUCCEEDED:
        raise ResultFailed(
            ErrorCode.RESULT_EXPIRED,
            f"Job {job.id} succeeded with {job.rows:,} rows, which are no longer kept.",
            hint="Submit the statement again to have fresh rows.",
        )
    return job


def is_lost(job: Job) -> bool:
    """Whether the history knows no end of the job but that the broker lost it, or none at all."""
    return not job.is_finished or (job.error is not None and job.error.code is ErrorCode.JOB_LOST)


def _words(error: Exception) -> str:
    return error.message if isinstance(error, ExecutorError) else type(error).__name__
