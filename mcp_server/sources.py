"""What a caller is told of sources and their tables, in JSON-ready shapes. Reads schemas, never rows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from executor import ExecutorError, SourceInfo, SourceSchema, Table
from mcp_server.errors import error_content
from mcp_server.knowledge.meanings import about
from mcp_server.principal import Principal
from mcp_server.reach import Reach
from mcp_server.tables import detailed, listed, matching, near

READY_WITHIN_S = 10.0
"""Seconds to wait for a source that is still being looked at."""


async def list_of_sources(reach: Reach, principal: Principal) -> list[dict[str, Any]]:
    """The sources that exist for the caller: name, kind, dialect, description, number of tables, whether ready."""
    async with asyncio.TaskGroup() as group:
        told = [group.create_task(_source(reach, principal, info)) for info in reach.sources(principal)]
    return [one.result() for one in told]


async def _source(reach: Reach, principal: Principal, info: SourceInfo) -> dict[str, Any]:
    told: dict[str, Any] = {"name": info.name, "kind": info.kind, "dialect": info.dialect}
    if info.description:
        told["description"] = info.description
    try:
        schema = await reach.visible_schema(principal, info.name, wait_s=READY_WITHIN_S)
    except ExecutorError as failed:
        return {**told, "tables": 0, "ready": False, "error": error_content(failed)}
    return {**told, "tables": len(schema.tables), "ready": True}


def described(schema: SourceSchema, patterns: list[str]) -> tuple[dict[str, Any], bool]:
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


async def glossed(
    reach: Reach,
    principal: Principal,
    content: dict[str, Any],
    *,
    source: str,
    tables: Iterable[Table],
    keywords: Sequence[str] = (),
) -> dict[str, Any]:
    """`content` with what the source's glossary says of `tables` and `keywords`, as far as the caller may read it."""
    meanings = reach.glossaries.of(source)
    if meanings is None:
        return content
    schema = await reach.executor.source_schema(source)
    grant = reach.policies.grant(principal, schema)
    seen, problems = await asyncio.to_thread(lambda: (meanings.seen(schema, grant), meanings.problems(schema)))
    lines = about(seen, tables=[(table.schema, table.name) for table in tables], keywords=keywords)
    told = {**content, "glossary": lines} if lines else dict(content)
    if problems:
        count = f"{len(problems)} entries of the glossary do" if len(problems) > 1 else "One entry of the glossary does"
        told["warnings"] = [f"{count} not fit the source's tables; awaitsql doctor says which."]
    return told


def _unknown(pattern: str, schema: SourceSchema) -> dict[str, Any]:
    """The same words as the guard's for a table that is not there, or not for this caller."""
    close = near(pattern, schema)
    return {
        "code": "unknown_table",
        "message": f'There is no table "{pattern[:80]}" in {schema.source}.',
        "hint": f"Did you mean {' or '.join(close)}?" if close else "describe_tables() lists the tables.",
    }
