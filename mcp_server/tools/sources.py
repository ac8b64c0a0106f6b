"""The tools about sources: ``list_sources`` and ``describe_tables``. They read schemas, never rows."""

from __future__ import annotations

import asyncio
from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from mcp_server.errors import answer
from mcp_server.sources import MOST_NAMES, READY_WITHIN_S, described, glossed, list_of_sources, sources_that_fit
from mcp_server.tables import matching
from mcp_server.tools.access import Access, ToolContext
from mcp_server.tools.arguments import Arguments, Names
from mcp_server.tools.checked import READS, CheckedTool, checked_tool


class ListSourcesArguments(Arguments):
    """None."""


class DescribeTablesArguments(Arguments):
    """See the tool's description."""

    tables: Annotated[
        Names | None, Field(max_length=MOST_NAMES, description="Names; * matches any letters; none: list all")
    ] = None
    source: Annotated[str | None, Field(description="May be left out when there is only one")] = None


def source_tools(access: Access) -> tuple[CheckedTool, CheckedTool]:
    """``list_sources`` and ``describe_tables`` over `access`."""

    async def list_sources(_arguments: ListSourcesArguments, context: ToolContext) -> CallToolResult:
        return answer(sources_that_fit(await list_of_sources(access, access.principal_of(context))))

    async def describe_tables(arguments: DescribeTablesArguments, context: ToolContext) -> CallToolResult:
        principal = access.principal_of(context)
        source = access.source(principal, arguments.source)
        schema = await access.visible_schema(principal, source.name, wait_s=READY_WITHIN_S)
        patterns = arguments.tables or []
        # thousands of tables are compared with every name
        content, is_error = await asyncio.to_thread(described, schema, patterns)
        if not is_error:
            tables = [t for pattern in patterns for t in matching(pattern, schema)] if patterns else schema.tables
            content = await glossed(access, principal, content, source=source.name, tables=tables)
        return answer(content, is_error=is_error)

    return (
        checked_tool(
            "list_sources",
            ListSourcesArguments,
            list_sources,
            description="The databases here: name, kind, SQL dialect, tables. Start here.",
            annotations=READS,
        ),
        checked_tool(
            "describe_tables",
            DescribeTablesArguments,
            describe_tables,
            description=(
                "Columns, types, keys, comments and row estimates of the named tables; without tables, a compact "
                "list of all. Look here before writing SQL."
            ),
            annotations=READS,
        ),
    )
