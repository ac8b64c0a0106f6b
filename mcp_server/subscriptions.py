"""``subscriptions/listen``: a client hears of its tasks and of the resources of its jobs while the request is open.

The SDK's own handler drops what it does not know of the filter, ``taskIds`` among it, so this one is registered in its
place; a test says when the SDK has learnt it. Whatever process moves a job, every server hears of it from the
executor, over one connection a server. A stream that nothing happens to costs nothing, and one that is read slowly
costs no more: of each job it keeps that it changed, not how often.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import aclosing, contextmanager, suppress
from typing import Any, Literal

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import MCPServer, require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    Notification,
    ResourceUpdatedNotification,
    ResourceUpdatedNotificationParams,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
)

from executor import ErrorCode, ExecutorError, Job
from mcp_server.declared import TASKS, CallContext
from mcp_server.principal import Principal
from mcp_server.tasks import JobTasks
from mcp_server.tools.access import Access

MAX_STREAMS = 10_000
"""Open streams of one server process."""

MAX_STREAMS_OF_ONE = 2_000
"""Of these, one principal's."""

MAX_FOLLOWED = 256
"""Jobs that one stream follows, as tasks or as resources."""

MAX_OPEN_S = 3600.0
"""Seconds after which a stream ends in good order. A client opens the next, with the token that it then has."""

_JOB_URI = re.compile(r"job://([^/?#]+)(?:/rows(?:\?.*)?)?")


class _TaskNotification(Notification[dict[str, Any], Literal["notifications/tasks"]]):
    method: Literal["notifications/tasks"] = "notifications/tasks"


def _asked(context: CallContext, wanted: SubscriptionFilter) -> tuple[list[str], list[str]]:
    """The task ids and the resource URIs that the filter names.

    Raises:
        MCPError: tasks without the extension; no list of texts; too many.
    """
    task_ids: Any = (wanted.model_extra or {}).get("taskIds") or []
    if not isinstance(task_ids, list) or not all(isinstance(task_id, str) for task_id in task_ids):
        raise MCPError(INVALID_PARAMS, "notifications.taskIds: a list of task ids.")
    if task_ids:
        require_client_extension(context, TASKS)
    uris = [uri for uri in wanted.resource_subscriptions or () if _JOB_URI.fullmatch(uri)]
    if len(task_ids) + len(uris) > MAX_FOLLOWED:
        raise MCPError(INVALID_PARAMS, f"One subscription follows {MAX_FOLLOWED} tasks and jobs at most.")
    return task_ids, uris


def _honored(wanted: SubscriptionFilter, task_ids: list[str], uris: list[str]) -> SubscriptionFilter:
    """What will be told of. The lists of tools, prompts and resources never change: to agree to them is no promise."""
    return SubscriptionFilter(
        tools_list_changed=wanted.tools_list_changed or None,
        prompts_list_changed=wanted.prompts_list_changed or None,
        resources_list_changed=wanted.resources_list_changed or None,
        resource_subscriptions=uris or None,
        **({"taskIds": task_ids} if task_ids else {}),
    )


def _open_for_s() -> float:
    """How long what the caller signed in with is good for, and no longer than `MAX_OPEN_S`: it may be taken back."""
    token = get_access_token()
    if token is None or token.expires_at is None:
        return MAX_OPEN_S
    return min(max(0.0, token.expires_at - time.time()), MAX_OPEN_S)


async def _tell_resources(
    context: CallContext, subscription: str | int, uris: Iterable[str], meta: dict[str, Any]
) -> None:
    for uri in uris:
        updated = ResourceUpdatedNotification(params=ResourceUpdatedNotificationParams(uri=uri, _meta=meta))
        await context.session.send_notification(updated, related_request_id=subscription)


class Subscriptions:
    """Serves ``subscriptions/listen``; each call is one open stream."""

    def __init__(self, access: Access, tasks: JobTasks) -> None:
        self._executor = access.executor
        self._tasks = tasks
        self._streams: Counter[str] = Counter()

    def add_to(self, server: MCPServer[Any]) -> None:
        """Take the place of the SDK's handler in `server`."""
        lowlevel = server._lowlevel_server  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no public way
        lowlevel.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, self)

    async def __call__(
        self, context: CallContext, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Acknowledge what can be followed, then tell of it until the client goes or has to sign in anew.

        Raises:
            MCPError: tasks are asked for without the extension; too many streams, or too much for one.
        """
        subscription = context.request_id
        if subscription is None:
            raise MCPError(INVALID_REQUEST, "subscriptions/listen requires a request id")
        task_ids, uris = _asked(context, params.notifications)
        principal = self._tasks.principal(context)
        with self._counted(principal):
            jobs = await self._jobs_of(task_ids, uris, principal)
            followed = {task_id: jobs[task_id] for task_id in task_ids if task_id in jobs}
            resources = {uri: jobs[uri] for uri in uris if uri in jobs}
            meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: subscription}
            honored = _honored(params.notifications, list(followed), list(resources))
            acknowledged = SubscriptionsAcknowledgedNotificationParams(notifications=honored, _meta=meta)
            await context.session.send_notification(
                SubscriptionsAcknowledgedNotification(params=acknowledged), related_request_id=subscription
            )
            followed_ids = set(followed.values())
            uris_of: dict[str, list[str]] = {}
            for uri, job_id in resources.items():
                uris_of.setdefault(job_id, []).append(uri)
            changes = self._executor.changes({*followed_ids, *uris_of}, owner=principal.owner)
            with suppress(TimeoutError):
                async with asyncio.timeout(_open_for_s()), aclosing(changes):
                    seen: set[str] = set()
                    async for job in changes:
                        if job.id in followed_ids:
                            await self._tell_task(context, subscription, job, principal, meta)
                        # the first look is none of a change, but a job that has ended by then may have done so unheard
                        if job.id in seen or job.is_finished:
                            await _tell_resources(context, subscription, uris_of.get(job.id, ()), meta)
                        seen.add(job.id)
        return SubscriptionsListenResult(_meta=meta)

    async def _tell_task(
        self, context: CallContext, subscription: str | int, job: Job, principal: Principal, meta: dict[str, Any]
    ) -> None:
        told = {**self._tasks.of_job(job, principal).detailed(), "_meta": meta}
        notification: Any = _TaskNotification(params=told)  # the SDK's union names the core's notifications only
        await context.session.send_notification(notification, related_request_id=subscription)

    async def _jobs_of(self, task_ids: Iterable[str], uris: Iterable[str], principal: Principal) -> dict[str, str]:
        """Task ids and URIs, as they were asked for, to the job of the caller's that each names."""
        found: dict[str, str] = {}
        for asked in (*task_ids, *uris):
            match = _JOB_URI.fullmatch(asked)
            try:
                job = await self._executor.get(match[1] if match else asked, owner=principal.owner)
            except ExecutorError as failed:
                if failed.code is ErrorCode.EXECUTOR_UNAVAILABLE:
                    raise MCPError(INTERNAL_ERROR, f"{failed.code}: {failed.message}") from failed
                continue  # not acknowledged, in the same way for one that is not there and one that is another's
            found[asked] = job.id
        return found

    @contextmanager
    def _counted(self, principal: Principal) -> Generator[None]:
        owner = principal.owner
        if self._streams.total() >= MAX_STREAMS or self._streams[owner] >= MAX_STREAMS_OF_ONE:
            raise MCPError(INTERNAL_ERROR, "Too many subscriptions are open; close one, or ask with tasks/get.")
        self._streams[owner] += 1
        try:
            yield
        finally:
            self._streams[owner] -= 1
            if not self._streams[owner]:
                del self._streams[owner]
