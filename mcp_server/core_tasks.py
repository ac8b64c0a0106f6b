"""The tasks of protocol 2025-11-25, which clients of that revision ask for; the extension has them for later ones.

The SDK has the shapes and serves none of it, so all of it is one middleware: what it does not know it passes on. A
test says when the SDK has learnt it. Differences from the extension: the client asks for the task, every such call
becomes one, a failed job is a failed task, the result is a request of its own, and a cancelled task is answered with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import INVALID_PARAMS, ElicitResult
from pydantic import ValidationError

from executor import Job, JobState
from mcp_server.declared import CORE_TASKS_REVISION, CallContext, asks_for_core_task, declares_elicitation
from mcp_server.elicitation import elicitation_of, key_of
from mcp_server.principal import Principal
from mcp_server.tasks import JobTasks, Task
from mcp_server.tools.as_task import MARK

_DECLARED: dict[str, Any] = {"cancel": {}, "requests": {"tools": {"call": {}}}}

_RELATED = "io.modelcontextprotocol/related-task"

_CANCELLED_WITHIN_S = 2.0
"""How long a cancel waits to see the database stop, before it answers with the task."""


class CoreTasks:
    """Middleware of the protocol's server.

    Args:
        tasks: the caller's jobs.
        tools: the names of the tools whose jobs may be asked for as tasks.
    """

    def __init__(self, tasks: JobTasks, tools: frozenset[str]) -> None:
        self._tasks = tasks
        self._tools = tools
        self._methods: dict[str, Callable[[CallContext, str], Awaitable[dict[str, Any]]]] = {
            "tasks/get": self._get,
            "tasks/result": self._result,
            "tasks/cancel": self._cancel,
        }

    async def __call__(self, ctx: CallContext, call_next: CallNext) -> HandlerResult:
        """One message of a client's."""
        if ctx.method == "initialize":
            return _with_capability(await call_next(ctx))
        if ctx.protocol_version != CORE_TASKS_REVISION:
            return await call_next(ctx)
        if ctx.method in self._methods:
            return await self._methods[ctx.method](ctx, _task_id(ctx))
        if ctx.method == "tools/list":
            return self._with_support(await call_next(ctx))
        if ctx.method == "tools/call" and asks_for_core_task(ctx):
            return await self._created(ctx, await call_next(ctx))
        return await call_next(ctx)

    def _with_support(self, result: HandlerResult) -> HandlerResult:
        if isinstance(result, dict):
            for tool in result.get("tools", []):
                if tool["name"] in self._tools:
                    tool["execution"] = {"taskSupport": "optional"}
        return result

    async def _created(self, ctx: CallContext, result: HandlerResult) -> HandlerResult:
        """The task in place of the tool's result. A call that made no job has no task, and its error is the protocol's.

        Raises:
            MCPError: the tool refused the call, or makes no jobs.
        """
        told: Mapping[str, Any] = result if isinstance(result, Mapping) else {}
        job_id = (told.get("_meta") or {}).get(MARK)
        if job_id is not None:
            return {"task": _shape(await self._tasks.get(job_id, self._tasks.principal(ctx)))}
        if told.get("isError"):
            error = (told.get("structuredContent") or {}).get("error") or {}
            words = " ".join(error[part] for part in ("message", "hint", "next_step") if error.get(part))
            raise MCPError(INVALID_PARAMS, f"{error.get('code', 'refused')}: {words}", data=error)
        raise MCPError(INVALID_PARAMS, "This tool answers at once and makes no task: call it without.")

    async def _get(self, ctx: CallContext, task_id: str) -> dict[str, Any]:
        return _shape(await self._tasks.get(task_id, self._tasks.principal(ctx)))

    async def _result(self, ctx: CallContext, task_id: str) -> dict[str, Any]:
        """Waits for the end, however long: the job has a deadline of its own. What it asks, the user is asked."""
        principal = self._tasks.principal(ctx)
        if declares_elicitation(ctx) and ctx.session.can_send_request:
            while (job := await self._tasks.asking(task_id, principal)) is not None:
                if not await self._answered(ctx, job, principal):
                    break
        task = await self._tasks.ended(task_id, principal)
        result = await self._tasks.result(task.id, principal)
        told = result.model_dump(by_alias=True, mode="json", exclude_none=True, exclude={"result_type"})
        return {**told, "_meta": {**told.get("_meta", {}), _RELATED: {"taskId": task.id}}}

    async def _answered(self, ctx: CallContext, job: Job, principal: Principal) -> bool:
        """Whether the user was asked and gave an answer, or the job does not wait for one any more."""
        if job.input_request is None:
            return False
        request = elicitation_of(job.input_request, {_RELATED: {"taskId": job.id}})
        metadata = ServerMessageMetadata(related_request_id=ctx.request_id)
        try:
            said = await ctx.session.send_request(request, ElicitResult, metadata=metadata)
            await self._tasks.update(job.id, principal, {key_of(job) or "": said})
        except (MCPError, ValidationError):
            return False
        return True

    async def _cancel(self, ctx: CallContext, task_id: str) -> dict[str, Any]:
        principal = self._tasks.principal(ctx)
        if (await self._tasks.get(task_id, principal)).has_ended:
            raise MCPError(INVALID_PARAMS, "The task has ended already.")
        await self._tasks.cancel(task_id, principal)
        return _shape(await self._tasks.ended(task_id, principal, timeout_s=_CANCELLED_WITHIN_S))


def _task_id(ctx: CallContext) -> str:
    task_id = (ctx.params or {}).get("taskId")
    if not isinstance(task_id, str):
        raise MCPError(INVALID_PARAMS, "taskId: a text.")
    return task_id


def _with_capability(result: HandlerResult) -> HandlerResult:
    if isinstance(result, dict) and result.get("protocolVersion") == CORE_TASKS_REVISION:
        result["capabilities"] = {**result.get("capabilities", {}), "tasks": _DECLARED}
    return result


def _shape(task: Task) -> dict[str, Any]:
    """The task as this revision tells it."""
    told = task.handle()
    told["ttl"] = told.pop("ttlMs")
    if "pollIntervalMs" in told:
        told["pollInterval"] = told.pop("pollIntervalMs")
    if task.result is not None and task.result.is_error:
        told["status"] = str(JobState.FAILED)
    return told
