"""The tool ``search_values``: stored values that are like a text, so that SQL names them as they are spelled."""

from __future__ import annotations

from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from mcp_server.errors import answer
from mcp_server.knowledge.value_files import ValueFiles
from mcp_server.searched_values import ValueSearch
from mcp_server.tools.access import Access, ToolContext
from mcp_server.tools.arguments import Arguments
from mcp_server.tools.checked import READS, CheckedTool, checked_tool


class SearchValuesArguments(Arguments):
    """See the tool's description."""

    text: Annotated[str, Field(min_length=1)]
    source: str | None = None
    table: str | None = None


def values_tool(access: Access) -> CheckedTool:
    """``search_values`` over `access`."""
    search = ValueSearch(access, ValueFiles(access.executor))

    async def search_values(arguments: SearchValuesArguments, context: ToolContext) -> CallToolResult:
        principal = access.principal_of(context)
        told = await search.answer(principal, arguments.text, source=arguments.source, table=arguments.table)
        return answer(told[0], is_error=told[1])

    return checked_tool(
        "search_values",
        SearchValuesArguments,
        search_values,
        calls=access.calls,
        description="Stored values like a word of the question: where, and how spelled.",
        annotations=READS,
    )
