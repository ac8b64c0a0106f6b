"""Stored values that are like a text, as a caller may see them: from the index, and by queries of the caller's own.

Of tables that all see alike the values are indexed. Of the others (filtered or masked for somebody) nothing is kept:
each search runs statements as the caller, through the guard, so that it finds what a query of theirs would show.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from executor import ExecutorError, JobState, SourceSchema, Table
from mcp_server.bounds import cut_text
from mcp_server.column_kinds import ColumnKind, column_kind
from mcp_server.knowledge.likeness import Asked
from mcp_server.knowledge.value_files import ValueFiles
from mcp_server.knowledge.value_index import ColumnName, ValueHit, ranked
from mcp_server.principal import Principal
from mcp_server.reach import Reach
from mcp_server.sql import StatementRefused, value_query
from mcp_server.submission import checked_statement
from mcp_server.tables import matching, near, shown_name

HITS = 10
READY_WITHIN_S = 10.0

TEXT_CHARS = 500
"""Of a text that is looked for; the rest is not."""

_LIVE_COLUMNS = 12
_LIVE_S = 8.0
_LIVE_VALUES = 50
_LIVE_WORDS = 6
_CELL_CHARS = 200
_LEAST_SCORE = 0.45


@dataclass(frozen=True, slots=True)
class ValueSearch:
    """Searches values for callers of one server."""

    reach: Reach
    files: ValueFiles

    async def answer(
        self, principal: Principal, text: str, *, source: str | None, table: str | None
    ) -> tuple[dict[str, Any], bool]:
        """What to say of `text`, JSON-ready, and whether it is an error: when there is no such table.

        Raises:
            CallRefused: ``unknown_source``.
            ExecutorError: the source's tables are not known, or the broker is away.
        """
        name = self.reach.source(principal, source).name
        whole = await self.reach.executor.source_schema(name, wait_s=READY_WITHIN_S)
        schema = await self.reach.visible_schema(principal, name, wait_s=READY_WITHIN_S)
        tables = list(schema.tables) if table is None else matching(table, schema)
        if not tables:
            return {"source": name, "error": _unknown(table or "", schema)}, True
        text = text[:TEXT_CHARS]
        shared = self.reach.policies.shared_tables(whole)
        warnings: list[str] = []
        hits = await self._indexed(name, text, [t for t in tables if (t.schema, t.name) in shared], warnings)
        others = [t for t in tables if (t.schema, t.name) not in shared]
        hits += await self._live(principal, name, text, others, warnings)
        best = [hit for hit in ranked(hits, limit=HITS) if hit.score >= _LEAST_SCORE]
        return _content(name, best, schema, warnings), False

    async def _indexed(self, source: str, text: str, tables: Sequence[Table], warnings: list[str]) -> list[ValueHit]:
        if not tables:
            return []
        profile = await self.reach.shared_profile(source, wait_s=READY_WITHIN_S)
        index = await self.files.index(profile, wait_s=READY_WITHIN_S)
        if index is None or not profile.complete:
            warnings.append("Values of this source are still being read: search again in a minute for all of them.")
        if index is None:
            return []
        columns = [(t.schema, t.name, c.name) for t in tables for c in t.columns]
        return await asyncio.to_thread(index.search, text, columns, limit=HITS)

    async def _live(
        self, principal: Principal, source: str, text: str, tables: Sequence[Table], warnings: list[str]
    ) -> list[ValueHit]:
        """What statements of the caller's find in text columns of `tables`, as many as there is time for."""
        columns = [(t, c.name) for t in tables for c in t.columns if column_kind(c.type) is ColumnKind.TEXT]
        asked = Asked(text)
        texts = asked.as_written[:_LIVE_WORDS] if asked.is_question else [text.strip(), *asked.as_written[:_LIVE_WORDS]]
        if not columns or not any(texts):
            return []
        hits: list[ValueHit] = []
        searched = 0
        try:
            async with asyncio.timeout(_LIVE_S):
                for table, column in columns[:_LIVE_COLUMNS]:
                    rows = await self._rows(principal, source, table, column, [t for t in texts if t])
                    name: ColumnName = (table.schema, table.name, column)
                    hits += [ValueHit(name, str(v), int(n), asked.likeness(str(v))) for v, n in rows if v is not None]
                    searched += 1
        except TimeoutError:
            pass
        if searched < len(columns):
            warnings.append(
                f"{len(columns) - searched} text columns were not searched; name a table to search its own."
            )
        return hits

    async def _rows(
        self, principal: Principal, source: str, table: Table, column: str, texts: Sequence[str]
    ) -> list[list[Any]]:
        executor = self.reach.executor
        limits = executor.settings.limits.limits()
        limits = replace(limits, max_rows=_LIVE_VALUES, timeout_s=min(limits.timeout_s, _LIVE_S))
        dialect = next(info.dialect for info in executor.sources() if info.name == source)
        sql = value_query((table.schema, table.name), column, texts, dialect=dialect, most=_LIVE_VALUES)
        try:
            statement = await checked_statement(
                executor, self.reach.policies, principal, sql, source=source, limits=limits
            )
            job = await executor.submit(statement, owner=principal.owner)
            try:
                job = await executor.wait(job.id, owner=principal.owner, timeout_s=_LIVE_S, known=job)
                if job.state is not JobState.SUCCEEDED:
                    return []
                return (await executor.page(job.id, owner=principal.owner, limit=_LIVE_VALUES)).rows
            finally:
                if not job.is_finished:
                    await executor.cancel(job.id, owner=principal.owner)
        except (StatementRefused, ExecutorError):
            return []


def _content(source: str, hits: Iterable[ValueHit], schema: SourceSchema, warnings: Sequence[str]) -> dict[str, Any]:
    names = {(t.schema, t.name): shown_name(t, schema) for t in schema.tables}
    values = [
        {
            "table": names[hit.column[:2]],
            "column": hit.column[2],
            "value": cut_text(hit.value, _CELL_CHARS),
            "rows": hit.rows,
        }
        for hit in hits
    ]
    content: dict[str, Any] = {"source": source, "values": values}
    if warnings:
        content["warnings"] = list(warnings)
    content["next_step"] = (
        "Use the value in query(sql), spelled as it is here."
        if values
        else "Nothing is like it: search for a part of it, or query(sql) with LIKE on a column."
    )
    return content


def _unknown(name: str, schema: SourceSchema) -> dict[str, Any]:
    """The same words as for a table that is not there, or not for this caller."""
    close = near(name, schema)
    return {
        "code": "unknown_table",
        "message": f'There is no table "{name[:80]}" in {schema.source}.',
        "hint": f"Did you mean {' or '.join(close)}?" if close else "describe_tables() lists the tables.",
    }
