"""What the client of a call said that it can do. Knows no tool and no job."""

from __future__ import annotations

from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

TASKS = "io.modelcontextprotocol/tasks"
"""The identifier of the Tasks extension.

Source: https://modelcontextprotocol.io/seps/2663-tasks-extension
"""

CallContext = ServerRequestContext[Any, Any]
"""The SDK's context of one request of any method."""


def declares_tasks(context: CallContext) -> bool:
    """Whether the answer may be a task: declared with this very call, at a revision that knows the extension.

    A client of the handshake era may name the extension; its revision cannot carry a task in place of a result.
    """
    declared = context.session.client_capabilities
    return (
        context.protocol_version in MODERN_PROTOCOL_VERSIONS
        and declared is not None
        and TASKS in (declared.extensions or {})
    )
