"""A job that asks, inside a tool's call: its question is put to the client's user in the way that the client knows.

With a client that knows none the job is shown as it is: its view says what it asks and which call answers.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import anyio
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import ElicitResult, InputRequests, InputRequiredResult
from pydantic import ValidationError

from executor import Answer, ErrorCode, InputFailed, InputRequest, Job, JobState
from mcp_server.declared import Asking
from mcp_server.elicitation import answer_of, elicitation_of, key_of
from mcp_server.tools.access import Access, ToolContext, progress_to


async def answered_before(access: Access, context: ToolContext, *, owner: str) -> Job | None:
    """The job of the call that is sent again with an answer, right after it was told; None for a call's first round.

    Whose state it is and for which arguments, the SDK has checked.

    Raises:
        ExecutorError: as `Executor.get` and `Executor.answer`.
    """
    if context.request_state is None:
        return None
    job = await access.executor.get(context.request_state, owner=owner)
    key = key_of(job)
    responses = context.input_responses or {}
    if job.input_request is None or key is None or key not in responses:
        return job
    try:
        return await access.executor.answer(job.id, owner=owner, answer=answer_of(job.input_request, responses[key]))
    except InputFailed as failed:
        if failed.code is not ErrorCode.NOT_WAITING:
            raise
        return await access.executor.get(job.id, owner=owner)


async def through_questions(
    access: Access,
    job: Job,
    context: ToolContext,
    *,
    owner: str,
    how: Asking | None,
    wait: Callable[[Job], Awaitable[Job]],
) -> Job | InputRequiredResult:
    """What `wait` makes of the job, its questions put to the user on the way; or what the client is to answer first.

    Args:
        access: what the tool is given.
        job: the caller's.
        context: of the call.
        owner: whose the job is.
        how: the user is asked.
        wait: for the job, as long as the call may take.

    Raises:
        ExecutorError: as `Executor.get`.
    """
    job = await wait(job)
    while job.state is JobState.WAITING and job.input_request is not None:
        if how == "rounds":
            asked: InputRequests = {key_of(job) or "": elicitation_of(job.input_request)}
            return InputRequiredResult(input_requests=asked, request_state=job.id)
        if how != "call":
            break
        said = await _said(access, job, job.input_request, context, owner=owner)
        if said is None:
            return await access.executor.get(job.id, owner=owner)
        try:
            job = await access.executor.answer(job.id, owner=owner, answer=said)
        except InputFailed:  # it does not fit, or came too late: the job's view says what can be done
            return await access.executor.get(job.id, owner=owner)
        job = await wait(job)
    return job


async def _said(access: Access, job: Job, request: InputRequest, context: ToolContext, *, owner: str) -> Answer | None:
    """What the user says to a form while the call is open; None where that comes to nothing, or the job moved on.

    People take their time: the client hears meanwhile that the call is alive.
    """
    said: list[Answer] = []
    report = progress_to(context)

    async def ask() -> None:
        try:
            result = await context.session.send_request(
                elicitation_of(request),
                ElicitResult,
                metadata=ServerMessageMetadata(related_request_id=context.request_id),
            )
            said.append(answer_of(request, result))
        except (MCPError, ValidationError, InputFailed):
            return
        finally:
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        changes = access.executor.watch(job.id, owner=owner, timeout_s=math.inf, known=job, ends_only=True)
        async with aclosing(changes):  # pyright: ignore[reportArgumentType] - a generator, whatever it is declared as
            async for change in changes:
                if change.state is not JobState.WAITING:
                    break
                if report is not None:
                    await report(round((change.seen_at or 0) - job.submitted_at, 1), "waiting for the user's answer")
        group.cancel_scope.cancel()
    return said[0] if said else None
