"""What the client of a call said that it can do. Knows no tool and no job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

TASKS = "io.modelcontextprotocol/tasks"
"""The identifier of the Tasks extension.

Source: https://modelcontextprotocol.io/seps/2663-tasks-extension
"""

CORE_TASKS_REVISION = "2025-11-25"
"""The one revision that has tasks in its core."""

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


def asks_for_core_task(context: CallContext) -> bool:
    """Whether the call is to become a task of 2025-11-25's: there, the client says so with each call."""
    asked = (context.params or {}).get("task")
    return context.protocol_version == CORE_TASKS_REVISION and isinstance(asked, Mapping)
