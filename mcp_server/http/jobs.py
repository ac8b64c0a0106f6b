"""``/v1/jobs``: submit, list, look, cancel."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from executor import ExecutorError, Job
from mcp_server.auth.scopes import QUERY, READ
from mcp_server.held import held_job, stopped_job
from mcp_server.http.asking import Asked, Count, Sent, asked, sent
from mcp_server.http.operations import Answer, Operation
from mcp_server.http.presence import unless_gone
from mcp_server.http.reach import WebReach
from mcp_server.http.shapes import JobList
from mcp_server.http.views import WebJobView, json_answer, path_of, poll_after, tag_of, web_view
from mcp_server.queries import Query, await_rows, submitted_query
from mcp_server.waiting import clamped_wait, wait_for
from mcp_server.wire import job_line

_JSON = "application/json"
_SEEN = {"Cache-Control": "private, no-cache"}
_WAIT = "Seconds to wait for the end, at most 45."


class NewJob(Sent):
    """A statement to run, and how."""

    sql: str = Field(description="One SELECT, in the source's dialect.", examples=["SELECT 1 AS one"])
    source: str | None = Field(
        default=None, description="A name from /v1/sources; may be left out if it is the only one."
    )
    wait_seconds: float = Field(default=0, ge=0, description=_WAIT)
    max_rows: Count | None = Field(default=None, description="Rows to keep of the result.")
    dry_run: bool = Field(default=False, description="Only show plan and cost.")
    fresh: bool = Field(default=False, description="Not the rows of an equal query just run.")
    confirm: str | None = Field(default=None, description="The token of a needs_confirmation.")
    dialect: str | None = Field(default=None, description="Of sql, if not the source's: translates it.")
    idempotency_key: str | None = Field(
        default=None, min_length=1, max_length=200, description="Same key and SQL: same job, for safe retries."
    )


class LookAsked(Asked):
    """How to look at a job."""

    wait_seconds: Annotated[float, Field(ge=0, description=_WAIT)] = 0
    max_chars: Annotated[int | None, Field(ge=0, description="Size of the preview of rows; 0: no rows.")] = None


class ListAsked(Asked):
    """How many jobs to list."""

    limit: Annotated[int, Field(ge=1, le=100, description="Jobs, the newest first.")] = 20


def job_operations(reach: WebReach) -> list[Operation]:
    """Submit, list, look at and cancel jobs, over `reach`."""

    async def submit(request: Request) -> Response:
        principal = reach.caller_of(request)
        told = await sent(request, NewJob)
        wait_s, clamped = clamped_wait(told.wait_seconds)
        query = Query(**told.model_dump(exclude={"wait_seconds"}))
        job, warnings = await submitted_query(reach, principal, query)
        # whoever has a key comes back with it: only without one is a job that nobody waits for nobody's
        wait = (
            await_rows(reach, job, owner=principal.owner, wait_s=wait_s)
            if told.idempotency_key is None
            else wait_for(reach.executor, job, owner=principal.owner, timeout_s=wait_s)
        )
        try:
            job = await unless_gone(request, wait)
        except ExecutorError as failed:
            warnings.append(f"The job is stored, but could not be looked at since: {failed.message}")
        return _view(job, max_chars=reach.settings.preview_chars, warnings=[*warnings, *clamped], is_new=True)

    async def look(request: Request) -> Response:
        principal = reach.caller_of(request)
        told = asked(request, LookAsked)
        wait_s, warnings = clamped_wait(told.wait_seconds)
        looking = held_job(reach, principal, request.path_params["job_id"], wait_s=wait_s)
        job = await unless_gone(request, looking)
        most = reach.settings.preview_chars
        chars = most if told.max_chars is None else min(told.max_chars, most)
        return _view(job, max_chars=chars, warnings=warnings, known=request.headers.get("if-none-match", ""))

    async def cancel(request: Request) -> Response:
        asked(request, Asked)
        job = await stopped_job(reach, reach.caller_of(request), request.path_params["job_id"])
        content = web_view(job, max_chars=0).content()
        return json_answer(content, 200 if job.is_finished else 202, poll_after(job))

    async def listed(request: Request) -> Response:
        owner = reach.caller_of(request).owner
        jobs = await reach.executor.list_jobs(owner=owner, limit=asked(request, ListAsked).limit)
        return json_answer({"jobs": [job_line(job).content() for job in jobs]})

    view = {_JSON: WebJobView}
    again = {"Retry-After": "Seconds after which there may be news."}
    return [
        Operation(
            name="submit_job",
            method="POST",
            path="/jobs",
            summary="Run one read-only statement as a job.",
            scope=QUERY,
            endpoint=submit,
            body=NewJob,
            answers={
                200: Answer(description="It is finished.", content=view, headers={"Location": "The job."}),
                202: Answer(description="It goes on.", content=view, headers={"Location": "The job.", **again}),
            },
        ),
        Operation(
            name="list_jobs",
            method="GET",
            path="/jobs",
            summary="Your latest jobs, newest first.",
            scope=READ,
            endpoint=listed,
            query=ListAsked,
            answers={200: Answer(description="A line each.", content={_JSON: JobList})},
        ),
        Operation(
            name="get_job",
            method="GET",
            path="/jobs/{job_id}",
            summary="State and progress of a job, and its first rows once it succeeded.",
            scope=READ,
            endpoint=look,
            query=LookAsked,
            headers={"If-None-Match": "An ETag: 304 if nothing has changed since, after the wait."},
            answers={
                200: Answer(
                    description="The job.", content=view, headers={"ETag": "Changes when the job does.", **again}
                ),
                304: Answer(description="Nothing has changed."),
            },
        ),
        Operation(
            name="cancel_job",
            method="DELETE",
            path="/jobs/{job_id}",
            summary="Stop a job, in the database too. A finished one stays as it is.",
            scope=QUERY,
            endpoint=cancel,
            answers={
                200: Answer(description="It is finished.", content=view),
                202: Answer(description="It will stop.", content=view, headers=again),
            },
        ),
    ]


def _view(job: Job, *, max_chars: int, warnings: list[str], known: str | None = None, is_new: bool = False) -> Response:
    content = web_view(job, max_chars=max_chars, warnings=warnings).content()
    headers = {**_SEEN, "ETag": tag_of(content), **poll_after(job)}
    if is_new:
        return json_answer(content, 200 if job.is_finished else 202, {**headers, "Location": path_of(job)})
    tags = [tag.strip().removeprefix("W/") for tag in (known or "").split(",")]
    if "*" in tags or headers["ETag"].removeprefix("W/") in tags:
        return Response(status_code=304, headers=headers)
    return json_answer(content, 200, headers)
