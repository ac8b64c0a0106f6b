"""The tools about jobs: ``get_job`` (one or several), ``answer_job``, ``cancel_job``, ``list_jobs``. They make none."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from mcp_types import CallToolResult, InputRequiredResult
from pydantic import Field

from executor import ExecutorError, Job
from mcp_server.declared import how_to_ask
from mcp_server.errors import answer, error_content
from mcp_server.held import answered_job, held_job, stopped_job
from mcp_server.principal import Principal
from mcp_server.tools.access import Access, ToolContext, progress_to
from mcp_server.tools.arguments import Arguments, AsText, OneOrSeveral
from mcp_server.tools.asked import answered_before, through_questions
from mcp_server.tools.checked import READS, STEERS, CheckedTool, checked_tool
from mcp_server.waiting import Report, clamped_wait
from mcp_server.wire import job_lines, job_view

MAX_JOBS = 20
"""The most jobs of one ``get_job`` call, and the most ``list_jobs`` shows unless asked for more."""

_AFTER_ANSWER_S = 10.0
"""How long an answered job is waited for: what comes in this time costs no second call."""


class GetJobArguments(Arguments):
    """See the tool's description."""

    job_id: Annotated[OneOrSeveral, Field(description="One or a list")]
    wait_seconds: Annotated[float, Field(ge=0, description="At most 45")] = 0
    max_chars: Annotated[int | None, Field(ge=0, description="0: no rows")] = None


class AnswerJobArguments(Arguments):
    """See the tool's description."""

    job_id: str
    answer: AsText | None = None


class CancelJobArguments(Arguments):
    """See the tool's description."""

    job_id: str


class ListJobsArguments(Arguments):
    """See the tool's description."""

    limit: Annotated[int, Field(ge=1, le=100)] = MAX_JOBS


def job_tools(access: Access) -> tuple[CheckedTool, CheckedTool, CheckedTool, CheckedTool]:
    """``get_job``, ``answer_job``, ``cancel_job`` and ``list_jobs`` over `access`."""

    async def get_job(arguments: GetJobArguments, context: ToolContext) -> CallToolResult | InputRequiredResult:
        principal = access.principal_of(context)
        wait_s, warnings = clamped_wait(arguments.wait_seconds)
        most = access.settings.preview_chars
        max_chars = most if arguments.max_chars is None else arguments.max_chars
        if max_chars > most:
            warnings.append(f"max_chars was cut from {max_chars} to {most}; get_rows pages through the rest.")
        if isinstance(arguments.job_id, str):
            told = await _asked(access, arguments.job_id, principal=principal, wait_s=wait_s, context=context)
            if isinstance(told, InputRequiredResult):
                return told
            view = job_view(told, max_chars=min(max_chars, most), warnings=warnings)
            return answer(view.content(), is_error=view.is_error)
        return await _several(
            access,
            arguments.job_id,
            principal=principal,
            wait_s=wait_s,
            max_chars=min(max_chars, most),
            warnings=warnings,
            context=context,
        )

    async def answer_job(arguments: AnswerJobArguments, context: ToolContext) -> CallToolResult:
        principal = access.principal_of(context)
        job = await answered_job(access, principal, arguments.job_id, arguments.answer)
        job = await held_job(access, principal, job.id, wait_s=_AFTER_ANSWER_S, report=progress_to(context))
        view = job_view(job, max_chars=access.settings.preview_chars)
        return answer(view.content(), is_error=view.is_error)

    async def cancel_job(arguments: CancelJobArguments, context: ToolContext) -> CallToolResult:
        job = await stopped_job(access, access.principal_of(context), arguments.job_id)
        view = job_view(job, max_chars=0)
        return answer(view.content(), is_error=False)

    async def list_jobs(arguments: ListJobsArguments, context: ToolContext) -> CallToolResult:
        owner = access.principal_of(context).owner
        jobs = await access.executor.list_jobs(owner=owner, limit=arguments.limit)
        lines = job_lines(jobs)
        left = [f"Only the latest {len(lines)} of {len(jobs)} jobs fit."] if len(lines) < len(jobs) else []
        return answer({"jobs": lines, **({"warnings": left} if left else {})})

    return (
        checked_tool(
            "get_job",
            GetJobArguments,
            get_job,
            calls=access.calls,
            description="State, progress and first rows of a job.",
            annotations=READS,
        ),
        checked_tool(
            "answer_job",
            AnswerJobArguments,
            answer_job,
            calls=access.calls,
            description="Tell a waiting job what it asks; no answer: no.",
            annotations=STEERS,
        ),
        checked_tool(
            "cancel_job",
            CancelJobArguments,
            cancel_job,
            calls=access.calls,
            description="Stop a job, in the database too.",
            annotations=STEERS,
        ),
        checked_tool(
            "list_jobs",
            ListJobsArguments,
            list_jobs,
            calls=access.calls,
            description="Your jobs, newest first. Finds a lost job_id.",
            annotations=READS,
        ),
    )


async def _asked(
    access: Access, job_id: str, *, principal: Principal, wait_s: float, context: ToolContext
) -> Job | InputRequiredResult:
    """The job after the wait; what it asks, the user is asked where their client knows how."""
    report, owner = progress_to(context), principal.owner

    async def wait(job: Job) -> Job:
        return await held_job(access, principal, job.id, wait_s=wait_s, report=report)

    job = await answered_before(access, context, owner=owner)
    if job is None:
        job = await held_job(access, principal, job_id)
    how = how_to_ask(context.request_context, as_task=False)
    return await through_questions(access, job, context, owner=owner, how=how, wait=wait)


async def _several(
    access: Access,
    job_ids: list[str],
    *,
    principal: Principal,
    wait_s: float,
    max_chars: int,
    warnings: list[str],
    context: ToolContext,
) -> CallToolResult:
    """The jobs side by side, preview and frame shared among them; an unknown one is an error in its own place."""
    asked = list(dict.fromkeys(job_ids))
    if len(asked) > MAX_JOBS:
        warnings = [*warnings, f"Only the first {MAX_JOBS} of {len(asked)} jobs are shown."]
        asked = asked[:MAX_JOBS]

    async def one(job_id: str, report: Report | None) -> dict[str, Any]:
        try:
            job = await held_job(access, principal, job_id, wait_s=wait_s, report=report)
        except ExecutorError as failed:
            return {"job_id": job_id[:64], "error": error_content(failed)}
        return job_view(job, max_chars=max_chars // len(asked), share=len(asked)).content()

    # One of them reports progress: a client reads one rising number a call.
    async with asyncio.TaskGroup() as group:
        views = [
            group.create_task(one(job_id, progress_to(context) if n == 0 else None)) for n, job_id in enumerate(asked)
        ]
    content: dict[str, Any] = {"jobs": [view.result() for view in views]}
    if warnings:
        content["warnings"] = warnings
    return answer(content)
