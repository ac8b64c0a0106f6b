"""``/v1/jobs/{job_id}/events``: a job's changes as server-sent events, until its end."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
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
from mcp_server.principal import Principal

_PING_S = 10
_RECONNECT_MS = 2_000
_FAREWELL_S = 0.2
"""What a stream is given to end when the server stops; less than open requests are given."""


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
        stop = anyio.Event()
        return EventSourceResponse(
            _changes(reach, principal, job, known, stop),
            ping=_PING_S,
            sep="\n",
            shutdown_event=stop,
            shutdown_grace_period=_FAREWELL_S,
        )

    return Operation(
        name="watch_job",
        method="GET",
        path="/jobs/{job_id}/events",
        summary="A job's changes as server-sent events: `progress` for each, `end` for the last, with a JobView each.",
        scope=READ,
        endpoint=events,
        headers={"Last-Event-ID": "The id of the last event seen, after a connection was lost."},
        answers={
            200: Answer(description="Events, with a comment every ten seconds.", content={"text/event-stream": None}),
            204: Answer(description="The event named by Last-Event-ID was the last one."),
        },
    )


async def _changes(
    reach: WebReach, principal: Principal, job: Job, known: str, stop: anyio.Event
) -> AsyncGenerator[ServerSentEvent]:
    """An event for each change since the one that is `known`. What goes wrong on the way is an event, the last one."""
    try:
        watching = reach.executor.watch(job.id, owner=principal.owner, timeout_s=math.inf, known=job)
        async with aclosing(_until(stop, watching)) as seen:
            async for change in seen:
                reach.policies.hold(principal, change)
                event = _event(change)
                if event.id != known:
                    known = event.id or ""
                    yield event
    except ANSWERED as failed:
        problem = problem_of(failed)  # pyright: ignore[reportArgumentType] - ANSWERED is AnsweredError's members
        yield ServerSentEvent(problem.model_dump_json(exclude_none=True), event="problem")


async def _until(stop: anyio.Event, changes: AsyncGenerator[Job]) -> AsyncGenerator[Job]:
    """`changes` until the server is asked to stop: then the stream ends in order, and its client connects again."""
    stopping = asyncio.ensure_future(stop.wait())
    coming: asyncio.Future[Job | None] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(changes, None))
            await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
            change = coming.result() if coming.done() else None
            if change is None:
                return
            yield change
    finally:
        stopping.cancel()
        if coming is not None and not coming.done():
            coming.cancel()
            await asyncio.wait({coming})
        await changes.aclose()


def _event(job: Job) -> ServerSentEvent:
    content = web_view(job, max_chars=0).content()
    return ServerSentEvent(
        json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode(),
        event="end" if job.is_finished else "progress",
        id=tag_of(content)[3:-1],
        retry=_RECONNECT_MS,
    )
