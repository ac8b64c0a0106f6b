"""Reads results for their owners: pages, blocks for programs, whole files, and inputs of other statements.

Says where to go on, and why rows cannot be read. Writes none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import BinaryIO

from executor.cursors import Cursor
from executor.errors import ErrorCode, ResultFailed
from executor.jobs import Job, JobState, ResultBlock, ResultPage
from executor.kept_results import KeptResults
from executor.known_jobs import KnownJobs
from executor.results import BlockFormat, ExportFormat, may_be_cut


class ResultReader:
    """Results of one configuration's jobs."""

    def __init__(self, known: KnownJobs, results: KeptResults) -> None:
        self._known = known
        self._results = results

    async def page(
        self,
        job_id: str,
        *,
        owner: str,
        cursor: str | None = None,
        limit: int = 100,
        columns: Sequence[str] | None = None,
    ) -> ResultPage:
        """See `Executor.page`."""
        job, place = await self._readable_place(job_id, owner, cursor)
        if job.state is JobState.QUEUED:
            return ResultPage((), [], 0, place.encode(), complete=False)
        end = place.offset + limit
        inline = 0 if may_be_cut(job.preview) else len(job.preview)
        if job.summary is not None and columns is None and (end <= inline or inline == job.summary.row_count):
            following = _cursor_after(job, end if end < job.summary.row_count else None)
            return ResultPage(job.summary.columns, job.preview[place.offset : end], place.offset, following)
        stored = await asyncio.to_thread(
            self._results.store().page,
            job.rows_of,
            job.attempt,
            offset=place.offset,
            limit=limit,
            columns=columns,
            complete=job.is_finished,
        )
        following = _cursor_after(job, stored.next_offset)
        return ResultPage(
            stored.columns,
            stored.rows,
            place.offset,
            following,
            complete=stored.complete,
            cut_cells=stored.cut_cells,
        )

    async def block(
        self,
        job_id: str,
        *,
        owner: str,
        format: BlockFormat,  # noqa: A002 - the word users know
        cursor: str | None = None,
        limit: int = 10_000,
        columns: Sequence[str] | None = None,
    ) -> ResultBlock:
        """See `Executor.block`."""
        job, place = await self._readable_place(job_id, owner, cursor)
        stored = await asyncio.to_thread(
            self._results.store().block,
            job.rows_of,
            job.attempt,
            format,
            offset=place.offset,
            limit=limit,
            columns=columns,
            complete=job.is_finished,
        )
        following = _cursor_after(job, stored.next_offset)
        return ResultBlock(stored.data, stored.rows, stored.offset, following, complete=stored.complete)

    async def inputs(self, job_ids: Sequence[str], *, owner: str) -> list[Job]:
        """See `Executor.inputs`."""
        jobs: list[Job] = []
        for job_id in job_ids:
            job = await self._known.get(job_id, owner=owner)
            _check_readable(job)
            if job.summary is None:
                raise ResultFailed(
                    ErrorCode.RESULT_EXPIRED,
                    f"Job {job.id} has no whole result (yet).",
                    hint=f"Wait for it: get_job on {job.id}.",
                )
            jobs.append(job)
        return jobs

    async def export(
        self,
        job_id: str,
        *,
        owner: str,
        format: ExportFormat,  # noqa: A002 - the word users know
        out: BinaryIO,
    ) -> None:
        """See `Executor.export`."""
        job = await self._known.get(job_id, owner=owner)
        _check_readable(job)
        if job.state is not JobState.SUCCEEDED:
            raise ResultFailed(
                ErrorCode.RESULT_EXPIRED, "The job has no whole result yet.", hint="Export it when it has succeeded."
            )
        await asyncio.to_thread(self._results.store().export, job.rows_of, job.attempt, format, out)

    async def _readable_place(self, job_id: str, owner: str, cursor: str | None) -> tuple[Job, Cursor]:
        """The job, and where in its rows `cursor` points. Raises as `page`."""
        job = await self._known.get(job_id, owner=owner)
        place = Cursor.decode(cursor, job.id) if cursor else Cursor(job.id, job.attempt, 0)
        _check_readable(job)
        if place.attempt != job.attempt:
            raise ResultFailed(
                ErrorCode.RESULT_RESTARTED,
                "The worker was lost and the statement ran again; rows may have come in another order.",
                hint="Read again from the first page: get_rows without cursor.",
            )
        return job, place


def _check_readable(job: Job) -> None:
    """Raises why the job's rows cannot be read, where they cannot."""
    if job.state is JobState.FAILED and job.error is not None:
        raise job.error
    if job.state is JobState.CANCELLED:
        raise ResultFailed(
            ErrorCode.RESULT_EXPIRED,
            "The job was cancelled; its rows were not kept.",
            hint="Submit the statement again.",
        )
    if job.notes.get("evicted"):
        raise ResultFailed(
            ErrorCode.RESULT_EXPIRED,
            "The rows of this job had to make room for newer ones.",
            hint="Submit the statement again.",
        )


def _cursor_after(job: Job, offset: int | None) -> str | None:
    """Where the next page of this attempt's rows begins; None at the end."""
    return None if offset is None else Cursor(job.id, job.attempt, offset).encode()
