"""``/v1/jobs/{job_id}/events``: a job's changes as server-sent events, until its end."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from executor import Job
from mcp_server.auth.scopes import READ
from mcp_server.errors import ANSWERED
from mcp_server.held import held_job
from mcp_server.http.asking import Asked, asked
from mcp_server.http.operations import Answer, Operation
from mcp_server.http.problems import problem_of
from mcp_server.http.reach import WebReach
from mcp_server.http.views import tag_of, web_view
from mcp_server.next_steps import SERVER_LEAVES
from mcp_server.principal import Principal

_PING_S = 10
_RECONNECT_MS = 2_000


def events_operation(reach: WebReach) -> Operation:
    """A job's changes, over `reach`."""

    async def events(request: Request) -> Response:
        asked(request, Asked)
        principal = reach.caller_of(request)
        job = await held_job(reach, principal, request.path_params["job_id"])
        known = request.headers.get("last-event-id", "")
        if job.is_finished and known == _event(job).id:
            # whoever has seen the end and connects again, as browsers do, is told to leave it at that
            return Response(status_code=204)
        return EventSourceResponse(_changes(reach, principal, job, known), ping=_PING_S, sep="\n")

    return Operation(
        name="watch_job",
        method="GET",
        path="/jobs/{job_id}/events",
        summary="A job's changes as server-sent events: `progress` for each, `end` for the last, with a JobView each; "
        "`leaving`: the server goes, connect again.",
        scope=READ,
        endpoint=events,
        headers={"Last-Event-ID": "The id of the last event seen, after a connection was lost."},
        answers={
            200: Answer(description="Events, with a comment every ten seconds.", content={"text/event-stream": None}),
            204: Answer(description="The event named by Last-Event-ID was the last one."),
        },
    )


async def _changes(reach: WebReach, principal: Principal, job: Job, known: str) -> AsyncGenerator[ServerSentEvent]:
    """An event for each change since the one that is `known`. What goes wrong on the way is an event, the last one.

    So is the server's leaving: its client connects again.
    """
    try:
        watching = reach.executor.watch(job.id, owner=principal.owner, timeout_s=math.inf, known=job)
        async with aclosing(watching) as seen:
            async for change in seen:
                reach.policies.hold(principal, change)
                event = _event(change)
                if event.id != known:
                    known = event.id or ""
                    yield event
                job = change
        if not (job.is_finished or reach.executor.waits):
            yield ServerSentEvent(json.dumps({"job_id": job.id, "message": SERVER_LEAVES}), event="leaving")
    except ANSWERED as failed:
        problem = problem_of(failed)  # pyright: ignore[reportArgumentType] - ANSWERED is AnsweredError's members
        yield ServerSentEvent(problem.model_dump_json(exclude_none=True), event="problem")


def _event(job: Job) -> ServerSentEvent:
    content = web_view(job, max_chars=0).content()
    return ServerSentEvent(
        json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode(),
        event="end" if job.is_finished else "progress",
        id=tag_of(content)[3:-1],
        retry=_RECONNECT_MS,
    )
