"""The tools over stored results: ``query_result`` (SQL over them, as a job) and ``export`` (one as a file)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from mcp_types import CallToolResult
from pydantic import Field

from executor import MOST_INPUTS
from mcp_server.errors import answer
from mcp_server.exports import exported
from mcp_server.queries import submitted
from mcp_server.submission import checked_over_results
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


class ExportArguments(Arguments):
    """See the tool's description."""

    job_id: str
    format: Annotated[Literal["csv", "json", "parquet", "arrow"], Field(description="json: JSON lines")] = "csv"


def query_result_tool(access: Access) -> CheckedTool:
    """``query_result`` over `access`."""

    async def query_result(arguments: QueryResultArguments, context: ToolContext) -> CallToolResult:
        principal = access.principal_of(context)
        wait_s, warnings = clamped_wait(arguments.wait_seconds)
        statement = await checked_over_results(
            access.executor,
            access.policies,
            principal,
            arguments.sql,
            job_ids=arguments.job_ids,
            limits=access.executor.settings.limits.limits(),
        )
        job = await submitted(access, statement, owner=principal.owner)
        return await answered(access, job, owner=principal.owner, wait_s=wait_s, context=context, warnings=warnings)

    return checked_tool(
        "query_result",
        QueryResultArguments,
        query_result,
        description="SQL over results you have: r1 is the first of job_ids, r2 the next. The database is not asked.",
        annotations=READS,
    )


def export_tool(access: Access, folder: Path) -> CheckedTool:
    """``export`` over `access`, into files in `folder`, for clients on this machine."""

    async def export(arguments: ExportArguments, context: ToolContext) -> CallToolResult:
        principal = access.principal_of(context)
        job = await access.executor.get(arguments.job_id, owner=principal.owner)
        access.policies.hold(principal, job)
        path = await exported(access.executor, job, format=arguments.format, folder=folder)
        told: dict[str, Any] = {
            "job_id": job.id,
            "path": str(path),
            "format": arguments.format,
            "rows": job.rows,
            "bytes": path.stat().st_size,
        }
        if job.summary is not None and job.summary.truncated is not None:
            told["warnings"] = ["The result was cut, so the file does not hold every row that the statement gives."]
        return answer({**told, "next_step": "Tell the user where the file is."})

    return checked_tool(
        "export",
        ExportArguments,
        export,
        description="Write a job's whole result to a file; answers its path.",
        annotations=READS,
    )
