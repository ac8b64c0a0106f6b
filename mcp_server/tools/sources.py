"""The tools about sources: ``list_sources`` and ``describe_tables``. They read schemas, never rows."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from mcp_types import CallToolResult
from pydantic import Field

from executor import ExecutorError, SourceInfo, SourceSchema
from mcp_server.errors import answer, error_content
from mcp_server.principal import Principal
from mcp_server.tables import detailed, listed, matching, near
from mcp_server.tools.access import Access, ToolContext
from mcp_server.tools.arguments import Arguments, Names
from mcp_server.tools.checked import READS, CheckedTool, checked_tool

READY_WITHIN_S = 10.0
"""Seconds to wait for a source that is still being looked at."""


class ListSourcesArguments(Arguments):
    """None."""


class DescribeTablesArguments(Arguments):
    """See the tool's description."""

    tables: Annotated[Names | None, Field(description="Names; * matches any letters; none: list all")] = None
    source: Annotated[str | None, Field(description="May be left out when there is only one")] = None


def source_tools(access: Access) -> tuple[CheckedTool, CheckedTool]:
    """``list_sources`` and ``describe_tables`` over `access`."""

    async def list_sources(_arguments: ListSourcesArguments, context: ToolContext) -> CallToolResult:
        async with asyncio.TaskGroup() as group:
            principal = access.principal_of(context)
            told = [group.create_task(_source(access, principal, info)) for info in access.sources(principal)]
        return answer({"sources": [one.result() for one in told]})

    async def describe_tables(arguments: DescribeTablesArguments, context: ToolContext) -> CallToolResult:
        principal = access.principal_of(context)
        source = access.source(principal, arguments.source)
        schema = await access.visible_schema(principal, source.name, wait_s=READY_WITHIN_S)
        content, is_error = _described(schema, arguments.tables or [])
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


async def _source(access: Access, principal: Principal, info: SourceInfo) -> dict[str, Any]:
    told: dict[str, Any] = {"name": info.name, "kind": info.kind, "dialect": info.dialect}
    if info.description:
        told["description"] = info.description
    try:
        schema = await access.visible_schema(principal, info.name, wait_s=READY_WITHIN_S)
    except ExecutorError as failed:
        return {**told, "tables": 0, "ready": False, "error": error_content(failed)}
    return {**told, "tables": len(schema.tables), "ready": True}


def _described(schema: SourceSchema, patterns: list[str]) -> tuple[dict[str, Any], bool]:
    """What to say of `patterns`, and whether it is an error: when nothing was found at all."""
    if not patterns:
        lines = listed(schema.tables, schema)
        content: dict[str, Any] = {"source": schema.source, "dialect": schema.dialect, "tables": lines}
        more = len(schema.tables) - len(lines)
        content["next_step"] = (
            'describe_tables(tables=["name", …]) tells types, keys and comments; then query(sql).'
            if not more
            else f'{more} more tables are not shown; describe_tables(tables=["part*"]) finds them by name.'
        )
        return content | ({"more_tables": more} if more else {}), False
    found = {id(table): table for pattern in patterns for table in matching(pattern, schema)}
    missing = [_unknown(pattern, schema) for pattern in patterns if not matching(pattern, schema)]
    if not found:
        return {"source": schema.source, "error": missing[0]}, True
    tables = list(found.values())
    lines = detailed(tables, schema)
    content = {"source": schema.source, "dialect": schema.dialect, "tables": lines}
    rest = tables[len(lines) :]
    if rest:
        content["not_shown"] = listed(rest, schema, max_chars=2_000)
        content["next_step"] = f"{len(rest)} more tables match; name fewer at once for their details."
    if missing:
        content["unknown"] = missing
    return content, False


def _unknown(pattern: str, schema: SourceSchema) -> dict[str, Any]:
    """The same words as the guard's for a table that is not there, or not for this caller."""
    close = near(pattern, schema)
    return {
        "code": "unknown_table",
        "message": f'There is no table "{pattern[:80]}" in {schema.source}.',
        "hint": f"Did you mean {' or '.join(close)}?" if close else "describe_tables() lists the tables.",
    }
