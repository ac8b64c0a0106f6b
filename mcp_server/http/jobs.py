"""``/v1/jobs``: submit, list, look, answer, cancel."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from executor import Job
from mcp_server.auth.scopes import QUERY, READ
from mcp_server.errors import CallCode, CallRefused
from mcp_server.held import answered_job, held_job, stopped_job
from mcp_server.http.answers import AGAIN, TAKEN, VIEW, WAIT, known_job, new_job
from mcp_server.http.asking import Asked, Count, Sent, asked, sent
from mcp_server.http.operations import Answer, Operation
from mcp_server.http.presence import unless_gone
from mcp_server.http.reach import WebReach
from mcp_server.http.shapes import JobList
from mcp_server.http.views import json_answer, poll_after, web_view
from mcp_server.principal import Principal
from mcp_server.queries import Query, submitted_query
from mcp_server.questions import Asking, submitted_question
from mcp_server.waiting import clamped_wait
from mcp_server.wire import job_line

_JSON = "application/json"


class NewJob(Sent):
    """A statement to run, or a question to answer, and how."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "title": "SQL",
                    "required": ["sql"],
                    "properties": {
                        "sql": {"type": "string"},
                        "question": {"type": "null"},
                        "conversation": {"type": "null"},
                    },
                },
                {
                    "title": "A question",
                    "required": ["question"],
                    "properties": {
                        "question": {"type": "string"},
                        "sql": {"type": "null"},
                        "dry_run": {"const": False},
                        "fresh": {"const": False},
                        "confirm": {"type": "null"},
                        "dialect": {"type": "null"},
                    },
                },
            ]
        }
    )

    sql: str | None = Field(
        default=None, description="One SELECT, in the source's dialect.", examples=["SELECT 1 AS one"]
    )
    question: str | None = Field(
        default=None, description="In its place, a question in plain words, where a model is configured."
    )
    conversation: str | None = Field(default=None, description="Of an earlier answer: the question follows it.")
    source: str | None = Field(
        default=None, description="A name from /v1/sources; may be left out if it is the only one."
    )
    wait_seconds: float = Field(default=0, ge=0, description=WAIT)
    max_rows: Count | None = Field(default=None, description="Rows to keep of the result.")
    dry_run: bool = Field(default=False, description="Only show plan and cost.")
    fresh: bool = Field(default=False, description="Not the rows of an equal query just run.")
    confirm: str | None = Field(default=None, description="The token of a needs_confirmation.")
    dialect: str | None = Field(default=None, description="Of sql, if not the source's: translates it.")
    idempotency_key: str | None = Field(
        default=None, min_length=1, max_length=200, description="Same key and SQL: same job, for safe retries."
    )


class NewAnswer(Sent):
    """What a waiting job is told."""

    answer: dict[str, Any] | None = Field(
        description="By the schema in its asks.answer; null declines.", examples=[{"confirm": True}]
    )


class LookAsked(Asked):
    """How to look at a job."""

    wait_seconds: Annotated[float, Field(ge=0, description=WAIT)] = 0
    max_chars: Annotated[int | None, Field(ge=0, description="Size of the preview of rows; 0: no rows.")] = None


class ListAsked(Asked):
    """How many jobs to list."""

    limit: Annotated[int, Field(ge=1, le=100, description="Jobs, the newest first.")] = 20


def job_operations(reach: WebReach) -> list[Operation]:
    """Submit, list, look at, answer and cancel jobs, over `reach`."""

    async def submit(request: Request) -> Response:
        principal = reach.caller_of(request)
        told = await sent(request, NewJob)
        wait_s, clamped = clamped_wait(told.wait_seconds)
        job, warnings = await _submitted(reach, principal, told)
        has_key = told.idempotency_key is not None
        return await new_job(reach, request, job, wait_s=wait_s, warnings=[*warnings, *clamped], has_key=has_key)

    async def look(request: Request) -> Response:
        principal = reach.caller_of(request)
        told = asked(request, LookAsked)
        wait_s, warnings = clamped_wait(told.wait_seconds)
        looking = held_job(reach, principal, request.path_params["job_id"], wait_s=wait_s)
        job = await unless_gone(request, looking)
        most = reach.settings.preview_chars
        chars = most if told.max_chars is None else min(told.max_chars, most)
        return known_job(reach, request, job, max_chars=chars, warnings=warnings)

    async def cancel(request: Request) -> Response:
        asked(request, Asked)
        job = await stopped_job(reach, reach.caller_of(request), request.path_params["job_id"])
        content = web_view(job, max_chars=0).content()
        return json_answer(content, 200 if job.is_finished else 202, poll_after(job))

    async def tell(request: Request) -> Response:
        asked(request, Asked)
        told = await sent(request, NewAnswer)
        job = await answered_job(reach, reach.caller_of(request), request.path_params["job_id"], told.answer)
        content = web_view(job, max_chars=reach.settings.preview_chars).content()  # it may have ended already
        return json_answer(content, 200 if job.is_finished else 202, poll_after(job))

    async def listed(request: Request) -> Response:
        owner = reach.caller_of(request).owner
        jobs = await reach.executor.list_jobs(owner=owner, limit=asked(request, ListAsked).limit)
        return json_answer({"jobs": [job_line(job).content() for job in jobs]})

    return [
        Operation(
            name="submit_job",
            method="POST",
            path="/jobs",
            summary="Run one read-only statement, or answer a question, as a job.",
            scope=QUERY,
            endpoint=submit,
            body=NewJob,
            answers=TAKEN,
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
                    description="The job.", content=VIEW, headers={"ETag": "Changes when the job does.", **AGAIN}
                ),
                304: Answer(description="Nothing has changed."),
            },
        ),
        Operation(
            name="answer_job",
            method="POST",
            path="/jobs/{job_id}/answer",
            summary="Tell a waiting job what it asks; it goes on. Where only a person may say yes, this cannot.",
            scope=QUERY,
            endpoint=tell,
            body=NewAnswer,
            answers={
                200: Answer(description="It is finished.", content=VIEW),
                202: Answer(description="It goes on.", content=VIEW, headers=AGAIN),
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
                200: Answer(description="It is finished.", content=VIEW),
                202: Answer(description="It will stop.", content=VIEW, headers=AGAIN),
            },
        ),
    ]


async def _submitted(reach: WebReach, principal: Principal, told: NewJob) -> tuple[Job, list[str]]:
    if (told.sql is None) == (told.question is None):
        raise CallRefused(CallCode.INVALID_ARGUMENTS, "Send either sql or question.")
    if told.question is None:
        if told.conversation is not None:
            raise CallRefused(CallCode.INVALID_ARGUMENTS, "conversation goes with question, not with sql.")
        return await submitted_query(
            reach, principal, Query(**told.model_dump(exclude={"wait_seconds", "question", "conversation"}))
        )
    if told.dry_run or told.fresh or told.confirm is not None or told.dialect is not None:
        raise CallRefused(CallCode.INVALID_ARGUMENTS, "dry_run, fresh, confirm and dialect go with sql only.")
    given = told.model_dump(exclude={"wait_seconds", "sql", "dry_run", "fresh", "confirm", "dialect"})
    return await submitted_question(reach, principal, Asking(**given)), []
