"""From a query as a client sends it to its job, and the wait for its rows. For every face; knows no protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import anyio
import anyio.lowlevel

from executor import ErrorCode, Job, Limits, Statement, StatementFailed
from mcp_server.principal import Principal
from mcp_server.reach import Reach
from mcp_server.submission import checked_over_results, checked_statement, dry
from mcp_server.waiting import Report, wait_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a client asks for.

    Attributes:
        sql: untrusted text.
        source: a source's name; None for the only one there is.
        max_rows: rows to keep of the result; None for as many as the server keeps.
        dry_run: whether plan and cost are wanted instead of rows.
        fresh: whether rows of an equal statement that just ran are not good enough.
        confirm: the token of a ``needs_confirmation``.
        dialect: what `sql` is written in, if that is not the source's own.
        idempotency_key: the same key with the same SQL gives the same job.
    """

    sql: str
    source: str | None = None
    max_rows: int | None = None
    dry_run: bool = False
    fresh: bool = False
    confirm: str | None = None
    dialect: str | None = None
    idempotency_key: str | None = None


async def submitted_query(
    reach: Reach, principal: Principal, query: Query, *, asks: bool = False
) -> tuple[Job, list[str]]:
    """The job of `query`, and warnings about what was understood otherwise than it was asked.

    With `asks` it waits for a person's answer where it needs one, and their client can be asked for that.

    Raises:
        CallRefused: ``unknown_source``.
        StatementRefused: the guard said no.
        ExecutorError: the source's tables are not known, or as `Executor.submit`.
    """
    source = reach.source(principal, query.source)
    limits, warnings = _limits(reach, query.max_rows)
    statement = await checked_statement(
        reach.executor,
        reach.policies,
        principal,
        query.sql,
        source=source.name,
        limits=limits,
        dialect=query.dialect,
    )
    if query.dry_run:
        statement = dry(statement)
    _refuse_anothers_yes(statement, query.confirm)
    job = await submitted(
        reach,
        statement,
        owner=principal.owner,
        key=_key(query),
        confirm=query.confirm,
        fresh=query.fresh,
        asks=asks,
    )
    return job, warnings


async def submitted_over_results(reach: Reach, principal: Principal, sql: str, *, job_ids: Sequence[str]) -> Job:
    """The job of `sql` over the results of the caller's own jobs, its tables ``r1``, ``r2`` … in this order.

    Raises:
        StatementRefused: the guard said no.
        ExecutorError: as `checked_over_results`, or as `Executor.submit`.
    """
    limits = reach.executor.settings.limits.limits()
    statement = await checked_over_results(
        reach.executor, reach.policies, principal, sql, job_ids=job_ids, limits=limits
    )
    return await submitted(reach, statement, owner=principal.owner)


def _limits(reach: Reach, max_rows: int | None) -> tuple[Limits, list[str]]:
    limits = reach.executor.settings.limits.limits()
    if max_rows is None:
        return limits, []
    if max_rows > limits.max_rows:
        return limits, [f"max_rows was cut from {max_rows:,} to {limits.max_rows:,}, the most this server keeps."]
    return replace(limits, max_rows=max_rows), []


def _key(query: Query) -> str | None:
    """The idempotency key. What was confirmed is another job than the one that asked for it."""
    if query.idempotency_key is None or query.confirm is None:
        return query.idempotency_key
    return f"{query.idempotency_key} confirmed"


def _refuse_anothers_yes(statement: Statement, confirm: str | None) -> None:
    """A policy may ask for a person's yes, and whoever calls a tool may be none."""
    if confirm is not None and statement.cost is not None and statement.cost.confirm_by == "human":
        raise StatementFailed(
            ErrorCode.NEEDS_CONFIRMATION,
            "This server's policy wants a person to confirm so dear a statement, not a tool call.",
            hint="Make it cheaper, or ask the user to run it with awaitsql query, which asks them.",
        )


async def submitted(
    reach: Reach,
    statement: Statement,
    *,
    owner: str,
    key: str | None = None,
    confirm: str | None = None,
    fresh: bool = False,
    asks: bool = False,
) -> Job:
    """The job. Shielded: a caller that leaves in the middle of the submit would leave a job that nobody can name."""
    with anyio.CancelScope(shield=True):
        return await reach.executor.submit(
            statement, owner=owner, idempotency_key=key, confirm=confirm, fresh=fresh, asks=asks
        )
    raise AssertionError("a shield that is never cancelled swallows nothing")  # pragma: no cover


async def await_rows(reach: Reach, job: Job, *, owner: str, wait_s: float, report: Report | None = None) -> Job:
    """The job when its rows are there or the wait is over. A caller that gives up before takes the job with it."""
    async with while_wanted(reach, job.id, owner=owner):
        return await wait_for(reach.executor, job, owner=owner, timeout_s=wait_s, report=report)


@asynccontextmanager
async def while_wanted(reach: Reach, job_id: str, *, owner: str) -> AsyncGenerator[None]:
    """Inside, a caller has no handle of the job yet: one that gives up takes the job with it."""
    try:
        await anyio.lowlevel.checkpoint_if_cancelled()  # it may have left in the middle of the submit
        yield
    except anyio.get_cancelled_exc_class():
        reach.farewells.say(job_id, owner=owner)
        raise
