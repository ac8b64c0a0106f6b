"""The resources: a job, its rows, a source's schema, and what a job's view and rare arguments mean."""

from __future__ import annotations

import json
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceError
from mcp.server.mcpserver.resources import TextResource

from mcp_server.errors import ANSWERED, DATA_NOTICE, CallCode, CallRefused, resource_error
from mcp_server.pages import MAX_CELL_CHARS, MAX_PAGE_ROWS, PAGE_CHARS, read_page
from mcp_server.sources import READY_WITHIN_S
from mcp_server.sql import dialect_names
from mcp_server.tables import detailed, listed
from mcp_server.tools.access import Access
from mcp_server.tools.as_task import INLINE_WAIT_S
from mcp_server.views import JobView
from mcp_server.waiting import MAX_WAIT_S
from mcp_server.wire import job_view

_JSON = "application/json"
_SCHEMA_CHARS = 60_000
_WHOLE_SQL_CHARS = 100_000


def add_resources(server: MCPServer[Any], access: Access) -> None:
    """Register every resource and template on `server`."""
    server.add_resource(
        TextResource(
            uri="schema://jobview",
            name="jobview",
            description="What the fields of a job's view mean, and the rare arguments of the tools.",
            mime_type=_JSON,
            text=json.dumps(job_view_document()),
        )
    )

    @server.resource("job://{id}", name="job", description="One job, with its SQL whole.", mime_type=_JSON)
    async def job(id: str, context: Context[Any, Any]) -> str:  # noqa: A002 - the template's variable
        try:
            with access.calls.counted("mcp", "job://{id}"):
                principal = access.principal_of(context)
                found = await access.executor.get(id, owner=principal.owner)
                access.policies.hold(principal, found)
        except ANSWERED as failed:
            raise _failure(failed) from failed
        view = job_view(found, max_chars=access.settings.preview_chars, sql_chars=_WHOLE_SQL_CHARS)
        return json.dumps(view.content(), ensure_ascii=False)

    @server.resource(
        "job://{id}/rows{?cursor,limit}", name="rows", description="A page of a job's rows.", mime_type=_JSON
    )
    async def rows(
        id: str,  # noqa: A002 - the template's variable
        context: Context[Any, Any],
        cursor: str | None = None,
        limit: str = "100",
    ) -> str:
        principal = access.principal_of(context)
        try:
            with access.calls.counted("mcp", "job://{id}/rows"):
                if not limit.isdecimal() or int(limit) < 1:
                    raise CallRefused(CallCode.INVALID_ARGUMENTS, "limit: a whole number of rows, at least 1.")
                view = await read_page(access, principal=principal, job_id=id, cursor=cursor, limit=int(limit))
        except ANSWERED as failed:
            raise _failure(failed) from failed
        return json.dumps(view.content(), ensure_ascii=False)

    @server.resource(
        "schema://{source}", name="schema", description="The tables of a source, in full.", mime_type=_JSON
    )
    async def schema(source: str, context: Context[Any, Any]) -> str:
        try:
            with access.calls.counted("mcp", "schema://{source}"):
                principal = access.principal_of(context)
                name = access.source(principal, source).name
                found = await access.visible_schema(principal, name, wait_s=READY_WITHIN_S)
        except ANSWERED as failed:
            raise _failure(failed) from failed
        lines = detailed(found.tables, found, max_chars=_SCHEMA_CHARS) if found.tables else []
        content: dict[str, Any] = {"source": found.source, "dialect": found.dialect, "tables": lines}
        if len(lines) < len(found.tables):
            content["not_shown"] = listed(found.tables[len(lines) :], found, max_chars=_SCHEMA_CHARS)
        return json.dumps(content, ensure_ascii=False)


def _failure(failed: Exception) -> ResourceError:
    return resource_error(failed)  # pyright: ignore[reportArgumentType] - one of ANSWERED, which AnsweredError names


def job_view_document() -> dict[str, Any]:
    """The JSON schema of `JobView` and what the tools' descriptions leave out."""
    return {
        "notice": DATA_NOTICE,
        "job_view": JobView.model_json_schema(),
        "arguments": {
            "wait_seconds": (
                f"Seconds to wait inside the call, at most {MAX_WAIT_S:g}; 0 answers at once. A client that declared "
                f"the Tasks extension waits {INLINE_WAIT_S:g} s at most and is then given a task."
            ),
            "max_rows": "Rows kept of the result; a view says truncated when there were more.",
            "dry_run": "Explains the statement and runs no part of it: see plan and progress.estimate.",
            "confirm": "The token that a needs_confirmation error names; good for ten minutes and that statement.",
            "dialect": f"What sql is written in, if not the source's own dialect: {', '.join(dialect_names())}.",
            "idempotency_key": (
                "Any text. The same key with the same SQL gives the same job, so a call that was lost can be sent "
                "again; with other SQL it is idempotency_conflict."
            ),
            "answer": (
                "What the user says to asks.message, in words (yes, no, a text), or JSON by the schema in asks.answer; "
                "null declines. Where asks says only_a_person, a tool call can only decline."
            ),
            "max_chars": "Characters of rows in one get_job answer, shared when several jobs are asked for.",
            "limit": f"Rows of one page, at most {MAX_PAGE_ROWS}; a page also ends after {PAGE_CHARS} characters.",
            "cursor": "next_cursor of the page before. It belongs to one job and one run of it.",
            "cell_chars": f"Characters of one cell, at most {MAX_CELL_CHARS}; longer ones are cut.",
            "columns": "Names of the columns to read, in the order wanted.",
        },
    }
