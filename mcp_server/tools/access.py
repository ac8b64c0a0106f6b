"""What a tool may use: what both faces stand on, and who makes the call. Made once, in ``app.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver import Context

from mcp_server.principal import Principal
from mcp_server.reach import Reach
from mcp_server.waiting import Report

ToolContext = Context[Any, Any]
"""The SDK's context of one call."""

PrincipalOf = Callable[[ToolContext], Principal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access(Reach):
    """What every tool is given.

    Attributes:
        principal_of: who makes this call.
    """

    principal_of: PrincipalOf


def progress_to(context: ToolContext) -> Report | None:
    """Tells the client of a wait; None where it did not ask for progress."""
    if "progress_token" not in (context.request_context.meta or {}):
        return None

    async def report(seconds: float, words: str) -> None:
        await context.report_progress(seconds, None, words)

    return report
