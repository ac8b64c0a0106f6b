"""What a token may be used for. Three scopes; every tool and method needs one of them."""

from __future__ import annotations

READ = "awaitsql:read"
QUERY = "awaitsql:query"
EXPORT = "awaitsql:export"

SCOPES = (READ, QUERY, EXPORT)
"""``read``: sources, tables, one's jobs and their rows. ``query``: submit and cancel. ``export``: whole results."""

_OF_TOOL = {
    "query": QUERY,
    "query_result": QUERY,
    "answer_job": QUERY,
    "cancel_job": QUERY,
    "save_verified": QUERY,
    "export": EXPORT,
}
_OF_METHOD = {"tasks/cancel": QUERY, "tasks/update": QUERY}


def scope_of(method: str, tool: str | None = None) -> str:
    """The scope that an MCP method needs; of ``tools/call``, the one that the tool needs."""
    if method == "tools/call" and tool is not None:
        return _OF_TOOL.get(tool, READ)
    return _OF_METHOD.get(method, READ)
