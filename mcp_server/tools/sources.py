"""The tools about sources: ``list_sources``, ``search_schema``, ``describe_tables``. They read schemas, never rows."""

from __future__ import annotations

import asyncio
from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from mcp_server.errors import answer
from mcp_server.sources import (
    MOST_NAMES,
    MOST_OF_A_COLUMN,
    READY_WITHIN_S,
    described,
    glossed,
    list_of_sources,
    searched,
    sources_that_fit,
    verified_for,
)
from mcp_server.tables import matching
from mcp_server.tools.access import Access, ToolContext
from mcp_server.tools.arguments import Arguments, Names
from mcp_server.tools.checked import READS, CheckedTool, checked_tool


class ListSourcesArguments(Arguments):
    """None."""


class DescribeTablesArguments(Arguments):
    """See the tool's description."""

    tables: Annotated[Names | None, Field(max_length=MOST_NAMES)] = None
    columns: Annotated[str | None, Field(min_length=1, max_length=MOST_OF_A_COLUMN)] = None
    source: str | None = None


class SearchSchemaArguments(Arguments):
    """See the tool's description."""

    keywords: Annotated[Names, Field(min_length=1, max_length=MOST_NAMES, description="Or the question")]
    source: str | None = None


def source_tools(access: Access) -> tuple[CheckedTool, CheckedTool, CheckedTool]:
    """``list_sources``, ``search_schema`` and ``describe_tables`` over `access`."""

    async def list_sources(_arguments: ListSourcesArguments, context: ToolContext) -> CallToolResult:
        return answer(sources_that_fit(await list_of_sources(access, access.principal_of(context))))

    async def search_schema(arguments: SearchSchemaArguments, context: ToolContext) -> CallToolResult:
        principal = access.principal_of(context)
        source = access.source(principal, arguments.source)
        known = await access.known(principal, source.name, wait_s=READY_WITHIN_S)
        content, tables = await asyncio.to_thread(searched, known, arguments.keywords)
        asked = arguments.keywords
        content = await glossed(access, principal, content, source=source.name, tables=tables, keywords=asked)
        verified = await verified_for(access, principal, source.name, asked, tables=tables)
        return answer({**content, "verified": verified} if verified else content)

    async def describe_tables(arguments: DescribeTablesArguments, context: ToolContext) -> CallToolResult:
        principal = access.principal_of(context)
        source = access.source(principal, arguments.source)
        known = await access.known(principal, source.name, wait_s=READY_WITHIN_S)
        patterns = arguments.tables or []
        # thousands of tables are compared with every name
        content, is_error = await asyncio.to_thread(described, known, patterns, arguments.columns)
        if not is_error:
            schema = known.schema
            tables = [t for pattern in patterns for t in matching(pattern, schema)] if patterns else schema.tables
            content = await glossed(access, principal, content, source=source.name, tables=tables)
        return answer(content, is_error=is_error)

    return (
        checked_tool(
            "list_sources",
            ListSourcesArguments,
            list_sources,
            calls=access.calls,
            description="The databases here, their SQL dialects and tables.",
            annotations=READS,
        ),
        checked_tool(
            "search_schema",
            SearchSchemaArguments,
            search_schema,
            calls=access.calls,
            description="Tables that a question is about, and how they join.",
            annotations=READS,
        ),
        checked_tool(
            "describe_tables",
            DescribeTablesArguments,
            describe_tables,
            calls=access.calls,
            description="Columns, types, keys, comments of tables; without names, a list. Look before writing SQL.",
            annotations=READS,
        ),
    )
