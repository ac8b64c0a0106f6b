"""A client of the Tasks extension for tests, over the SDK's: what the SDK itself does not speak yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
from mcp import Client
from mcp.client.extension import ClientExtension, NotificationBinding, ResultClaim
from mcp_types import (
    CallToolResult,
    Request,
    ResourceUpdatedNotification,
    Result,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsListenRequest,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
)
from pydantic import BaseModel, ConfigDict

TERMINAL = {"completed", "failed", "cancelled"}


class CreatedTask(Result):
    """What a call answers when it is a task."""

    model_config = ConfigDict(extra="allow")

    result_type: Literal["task"]
    taskId: str  # noqa: N815 - as it stands on the wire
    status: str


class AnyResult(Result):
    """A result with whatever is in it."""

    model_config = ConfigDict(extra="allow")


class TaskEvent(BaseModel):
    """The params of ``notifications/tasks``."""

    model_config = ConfigDict(extra="allow")


class GetTask(Request[dict[str, Any], Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    name_param = "taskId"


class CancelTask(Request[dict[str, Any], Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    name_param = "taskId"


class UpdateTask(Request[dict[str, Any], Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"
    name_param = "taskId"


METHODS = {"get": GetTask, "cancel": CancelTask, "update": UpdateTask}


async def _not_resolved(_claimed: CreatedTask, _context: Any) -> CallToolResult:
    raise AssertionError("the tests ask for tasks themselves")


class Tasks(ClientExtension):
    """Declares the extension, and hands every notification about a task on."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, on_event: Callable[[dict[str, Any]], Awaitable[None]] | None = None) -> None:
        self._on_event = on_event

    def claims(self) -> list[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=CreatedTask, resolve=_not_resolved)]

    def notifications(self) -> list[NotificationBinding[Any]]:
        async def heard(event: TaskEvent) -> None:
            if self._on_event is not None:
                await self._on_event(event.model_dump())

        return [NotificationBinding(method="notifications/tasks", params_type=TaskEvent, handler=heard)]


async def call(client: Client, tool: str, **arguments: Any) -> CallToolResult | CreatedTask:
    """What the tool answers: its result, or a task."""
    result = await client.session.call_tool(tool, arguments, allow_claimed=True)
    assert isinstance(result, CallToolResult | CreatedTask)
    return result


async def tasks(client: Client, method: str, task_id: str, **params: Any) -> dict[str, Any]:
    """``tasks/{method}``."""
    request = METHODS[method](params={"taskId": task_id, **params})
    result = await client.session.send_request(request, AnyResult)
    return result.model_dump(by_alias=True, mode="json")


async def ended(client: Client, task_id: str, *, within_s: float = 30) -> dict[str, Any]:
    """The task when it has ended, asked for as often as it says."""
    with anyio.fail_after(within_s):
        while True:
            task = await tasks(client, "get", task_id)
            if task["status"] in TERMINAL:
                return task
            await anyio.sleep(task["pollIntervalMs"] / 1000)


@dataclass
class Heard:
    """Everything that a client hears on its subscriptions."""

    acknowledged: list[SubscriptionFilter] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)

    async def task(self, event: dict[str, Any]) -> None:
        self.tasks.append(event)

    async def message(self, message: Any) -> None:
        if isinstance(message, SubscriptionsAcknowledgedNotification):
            self.acknowledged.append(message.params.notifications)
        elif isinstance(message, ResourceUpdatedNotification):
            self.resources.append(message.params.uri)

    async def until(self, condition: Callable[[], bool], *, within_s: float = 30) -> None:
        with anyio.fail_after(within_s):
            while not condition():
                await anyio.sleep(0.02)


@asynccontextmanager
async def listening(client: Client, heard: Heard, **notifications: Any) -> AsyncIterator[SubscriptionFilter]:
    """While inside, a ``subscriptions/listen`` stream is open: what it acknowledged. The client must tell `heard`."""
    request = SubscriptionsListenRequest(
        params=SubscriptionsListenRequestParams(notifications=SubscriptionFilter(**notifications))
    )
    known = len(heard.acknowledged)
    async with anyio.create_task_group() as group:
        group.start_soon(client.session.send_request, request, SubscriptionsListenResult, 600)
        await heard.until(lambda: len(heard.acknowledged) > known)
        try:
            yield heard.acknowledged[-1]
        finally:
            group.cancel_scope.cancel()
