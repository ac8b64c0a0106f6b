"""The tool ``save_verified``: proposes a question with its SQL. A person reviews it; the tool confirms nothing."""

from __future__ import annotations

from mcp_types import CallToolResult, ToolAnnotations

from mcp_server.errors import answer
from mcp_server.sources import proposed
from mcp_server.tools.access import Access, ToolContext
from mcp_server.tools.arguments import Arguments
from mcp_server.tools.checked import CheckedTool, checked_tool


class SaveVerifiedArguments(Arguments):
    """See the tool's description."""

    question: str
    sql: str
    source: str | None = None


def verified_tool(access: Access) -> CheckedTool:
    """``save_verified`` over `access`."""

    async def save_verified(arguments: SaveVerifiedArguments, context: ToolContext) -> CallToolResult:
        principal = access.principal_of(context)
        source = access.source(principal, arguments.source)
        kept = await proposed(access, principal, source.name, arguments.question, arguments.sql)
        told = {"id": kept.id, "state": kept.state}
        if kept.state == "pending":
            told["next_step"] = "A person decides: awaitsql verified review. Nothing more to do."
        return answer(told)

    return checked_tool(
        "save_verified",
        SaveVerifiedArguments,
        save_verified,
        calls=access.calls,
        description="Propose SQL that the user found right, for a person to review.",
        annotations=ToolAnnotations(destructive_hint=False),
    )
