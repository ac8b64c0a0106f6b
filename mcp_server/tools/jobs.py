"""The tools about jobs: ``get_job`` (one or several), ``cancel_job``, ``list_jobs``. They never make one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from mcp_types import CallToolResult
from pydantic import Field

from executor import ExecutorError
from mcp_server.errors import answer, error_content
from mcp_server.held import held_job, stopped_job
from mcp_server.principal import Principal
from mcp_server.tools.access import Access, ToolContext, progress_to
from mcp_server.tools.arguments import Arguments, OneOrSeveral
from mcp_server.tools.checked import READS, STOPS, CheckedTool, checked_tool
from mcp_server.waiting import Report, clamped_wait
from mcp_server.wire import JobView, job_line, job_view

MAX_JOBS = 20
"""The most jobs of one ``get_job`` call, and the most ``list_jobs`` shows unless asked for more."""


class GetJobArguments(Arguments):
    """See the tool's description."""

    job_id: Annotated[OneOrSeveral, Field(description="One, whole, or a list")]
    wait_seconds: Annotated[float, Field(ge=0, description="At most 45")] = 0
    max_chars: Annotated[int | None, Field(ge=0, description="Of the preview; 0: no rows")] = None


class CancelJobArguments(Arguments):
    """See the tool's description."""

    job_id: str


class ListJobsArguments(Arguments):
    """See the tool's description."""

    limit: Annotated[int, Field(ge=1, le=100)] = MAX_JOBS


def job_tools(access: Access) -> tuple[CheckedTool, CheckedTool, CheckedTool]:
    """``get_job``, ``cancel_job`` and ``list_jobs`` over `access`."""

    async def get_job(arguments: GetJobArguments, context: ToolContext) -> CallToolResult:
        principal = access.principal_of(context)
        wait_s, warnings = clamped_wait(arguments.wait_seconds)
        most = access.settings.preview_chars
        max_chars = most if arguments.max_chars is None else arguments.max_chars
        if max_chars > most:
            warnings.append(f"max_chars was cut from {max_chars} to {most}; get_rows pages through the rest.")
        if isinstance(arguments.job_id, str):
            view = await _view(
                access,
                arguments.job_id,
                principal=principal,
                wait_s=wait_s,
                max_chars=min(max_chars, most),
                warnings=warnings,
                report=progress_to(context),
            )
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

    async def cancel_job(arguments: CancelJobArguments, context: ToolContext) -> CallToolResult:
        job = await stopped_job(access, access.principal_of(context), arguments.job_id)
        view = job_view(job, max_chars=0)
        return answer(view.content(), is_error=False)

    async def list_jobs(arguments: ListJobsArguments, context: ToolContext) -> CallToolResult:
        owner = access.principal_of(context).owner
        jobs = await access.executor.list_jobs(owner=owner, limit=arguments.limit)
        return answer({"jobs": [job_line(job).content() for job in jobs]})

    return (
        checked_tool(
            "get_job",
            GetJobArguments,
            get_job,
            description="State and first rows of a job. Giving up on this call does not stop the job.",
            annotations=READS,
        ),
        checked_tool(
            "cancel_job",
            CancelJobArguments,
            cancel_job,
            description="Stop a job, in the database too.",
            annotations=STOPS,
        ),
        checked_tool(
            "list_jobs",
            ListJobsArguments,
            list_jobs,
            description="Your jobs, newest first. Finds a lost job_id.",
            annotations=READS,
        ),
    )


async def _view(
    access: Access,
    job_id: str,
    *,
    principal: Principal,
    wait_s: float,
    max_chars: int,
    warnings: Sequence[str],
    report: Report | None,
) -> JobView:
    job = await held_job(access, principal, job_id, wait_s=wait_s, report=report)
    return job_view(job, max_chars=max_chars, warnings=warnings)


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
    """The jobs side by side, the preview shared among them; an unknown one is an error in its own place."""
    asked = list(dict.fromkeys(job_ids))
    if len(asked) > MAX_JOBS:
        warnings = [*warnings, f"Only the first {MAX_JOBS} of {len(asked)} jobs are shown."]
        asked = asked[:MAX_JOBS]

    async def one(job_id: str, report: Report | None) -> dict[str, Any]:
        try:
            view = await _view(
                access,
                job_id,
                principal=principal,
                wait_s=wait_s,
                max_chars=max_chars // len(asked),
                warnings=[],
                report=report,
            )
        except ExecutorError as failed:
            return {"job_id": job_id[:64], "error": error_content(failed)}
        return view.content()

    # One of them reports progress: a client reads one rising number a call.
    async with asyncio.TaskGroup() as group:
        views = [
            group.create_task(one(job_id, progress_to(context) if n == 0 else None)) for n, job_id in enumerate(asked)
        ]
    content: dict[str, Any] = {"jobs": [view.result() for view in views]}
    if warnings:
        content["warnings"] = warnings
    return answer(content)
