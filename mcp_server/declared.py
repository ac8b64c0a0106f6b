"""What the client of a call said that it can do. Knows no tool and no job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

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


def declares_elicitation(context: CallContext) -> bool:
    """Whether the client puts forms before its user. Empty, the capability is older than its modes."""
    declared = context.session.client_capabilities
    elicitation = None if declared is None else declared.elicitation
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


Asking = Literal["call", "rounds", "task"]
"""How a client's user is asked: by a request of ours while the call is open; by a result on which the client sends the
call again with the answer; by the task's status, with the answer in a request of its own."""


def how_to_ask(context: CallContext, *, as_task: bool = True) -> Asking | None:
    """How the user behind a call can be asked; None where they cannot. `as_task`: the call may become a task."""
    if not declares_elicitation(context):
        return None
    if as_task and (declares_tasks(context) or asks_for_core_task(context)):
        return "task"
    if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return "rounds"
    return "call" if context.session.can_send_request else None
