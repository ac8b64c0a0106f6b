"""The Tasks extension over the SDK's extension points: which call is answered by a task, and the methods of tasks.

Knows how tasks are spoken of; what a task is, `tasks` knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from mcp.server.context import CallNext, HandlerResult
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import HEADER_MISMATCH, CallToolRequestParams, CallToolResult, RequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import Field

from mcp_server.declared import TASKS, CallContext, declares_tasks
from mcp_server.principal import Principal
from mcp_server.tasks import JobTasks
from mcp_server.tools.as_task import unmarked


class TaskParams(RequestParams):
    """Of ``tasks/get`` and ``tasks/cancel``."""

    task_id: str


class TaskUpdateParams(TaskParams):
    """Of ``tasks/update``."""

    input_responses: dict[str, Any] = Field(default_factory=dict)


class TasksExtension(Extension):
    """Answers a call whose job goes on with a task, for clients that declared the extension with the call."""

    identifier = TASKS

    def __init__(self, tasks: JobTasks) -> None:
        self._tasks = tasks

    def methods(self) -> Sequence[MethodBinding]:
        """``tasks/get``, ``tasks/update`` and ``tasks/cancel``."""
        return [
            self._method("tasks/get", TaskParams, self._get),
            self._method("tasks/update", TaskUpdateParams, self._update),
            self._method("tasks/cancel", TaskParams, self._cancel),
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: CallContext, call_next: CallNext
    ) -> HandlerResult:
        """The tool's own result, or a task in its place where the tool left its job unfinished."""
        del params
        result = await call_next(ctx)
        if not isinstance(result, CallToolResult) or not declares_tasks(ctx):
            return result
        job_id, result = unmarked(result)
        if job_id is None:
            return result
        try:
            task = await self._tasks.get(job_id, self._tasks.principal(ctx))
        except MCPError:  # the broker has just gone away: the plain handle is worth more than an error
            return result
        if task.result is not None:  # it ended between the tool's last look and this one
            return task.result
        handle = task.handle()
        warnings = (result.structured_content or {}).get("warnings", [])
        return {"resultType": "task", **handle, "statusMessage": "; ".join([handle["statusMessage"], *warnings])}

    async def _get(self, params: TaskParams, principal: Principal) -> dict[str, Any]:
        return (await self._tasks.get(params.task_id, principal)).detailed()

    async def _update(self, params: TaskUpdateParams, principal: Principal) -> dict[str, Any]:
        await self._tasks.update(params.task_id, principal, params.input_responses)
        return {}

    async def _cancel(self, params: TaskParams, principal: Principal) -> dict[str, Any]:
        await self._tasks.cancel(params.task_id, principal)
        return {}

    def _method(
        self,
        name: str,
        params_type: type[TaskParams],
        answered: Callable[[Any, Principal], Awaitable[dict[str, Any]]],
    ) -> MethodBinding:
        async def checked(ctx: CallContext, params: TaskParams) -> dict[str, Any]:
            require_client_extension(ctx, TASKS)
            _check_routing(ctx, params.task_id)
            return await answered(params, self._tasks.principal(ctx))

        return MethodBinding(name, params_type, checked, protocol_versions=frozenset(MODERN_PROTOCOL_VERSIONS))


def _check_routing(ctx: CallContext, task_id: str) -> None:
    """Compare the header that proxies route by with the task. A client that leaves it out is borne with.

    Raises:
        MCPError: they differ.
    """
    headers = getattr(ctx.request, "headers", {})
    named = headers.get(MCP_NAME_HEADER)
    if named is not None and decode_header_value(named) != task_id:
        raise MCPError(
            HEADER_MISMATCH, f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter"
        )
