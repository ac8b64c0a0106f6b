"""Runs SQL as the product runs a caller's: past the guard, as a job, its rows read page by page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from executor import ExecutorError, JobState, ResultColumn
from mcp_server.evaluation.cells import compared, is_number
from mcp_server.evaluation.golds import NotRun, Row, Rows
from mcp_server.principal import LOCAL
from mcp_server.sql import StatementRefused
from mcp_server.submission import checked_statement

if TYPE_CHECKING:  # the types only: what is used is handed in
    from executor import Executor
    from mcp_server.grants import Policies

MOST_ROWS = 200_000
"""Rows of a result that are compared; it is cut there."""

STATEMENT_S = 60.0
"""Seconds after which a statement is stopped."""

_PAGE_ROWS = 1_000


class Running:
    """Statements on the sources of one machine."""

    def __init__(self, executor: Executor, policies: Policies) -> None:
        self._executor = executor
        self._policies = policies

    async def rows(self, source: str, sql: str) -> Rows:
        """The whole result of `sql`, at most `MOST_ROWS`.

        Raises:
            NotRun: the guard refused it, or its job did not succeed.
        """
        limits = replace(self._executor.settings.limits.limits(), max_rows=MOST_ROWS, timeout_s=STATEMENT_S)
        try:
            statement = await checked_statement(
                self._executor, self._policies, LOCAL, sql, source=source, limits=limits
            )
        except StatementRefused as refused:
            raise NotRun(str(refused.code), f"{refused.message} {refused.hint}".strip(), is_refusal=True) from refused
        try:
            job = await self._executor.submit(statement, owner=LOCAL.owner)
            job = await self._executor.wait(job.id, owner=LOCAL.owner, timeout_s=limits.job_timeout_s)
            if job.state is not JobState.SUCCEEDED:
                code = str(job.error.code) if job.error is not None else str(job.state)
                raise NotRun(code, job.error.message if job.error is not None else "", is_refusal=False)
            return await self._read(job.id)
        except ExecutorError as error:
            raise NotRun(str(error.code), error.message, is_refusal=False) from error

    async def _read(self, job_id: str) -> Rows:
        columns: tuple[ResultColumn, ...] = ()
        rows: list[Row] = []
        cursor: str | None = None
        while True:
            page = await self._executor.page(job_id, owner=LOCAL.owner, cursor=cursor, limit=_PAGE_ROWS)
            columns = page.columns
            numbers = [is_number(column.type) for column in columns]
            rows += (
                tuple(compared(value, number=number) for value, number in zip(row, numbers, strict=True))
                for row in page.rows
            )
            cursor = page.next_cursor
            if cursor is None:
                return Rows(len(columns), rows)
