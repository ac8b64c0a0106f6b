"""What a caller is told of sources and their tables, in JSON-ready shapes. Reads schemas, never rows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from executor import ExecutorError, SourceInfo, SourceSchema, Table
from mcp_server.bounds import cut_json, json_length, that_fit
from mcp_server.errors import CallCode, CallRefused, error_content
from mcp_server.knowledge.examples import examples
from mcp_server.knowledge.known import Known
from mcp_server.knowledge.meanings import about
from mcp_server.knowledge.verified import VerifiedQuery, columns_used
from mcp_server.principal import Principal
from mcp_server.reach import Reach
from mcp_server.submission import checked_statement
from mcp_server.tables import detailed, listed, matching, near, shown_name, with_columns

DESCRIBED_CHARS = 16_000
"""The most characters of described tables, each in fields and as a card."""

READY_WITHIN_S = 10.0
"""Seconds to wait for a source that is still being looked at."""


SOURCES_CHARS = 12_000
"""The most characters of a list of sources that a tool answers."""

MOST_NAMES = 100
"""The most names of one call about tables."""

MOST_OF_A_COLUMN = 200
"""Characters of the name of a column that is looked for."""

_UNKNOWN = 10
"""The most unknown names of one call that are told with what may be meant."""


def sources_that_fit(told: list[dict[str, Any]]) -> dict[str, Any]:
    """`told`, as `list_of_sources` gives it, in at most `SOURCES_CHARS`.

    Descriptions and errors are cut shorter, then left out, before sources are; how many were is told.
    """
    for words in (1_000, 200, 60, 0):
        lines = [_shorter(one, words) for one in told]
        if json_length(lines) <= SOURCES_CHARS:
            return {"sources": lines}
    shown = that_fit(lines, SOURCES_CHARS)
    step = "Name the source in query or describe_tables: those that are not shown here can be used, too."
    return {"sources": shown, "more_sources": len(lines) - len(shown), "next_step": step}


def _shorter(told: dict[str, Any], words: int) -> dict[str, Any]:
    kept = {key: value for key, value in told.items() if key not in ("description", "error")}
    if "description" in told and words:
        kept["description"] = cut_json(told["description"], words)
    if "error" in told:
        error: dict[str, Any] = told["error"]
        cut = {key: cut_json(error[key], words) for key in ("message", "hint", "next_step") if key in error and words}
        kept["error"] = {"code": error["code"], **cut}
    return kept


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


def described(known: Known, patterns: list[str], columns: str | None = None) -> tuple[dict[str, Any], bool]:
    """What to say of `patterns`, and whether it is an error: when nothing was found at all.

    Args:
        known: the source as the caller sees it.
        patterns: as in `matching`; none for a list of all tables.
        columns: as in `with_columns`, for tables with more columns than are told at once; alone, of every table.
    """
    schema = known.schema
    if columns is not None and not patterns:
        patterns = ["*"]
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
    matches = {pattern: matching(pattern, schema) for pattern in patterns}
    found = {id(table): table for tables in matches.values() for table in tables}
    unknown = [pattern for pattern, tables in matches.items() if not tables]
    missing = [_unknown(pattern, schema) for pattern in unknown[:_UNKNOWN]]
    if not found:
        return {"source": schema.source, "error": missing[0]}, True
    tables = list(found.values())
    without: list[str] = []
    if columns is not None:
        narrowed = {key: with_columns(table, columns) for key, table in found.items()}
        tables = [table for table in narrowed.values() if table.columns]
        if not tables:
            return {"source": schema.source, "error": _no_column(columns)}, True
        named = {id(table): table for pattern, some in matches.items() if "*" not in pattern for table in some}
        without = [shown_name(table, schema) for key, table in named.items() if not narrowed[key].columns]
    lines = _with_cards(known, tables, has_cards=columns is None)
    content = {"source": schema.source, "dialect": schema.dialect, "tables": lines}
    rest = tables[len(lines) :]
    if rest:
        content["not_shown"] = listed(rest, schema, max_chars=2_000)
        content["next_step"] = f"{len(rest)} more tables match; name fewer at once for their details."
    elif any("more_columns" in line for line in lines):
        content["next_step"] = 'columns="part*" finds the columns that are not shown by name.'
    if without:
        content["without_such_columns"] = that_fit(without, 1_000)
    if missing:
        content["unknown"] = missing
        if len(unknown) > len(missing):
            content["more_unknown"] = len(unknown) - len(missing)
    return content, False


async def verified_for(
    reach: Reach, principal: Principal, source: str, keywords: Sequence[str], *, tables: Iterable[Table] = ()
) -> list[dict[str, Any]]:
    """Verified queries for a question, or for keywords and the tables they found: those that the caller could run."""
    store = reach.verified
    if store is None:
        return []
    queries = await asyncio.to_thread(store.of, source, state="verified")
    if not queries:
        return []
    schema = await reach.executor.source_schema(source)
    grant = reach.policies.grant(principal, schema)
    named = [f"{table.schema}.{table.name}" for table in tables]
    return await asyncio.to_thread(examples, queries, keywords, schema=schema, grant=grant, tables=named)


async def proposed(reach: Reach, principal: Principal, source: str, question: str, sql: str) -> VerifiedQuery:
    """A query of the caller's, kept for a person to review; until then nobody is shown it.

    Raises:
        StatementRefused: the guard does not let it pass for the caller.
        ExecutorError: as `VerifiedQueries.add`.
    """
    store = reach.verified
    if store is None:
        raise CallRefused(CallCode.INVALID_ARGUMENTS, "This server keeps no verified queries.")
    limits = reach.executor.settings.limits.limits()
    statement = await checked_statement(reach.executor, reach.policies, principal, sql, source=source, limits=limits)
    read = columns_used(sql, statement, await reach.executor.source_schema(source))
    return await asyncio.to_thread(store.add, source, question, sql, read=read, by=principal.owner, is_verified=False)


def searched(known: Known, keywords: list[str]) -> tuple[dict[str, Any], tuple[Table, ...]]:
    """The tables that `keywords` are about: their cards, how they join, where keys lead from them; and the tables."""
    schema = known.schema
    found = known.find(keywords)
    content: dict[str, Any] = {"source": schema.source, "dialect": schema.dialect, "whole_schema": found.whole}
    content["tables"] = [
        {"name": shown_name(table, schema), "card": card} for table, card in zip(found.tables, found.cards, strict=True)
    ]
    if found.joins:
        content["joins"] = list(found.joins)
    if found.near:
        content["joins_to_other_tables"] = list(found.near)
    if found.whole:
        content["next_step"] = "These are all tables of the source, the likeliest first; no need to search again."
    elif found.tables:
        content["next_step"] = "query(sql) with these tables; or search again with other words."
    else:
        content["next_step"] = "No table has to do with these words. Try others, or describe_tables() for a list."
    return content, found.tables


def _with_cards(known: Known, tables: list[Table], *, has_cards: bool) -> list[dict[str, Any]]:
    """The first tables in full with their cards, as many as fit, at least one. A card is of the whole table."""
    told: list[dict[str, Any]] = []
    used = 0
    for line, table in zip(detailed(tables, known.schema), tables, strict=False):
        if has_cards:
            line["card"] = known.cards.card(table)
        used += json_length(line)
        if told and used > DESCRIBED_CHARS:
            break
        told.append(line)
    return told


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


def _no_column(pattern: str) -> dict[str, Any]:
    return {
        "code": "unknown_column",
        "message": f'None of these tables has a column "{pattern[:80]}".',
        "hint": 'columns takes a name, or a part of one with *, such as "price*".',
    }


def _unknown(pattern: str, schema: SourceSchema) -> dict[str, Any]:
    """The same words as the guard's for a table that is not there, or not for this caller."""
    close = near(pattern, schema)
    return {
        "code": "unknown_table",
        "message": f'There is no table "{pattern[:80]}" in {schema.source}.',
        "hint": cut_json(f"Did you mean {' or '.join(close)}?", 300)
        if close
        else "describe_tables() lists the tables.",
    }
