"""From SQL to a statement: the guard's verdict over what is known of the source. For every door that takes SQL."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread

from executor import (
    RESULTS,
    Job,
    JobKind,
    Limits,
    Statement,
    StatementFailed,
    inputs_of,
    origins_of_results,
    proof_of_results,
    schema_of_results,
)
from mcp_server.excluding import excluding
from mcp_server.grants import Policies
from mcp_server.principal import Principal
from mcp_server.sql import RefusalCode, StatementRefused, Telling, check, with_literals_of
from mcp_server.verdicts import Given, keep, known

if TYPE_CHECKING:  # the type only: what is used is handed in
    from executor import Executor, SourceSchema

_INLINE_SQL_CHARS = 2_000
"""Longer SQL is checked in a thread, so that a statement of 20 kB does not hold up everybody else's calls."""


def dry(statement: Statement) -> Statement:
    """`statement` as a job that only explains it.

    Raises:
        StatementRefused: it is an EXPLAIN already.
    """
    if statement.sql.startswith("EXPLAIN"):
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED,
            "A dry run explains the statement by itself.",
            hint="Leave EXPLAIN out.",
            position=1,
        )
    return replace(statement, kind=JobKind.DRY_RUN)


async def checked_statement(
    executor: Executor,
    policies: Policies,
    principal: Principal,
    sql: str,
    *,
    source: str,
    limits: Limits,
    dialect: str | None = None,
) -> Statement:
    """The statement that may run. A table the guard does not know may be new: the schema is read once more first.

    Args:
        executor: where the source's schema comes from.
        policies: who may read what.
        principal: who asks.
        sql: the caller's text.
        source: the source's name.
        limits: what the job may use; a policy may lower it.
        dialect: what `sql` is written in, if that is not the source's own dialect.

    Raises:
        StatementRefused: the guard said no.
        SourceFailed: the source's tables are not known, or its policy does not fit them.
    """

    async def verdict(schema: SourceSchema) -> Statement:
        # together: the policies, and what stands behind the source, may be others before the statement is signed
        grant, version = policies.grant(principal, schema), policies.version
        source_print = executor.settings.fingerprint_of(source)
        given = Given(sql, schema, grant, limits, dialect, _telling(executor, policies, schema))
        statement = known(given)
        if statement is None:
            checks = partial(_checked, given, asked_in)
            statement = (
                checks()
                if len(sql) <= _INLINE_SQL_CHARS
                else await anyio.to_thread.run_sync(checks, abandon_on_cancel=True)
            )
            keep(given, statement)
        return replace(statement, policy_version=version, source_print=source_print)

    schema = await executor.source_schema(source)
    asked_in = dialect or schema.dialect
    async with _refusals_on_record(executor, principal, sql, source=source, dialect=asked_in):
        try:
            statement = await verdict(schema)
        except StatementRefused as refused:
            if refused.code not in (RefusalCode.UNKNOWN_TABLE, RefusalCode.UNKNOWN_COLUMN):
                raise
            before = schema.hash()
            schema = await executor.source_schema(source, refresh=True)
            if schema.hash() == before:
                raise
            statement = await verdict(schema)
    return statement


def _checked(given: Given, asked_in: str) -> Statement:
    """The guard's verdict, with what the record tells of it."""
    statement = check(
        given.sql,
        source_schema=given.schema,
        grant=given.grant,
        limits=given.limits,
        dialect=given.dialect,
        telling=given.telling,
    )
    return _as_asked(statement, given.sql, asked_in, given.schema.dialect)


def _as_asked(statement: Statement, sql: str, asked_in: str, dialect: str) -> Statement:
    """`statement` with what the record tells of it: the caller's text, and what runs without the policy's values."""
    recorded = with_literals_of(sql, asked_in, statement.sql, dialect)
    return replace(statement, asked=sql, asked_in=asked_in, recorded=recorded)


@asynccontextmanager
async def _refusals_on_record(
    executor: Executor, principal: Principal, sql: str, *, source: str, dialect: str
) -> AsyncGenerator[None]:
    """What is refused inside is an act of the caller's, and goes on record."""
    try:
        yield
    except (StatementRefused, StatementFailed) as refused:
        await executor.tell_refusal(
            owner=principal.owner,
            source=source,
            sql=sql,
            dialect=dialect,
            code=str(refused.code),
            message=refused.message,
            position=refused.position,
        )
        raise


def _telling(executor: Executor, policies: Policies, schema: SourceSchema) -> Telling:
    """The columns that say which rows usually do not count, as far as that is known here and may be told to anybody."""
    profile = executor.profile_now(schema.source)
    if profile is None:
        return {}
    shared = policies.shared_tables(schema)
    return {table: columns for table, columns in excluding(profile).items() if table in shared}


async def checked_over_results(
    executor: Executor, policies: Policies, principal: Principal, sql: str, *, job_ids: Sequence[str], limits: Limits
) -> Statement:
    """The statement that may run over the results of the caller's own jobs, which are its tables ``r1``, ``r2`` ….

    Raises:
        StatementRefused: the guard said no.
        ExecutorError: as `Executor.inputs`; ``policy_changed`` where the caller may no longer read what a job read.
    """
    jobs: list[Job] = await executor.inputs(job_ids, owner=principal.owner)
    version = policies.version
    for job in jobs:
        policies.hold(principal, job)
    schema, grant = schema_of_results(jobs), policies.results_grant()
    async with _refusals_on_record(executor, principal, sql, source=RESULTS, dialect=schema.dialect):
        statement = await anyio.to_thread.run_sync(
            lambda: check(sql, source_schema=schema, grant=grant, limits=limits), abandon_on_cancel=True
        )
    return replace(
        _as_asked(statement, sql, schema.dialect, schema.dialect),
        kind=JobKind.QUERY_RESULT,
        policy_version=version,
        inputs=inputs_of(jobs),
        origins=origins_of_results(jobs),
        proof=proof_of_results(jobs),
        cost=None,
    )
