"""The tool ``query``: checks SQL, makes a job of it, waits a little for its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import anyio
from mcp_types import CallToolResult
from pydantic import Field

from executor import ErrorCode, ExecutorError, Job, Limits, Statement, StatementFailed
from mcp_server.errors import answer, error_content
from mcp_server.submission import checked_statement, dry
from mcp_server.tools.access import Access, ToolContext
from mcp_server.tools.arguments import Arguments
from mcp_server.tools.as_task import marked, task_wait
from mcp_server.tools.checked import READS, CheckedTool, checked_tool
from mcp_server.tools.waiting import clamped_wait, wait_for
from mcp_server.wire import job_view

_CANCEL_WITHIN_S = 5.0
"""How long the farewell of a caller that gave up may take."""


class QueryArguments(Arguments):
    """See the tool's description."""

    sql: Annotated[str, Field(description="One SELECT, in the source's dialect")]
    source: Annotated[str | None, Field(description="A name from list_sources")] = None
    wait_seconds: Annotated[float, Field(ge=0, description="Time to wait for rows, at most 45")] = 10
    max_rows: Annotated[int | None, Field(ge=1, description="Rows to keep of the result")] = None
    dry_run: Annotated[bool, Field(description="Only show plan and cost")] = False
    fresh: Annotated[bool, Field(description="Not the rows of an equal query just run")] = False
    confirm: Annotated[str | None, Field(description="The token of a needs_confirmation")] = None
    dialect: Annotated[str | None, Field(description="Of sql, if not the source's: translates it")] = None
    idempotency_key: Annotated[
        str | None, Field(min_length=1, max_length=200, description="Same key and SQL: same job, for safe retries")
    ] = None


def query_tool(access: Access) -> CheckedTool:
    """``query`` over `access`."""

    async def query(arguments: QueryArguments, context: ToolContext) -> CallToolResult:
        principal = access.principal_of(context)
        source = access.source(principal, arguments.source)
        limits, warnings = _limits(access, arguments.max_rows)
        wait_s, clamped = clamped_wait(arguments.wait_seconds)
        statement = await checked_statement(
            access.executor,
            access.policies,
            principal,
            arguments.sql,
            source=source.name,
            limits=limits,
            dialect=arguments.dialect,
        )
        if arguments.dry_run:
            statement = dry(statement)
        _refuse_anothers_yes(statement, arguments.confirm)
        job = await submitted(
            access,
            statement,
            owner=principal.owner,
            key=_key(arguments),
            confirm=arguments.confirm,
            fresh=arguments.fresh,
        )
        return await answered(
            access,
            job,
            owner=principal.owner,
            wait_s=wait_s,
            context=context,
            warnings=[*warnings, *clamped],
            has_key=arguments.idempotency_key is not None,
        )

    return checked_tool(
        "query",
        QueryArguments,
        query,
        description=(
            "Run one read-only SQL statement. Rows that come within wait_seconds are in the answer: a preview, "
            "row_count, a summary per column. A longer query goes on as a job: poll get_job with its job_id, do not "
            "send it again. Aggregate in SQL rather than fetching many rows. A refusal says what to change."
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
    has_key: bool = False,
) -> CallToolResult:
    """A fresh job as its submitter sees it: with its rows where they come in time, else as a handle.

    For a client that speaks tasks the wait is short, and what goes on after it is marked to become one.
    """
    call = context.request_context
    wait_s = task_wait(call, wait_s)
    try:
        job = await _await_rows(access, job, owner=owner, wait_s=wait_s, context=context)
    except ExecutorError as failed:
        content = error_content(failed)
        content["next_step"] = f'get_job(job_id="{job.id}") when it answers again; the job is stored, do not repeat it.'
        return answer({"job_id": job.id, "error": content}, is_error=True)
    if has_key:
        access.callers.delivered(job.id)
    view = job_view(job, max_chars=access.settings.preview_chars, warnings=warnings)
    return marked(call, answer(view.content(), is_error=view.is_error), job)


def _limits(access: Access, max_rows: int | None) -> tuple[Limits, list[str]]:
    limits = access.executor.settings.limits.limits()
    if max_rows is None:
        return limits, []
    if max_rows > limits.max_rows:
        return limits, [f"max_rows was cut from {max_rows:,} to {limits.max_rows:,}, the most this server keeps."]
    return replace(limits, max_rows=max_rows), []


def _key(arguments: QueryArguments) -> str | None:
    """The idempotency key. What was confirmed is another job than the one that asked for it."""
    if arguments.idempotency_key is None or arguments.confirm is None:
        return arguments.idempotency_key
    return f"{arguments.idempotency_key} confirmed"


def _refuse_anothers_yes(statement: Statement, confirm: str | None) -> None:
    """A policy may ask for a person's yes, and whoever calls a tool may be none."""
    if confirm is not None and statement.cost is not None and statement.cost.confirm_by == "human":
        raise StatementFailed(
            ErrorCode.NEEDS_CONFIRMATION,
            "This server's policy wants a person to confirm so dear a statement, not a tool call.",
            hint="Make it cheaper, or ask the user to run it with awaitsql query, which asks them.",
        )


async def submitted(
    access: Access,
    statement: Statement,
    *,
    owner: str,
    key: str | None = None,
    confirm: str | None = None,
    fresh: bool = False,
) -> Job:
    """The job. Shielded: a caller that leaves in the middle of the submit would leave a job that nobody can name."""
    with anyio.CancelScope(shield=True):
        return await access.executor.submit(statement, owner=owner, idempotency_key=key, confirm=confirm, fresh=fresh)
    raise AssertionError("a shield that is never cancelled swallows nothing")  # pragma: no cover


async def _await_rows(access: Access, job: Job, *, owner: str, wait_s: float, context: ToolContext) -> Job:
    """The job when its rows are there or the wait is over. A caller that gives up before takes the job with it."""
    try:
        with access.callers.waiting_for(job.id):
            return await wait_for(access.executor, job, owner=owner, timeout_s=wait_s, context=context)
    except anyio.get_cancelled_exc_class():
        if not access.callers.is_wanted(job.id):
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CANCEL_WITHIN_S):
                await access.executor.cancel(job.id, owner=owner)
        raise
