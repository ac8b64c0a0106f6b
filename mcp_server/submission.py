"""From SQL to a statement: the guard's verdict over what is known of the source. For every door that takes SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from executor import Limits, Statement
from mcp_server.policy import Grant
from mcp_server.sql import RefusalCode, StatementRefused, check

if TYPE_CHECKING:  # the type only: what is used is handed in
    from executor import Executor

_INLINE_SQL_CHARS = 2_000
"""Longer SQL is checked in a thread, so that a statement of 20 kB does not hold up everybody else's calls."""


async def checked_statement(executor: Executor, sql: str, *, source: str, grant: Grant, limits: Limits) -> Statement:
    """The statement that may run. A table the guard does not know may be new: the schema is read once more first.

    Raises:
        StatementRefused: the guard said no.
        SourceFailed: the source's tables are not known, and why.
    """
    schema = await executor.source_schema(source)

    async def verdict() -> Statement:
        if len(sql) <= _INLINE_SQL_CHARS:
            return check(sql, source_schema=schema, grant=grant, limits=limits)
        return await anyio.to_thread.run_sync(
            lambda: check(sql, source_schema=schema, grant=grant, limits=limits), abandon_on_cancel=True
        )

    try:
        return await verdict()
    except StatementRefused as refused:
        if refused.code is not RefusalCode.UNKNOWN_TABLE:
            raise
        known = schema.hash()
        schema = await executor.source_schema(source, refresh=True)
        if schema.hash() == known:
            raise
    return await verdict()
