"""The tool ``query``: checks SQL, makes a job of it, waits a little for its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from mcp_types import CallToolResult, InputRequiredResult
from pydantic import Field

from executor import ExecutorError, Job
from mcp_server.declared import how_to_ask
from mcp_server.errors import answer, error_content
from mcp_server.queries import Query, submitted_query, while_wanted
from mcp_server.tools.access import Access, ToolContext, progress_to
from mcp_server.tools.arguments import Arguments
from mcp_server.tools.as_task import marked, task_wait
from mcp_server.tools.asked import answered_before, through_questions
from mcp_server.tools.checked import READS, CheckedTool, checked_tool
from mcp_server.waiting import clamped_wait, wait_for
from mcp_server.wire import job_view


class QueryArguments(Arguments):
    """See the tool's description."""

    sql: Annotated[str, Field(description="One SELECT, in the source's dialect")]
    source: str | None = None
    wait_seconds: Annotated[float, Field(ge=0, description="At most 45")] = 10
    max_rows: Annotated[int | None, Field(ge=1)] = None
    dry_run: Annotated[bool, Field(description="Only plan and cost")] = False
    fresh: Annotated[bool, Field(description="No shared rows")] = False
    confirm: Annotated[str | None, Field(description="Token of needs_confirmation")] = None
    dialect: Annotated[str | None, Field(description="Of sql, if not the source's")] = None
    idempotency_key: Annotated[str | None, Field(min_length=1, max_length=200, description="Same key: same job")] = None


def query_tool(access: Access) -> CheckedTool:
    """``query`` over `access`."""

    async def query(arguments: QueryArguments, context: ToolContext) -> CallToolResult | InputRequiredResult:
        principal = access.principal_of(context)
        wait_s, clamped = clamped_wait(arguments.wait_seconds)
        asked = Query(
            sql=arguments.sql,
            source=arguments.source,
            max_rows=arguments.max_rows,
            dry_run=arguments.dry_run,
            fresh=arguments.fresh,
            confirm=arguments.confirm,
            dialect=arguments.dialect,
            idempotency_key=arguments.idempotency_key,
        )
        job = await answered_before(access, context, owner=principal.owner)
        warnings: list[str] = []
        if job is None:
            how = how_to_ask(context.request_context)
            job, warnings = await submitted_query(access, principal, asked, asks=how is not None)
        return await answered(
            access,
            job,
            owner=principal.owner,
            wait_s=wait_s,
            context=context,
            warnings=[*warnings, *clamped],
        )

    return checked_tool(
        "query",
        QueryArguments,
        query,
        calls=access.calls,
        description=(
            "Run one read-only SQL statement. Rows that come within wait_seconds are in the answer, with a "
            "summary per column. A longer query goes on as a job: poll get_job, do not send it again. "
            "Aggregate in SQL."
        ),
        annotations=READS,
    )


async def answered(
    access: Access,
    job: Job,
    *,
    owner: str,
    wait_s: float,
    context: ToolContext,
    warnings: Sequence[str],
) -> CallToolResult | InputRequiredResult:
    """A fresh job as its submitter sees it: with its rows where they come in time, else as a handle.

    What it asks on the way the user is asked, where their client knows how.

    For a client that speaks tasks the wait is short, and what goes on after it is marked to become one.
    """
    call = context.request_context
    wait_s = task_wait(call, wait_s)

    async def wait(job: Job) -> Job:
        return await wait_for(access.executor, job, owner=owner, timeout_s=wait_s, report=progress_to(context))

    try:
        async with while_wanted(access, job.id, owner=owner):
            told = await through_questions(access, job, context, owner=owner, how=how_to_ask(call), wait=wait)
        if isinstance(told, InputRequiredResult):
            return told
        job = told
    except ExecutorError as failed:
        content = error_content(failed)
        content["next_step"] = f'get_job(job_id="{job.id}") when it answers again; the job is stored, do not repeat it.'
        return answer({"job_id": job.id, "error": content}, is_error=True)
    view = job_view(job, max_chars=access.settings.preview_chars, warnings=warnings)
    return marked(call, answer(view.content(), is_error=view.is_error), job)
