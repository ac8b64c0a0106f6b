"""What a token may be used for. Three scopes of callers, one of which every tool and method needs; one of operators."""

from __future__ import annotations

READ = "awaitsql:read"
QUERY = "awaitsql:query"
EXPORT = "awaitsql:export"

SCOPES = (READ, QUERY, EXPORT)
"""``read``: sources, tables, one's jobs and their rows. ``query``: submit and cancel. ``export``: whole results."""

METRICS = "awaitsql:metrics"
"""``/metrics``: for a Prometheus. No caller needs it, so no token has it that did not ask for it."""

_OF_TOOL = {
    "list_sources": READ,
    "search_schema": READ,
    "describe_tables": READ,
    "get_job": READ,
    "get_rows": READ,
    "list_jobs": READ,
    "export": EXPORT,
}
"""Any other tool needs ``query``: a new one is not open to those who may only read before somebody has said so."""

_OF_METHOD = {"tasks/cancel": QUERY, "tasks/update": QUERY}


def scope_of(method: str, tool: str | None = None) -> str:
    """The scope that an MCP method needs; of ``tools/call``, the one that the tool needs."""
    if method == "tools/call" and tool is not None:
        return _OF_TOOL.get(tool, QUERY)
    return _OF_METHOD.get(method, READ)
