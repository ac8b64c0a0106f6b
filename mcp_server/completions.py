"""Completions: what an argument of a prompt or of a resource's address can be, for whoever is asking.

They tell nothing that the tools do not: sources, tables and columns as the policy shows them, the caller's own jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp_types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from mcp_server.errors import ANSWERED
from mcp_server.principal import Principal
from mcp_server.tools.access import Access

MOST = 100
"""Values in one answer, by the protocol."""

_JOBS = 50
_SCHEMA_WAIT_S = 0.5
"""A person is typing: a schema that is not there yet completes nothing."""


def add_completions(server: MCPServer[Any], access: Access, caller: Callable[[], Principal]) -> None:
    """Register completions on `server`.

    Args:
        server: the protocol's server.
        access: what the tools are given.
        caller: who sent the message that is being answered.
    """

    @server.completion()
    async def complete(  # pyright: ignore[reportUnusedFunction] - the server keeps it
        _ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        given = context.arguments if context is not None and context.arguments is not None else {}
        try:
            found = await _values(access, caller(), argument.name, given)
        except ANSWERED:
            found = []
        return _completion(found, argument.value)


async def _values(access: Access, principal: Principal, name: str, given: Mapping[str, str]) -> Iterable[str]:
    """Everything that the argument `name` may be, beside the other arguments as they are `given`."""
    match name:
        case "source":
            return [source.name for source in access.sources(principal)]
        case "id" | "job_id":
            return [job.id for job in await access.executor.list_jobs(owner=principal.owner, limit=_JOBS)]
        case "table" | "column":
            source = access.source(principal, given.get("source")).name
            schema = await access.visible_schema(principal, source, wait_s=_SCHEMA_WAIT_S)
            if name == "table":
                return [table.name for table in schema.tables]
            named = given.get("table", "").lower()
            return [column.name for table in schema.tables if table.name.lower() == named for column in table.columns]
        case _:
            return []


def _completion(values: Iterable[str], typed: str) -> Completion:
    """Those that begin with what was typed, then those that hold it."""
    wanted = typed.lower()
    fitting = [value for value in dict.fromkeys(values) if wanted in value.lower()]
    fitting.sort(key=lambda value: not value.lower().startswith(wanted))
    return Completion(values=fitting[:MOST], total=len(fitting), has_more=len(fitting) > MOST)
