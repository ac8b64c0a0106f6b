"""The tool ``get_rows``: pages through the rows of a result. Makes no job and waits for none."""

from __future__ import annotations

from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from mcp_server.bounds import CELL_CHARS
from mcp_server.errors import answer
from mcp_server.pages import read_page
from mcp_server.tools.access import Access, ToolContext
from mcp_server.tools.arguments import Arguments, Names
from mcp_server.tools.checked import READS, CheckedTool, checked_tool


class GetRowsArguments(Arguments):
    """See the tool's description."""

    job_id: str
    cursor: Annotated[str | None, Field(description="A next_cursor")] = None
    limit: Annotated[int, Field(ge=1, description="At most 1000")] = 100
    columns: Names | None = None
    cell_chars: Annotated[int, Field(ge=1)] = CELL_CHARS


def rows_tool(access: Access) -> CheckedTool:
    """``get_rows`` over `access`."""

    async def get_rows(arguments: GetRowsArguments, context: ToolContext) -> CallToolResult:
        view = await read_page(
            access,
            principal=access.principal_of(context),
            job_id=arguments.job_id,
            cursor=arguments.cursor,
            limit=arguments.limit,
            columns=arguments.columns,
            cell_chars=arguments.cell_chars,
        )
        return answer(view.content())

    return checked_tool(
        "get_rows",
        GetRowsArguments,
        get_rows,
        calls=access.calls,
        description="A page of a job's rows, also while it still runs. To show rows, not to add them up.",
        annotations=READS,
    )
