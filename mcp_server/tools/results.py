"""The tool ``query_result``: SQL over stored results, as a job of its own."""

from __future__ import annotations

from typing import Annotated

from mcp_types import CallToolResult, InputRequiredResult
from pydantic import Field

from executor import MOST_INPUTS
from mcp_server.queries import submitted_over_results
from mcp_server.tools.access import Access, ToolContext
from mcp_server.tools.arguments import Arguments, Names
from mcp_server.tools.checked import READS, CheckedTool, checked_tool
from mcp_server.tools.query import answered
from mcp_server.waiting import clamped_wait


class QueryResultArguments(Arguments):
    """See the tool's description."""

    sql: Annotated[str, Field(description="One SELECT in DuckDB's dialect")]
    job_ids: Annotated[Names, Field(min_length=1, max_length=MOST_INPUTS)]
    wait_seconds: Annotated[float, Field(ge=0)] = 10


def query_result_tool(access: Access) -> CheckedTool:
    """``query_result`` over `access`."""

    async def query_result(
        arguments: QueryResultArguments, context: ToolContext
    ) -> CallToolResult | InputRequiredResult:
        principal = access.principal_of(context)
        wait_s, warnings = clamped_wait(arguments.wait_seconds)
        job = await submitted_over_results(access, principal, arguments.sql, job_ids=arguments.job_ids)
        return await answered(access, job, owner=principal.owner, wait_s=wait_s, context=context, warnings=warnings)

    return checked_tool(
        "query_result",
        QueryResultArguments,
        query_result,
        calls=access.calls,
        description="SQL over results you have: r1 is the first of job_ids, r2 the next.",
        annotations=READS,
    )
