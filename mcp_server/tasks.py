"""A task is the MCP handle of a job, and nothing of its own: its id is the job's, its status one table away.

Nothing is kept here between two calls, so a task outlives the server that made it and is the same behind every server.
The shapes are those of the Tasks extension: https://modelcontextprotocol.io/seps/2663-tasks-extension
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn

from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, CallToolResult

from executor import ErrorCode, ExecutorError, InputFailed, Job, JobLost, JobState
from mcp_server.declared import CallContext
from mcp_server.elicitation import answer_of, elicitation_of, key_of
from mcp_server.errors import answer, error_answer
from mcp_server.line import in_line
from mcp_server.principal import Principal
from mcp_server.stops import stop_in_words
from mcp_server.tools.access import Access
from mcp_server.waiting import wait_for
from mcp_server.wire import job_view

TaskStatus = Literal["working", "input_required", "completed", "cancelled", "failed"]

TASK_STATUS: dict[JobState, TaskStatus] = {
    JobState.QUEUED: "working",
    JobState.RUNNING: "working",
    JobState.WAITING: "input_required",
    JobState.SUCCEEDED: "completed",
    JobState.FAILED: "completed",  # with an error as its result; "failed" is for calls that ended in a JSON-RPC error
    JobState.CANCELLED: "cancelled",
}
"""The status of a task by the state of its job."""

_POLL_S = (1.0, 5.0)
"""How often a client should ask, at least and at most: a tenth of the task's age so far."""


_LOOK_S = 60.0
"""Seconds of one wait for an end that is not bounded."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task as the protocol tells it. Times are Unix seconds.

    Attributes:
        id: the handle of the job.
        status: see `TASK_STATUS`.
        message: one line for a person.
        created_at: when.
        updated_at: when it was last moved.
        ttl_s: seconds from its creation that it is kept; None without end.
        poll_s: seconds between two looks; None for one that will not change.
        result: of a completed one.
        error: of a failed one, as JSON-RPC has it.
        input_requests: of one that waits for its client.
    """

    id: str
    status: TaskStatus
    message: str
    created_at: float
    updated_at: float
    ttl_s: float | None
    poll_s: float | None = None
    result: CallToolResult | None = None
    error: Mapping[str, Any] | None = None
    input_requests: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def has_ended(self) -> bool:
        """Whether it will not change any more."""
        return self.status in {"completed", "cancelled", "failed"}

    def handle(self) -> dict[str, Any]:
        """JSON-ready, without what it brought: what stands in place of a call's result."""
        told: dict[str, Any] = {
            "taskId": self.id,
            "status": self.status,
            "statusMessage": self.message,
            "createdAt": _iso(self.created_at),
            "lastUpdatedAt": _iso(self.updated_at),
            "ttlMs": None if self.ttl_s is None else math.ceil(self.ttl_s * 1000),
        }
        if self.poll_s is not None:
            told["pollIntervalMs"] = round(self.poll_s * 1000)
        return told

    def detailed(self) -> dict[str, Any]:
        """JSON-ready, with its result, its error or what it asks for."""
        told = self.handle()
        if self.result is not None:
            told["result"] = self.result.model_dump(by_alias=True, mode="json", exclude_none=True)
        if self.error is not None:
            told["error"] = dict(self.error)
        if self.status == "input_required":
            told["inputRequests"] = dict(self.input_requests)
        return told


class JobTasks:
    """The jobs of whoever calls, as tasks. Each call asks anew whose the job is."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def principal(self, context: CallContext) -> Principal:
        """Who calls."""
        return self._access.principal_of(Context[Any, Any](request_context=context))

    async def get(self, task_id: str, principal: Principal) -> Task:
        """The task as it is now.

        Raises:
            MCPError: not found, in the same words for one that never was, is somebody else's or has expired; or the
                broker is away.
        """
        return self.of_job(await self._job(task_id, principal), principal)

    async def ended(self, task_id: str, principal: Principal, *, timeout_s: float | None = None) -> Task:
        """The task when it has ended, or as it is after `timeout_s` seconds (None: waits for good). Raises as `get`."""
        while True:
            task = await self.get(task_id, principal)
            if task.has_ended:
                return task
            with suppress(ExecutorError):  # what is wrong with the job or the broker, the next look says
                wait_s = _LOOK_S if timeout_s is None else timeout_s
                await self._access.executor.wait(task.id, owner=principal.owner, timeout_s=wait_s)
            if timeout_s is not None:
                return await self.get(task_id, principal)

    async def result(self, task_id: str, principal: Principal) -> CallToolResult:
        """What the tool would have answered, had it waited until now; of a cancelled job, too. Raises as `get`."""
        return self._result(await self._job(task_id, principal), principal)

    async def cancel(self, task_id: str, principal: Principal) -> None:
        """Asks for the end of the job, down to the database. Raises as `get`."""
        try:
            await self._access.executor.cancel(task_id, owner=principal.owner)
        except JobLost:
            return
        except ExecutorError as failed:
            _refuse(failed)

    async def update(self, task_id: str, principal: Principal, responses: Mapping[str, Any]) -> None:
        """Takes what the client's user answers. What nobody asked, or not any more, is passed over.

        Raises:
            MCPError: as `get`; an answer that does not fit its question, which then is still open.
        """
        job = await self._job(task_id, principal)
        key = key_of(job)
        if job.input_request is None or key is None or key not in responses:
            return
        request = job.input_request
        try:
            await self._access.executor.answer(job.id, owner=principal.owner, answer=answer_of(request, responses[key]))
        except InputFailed as failed:
            if failed.code is not ErrorCode.NOT_WAITING:
                raise MCPError(INVALID_PARAMS, f"{failed.code}: {failed.message} {failed.hint}") from failed
        except ExecutorError as failed:
            _refuse(failed)

    async def asking(self, task_id: str, principal: Principal) -> Job | None:
        """The job while it asks; None once it has ended. Waits for either. Raises as `get`."""
        while True:
            job = await self._job(task_id, principal)
            if job.is_finished:
                return None
            if job.input_request is not None:
                return job
            with suppress(ExecutorError):  # what is wrong with the job or the broker, the next look says
                await wait_for(self._access.executor, job, owner=principal.owner, timeout_s=_LOOK_S)

    def of_job(self, job: Job, principal: Principal) -> Task:
        """`job`, which is the caller's, as a task."""
        now = _now(job)
        unfinished = not job.is_finished
        return Task(
            id=job.id,
            status=TASK_STATUS[job.state],
            message=_message(job),
            created_at=job.submitted_at,
            updated_at=max(at for at in (*_moved_at(job), self._asked_at(job)) if at is not None),
            ttl_s=self._ttl_s(job),
            poll_s=min(max(_POLL_S[0], (now - job.submitted_at) / 10), _POLL_S[1]) if unfinished else None,
            result=self._result(job, principal) if TASK_STATUS[job.state] == "completed" else None,
            input_requests=_asked(job),
        )

    def _asked_at(self, job: Job) -> float | None:
        since = job.input_deadline_at
        return None if since is None else since - self._access.executor.settings.input_timeout_s

    async def _job(self, task_id: str, principal: Principal) -> Job:
        try:
            return await self._access.executor.get(task_id, owner=principal.owner)
        except JobLost as lost:
            return await self._lost(task_id, principal, lost)
        except ExecutorError as failed:
            _refuse(failed)

    def _result(self, job: Job, principal: Principal) -> CallToolResult:
        """What the tool would have answered, had it waited."""
        try:
            self._access.policies.hold(principal, job)
        except ExecutorError as failed:
            return error_answer(failed)
        view = job_view(job, max_chars=self._access.settings.preview_chars)
        return answer(view.content(), is_error=view.is_error)

    def _ttl_s(self, job: Job) -> float:
        """Until when the job is kept; of an unfinished one, if it takes all the time that it has."""
        if job.expires_at is not None:
            return job.expires_at - job.submitted_at
        if job.input_deadline_at is not None:
            times = job.limits.queue_timeout_s + job.limits.job_timeout_s
            return job.input_deadline_at + times - job.submitted_at + self._access.executor.settings.result_ttl_s
        deadline = job.deadline_at or job.submitted_at + job.limits.queue_timeout_s + job.limits.job_timeout_s
        return deadline - job.submitted_at + self._access.executor.settings.result_ttl_s

    async def _lost(self, task_id: str, principal: Principal, lost: JobLost) -> Job:
        """What the history knows of a job that the broker lost, with that as its error."""
        past = await self._access.executor.recorded(task_id, owner=principal.owner)
        if past is None:
            raise _not_found()
        return replace(past, state=JobState.FAILED, error=lost, finished_at=past.finished_at or time.time())


_GONE = {ErrorCode.JOB_NOT_FOUND, ErrorCode.INVALID_HANDLE, ErrorCode.RESULT_EXPIRED}


def _refuse(failed: ExecutorError) -> NoReturn:
    """Raise `failed` as the protocol's error: not the tool's, since no model can do anything about it."""
    if failed.code in _GONE:
        raise _not_found() from failed
    raise MCPError(INTERNAL_ERROR, f"{failed.code}: {failed.message}") from failed


def _not_found() -> MCPError:
    return MCPError(INVALID_PARAMS, "There is no such task (any more).")


def _now(job: Job) -> float:
    """When the job was as it is here, by the broker's clock, which its other times are of, too."""
    return job.finished_at or job.seen_at or job.submitted_at


def _message(job: Job) -> str:
    """One line: the place in line, the stage and the rows so far, or how it ended."""
    seconds = f"{max(0.0, _now(job) - job.submitted_at):.0f} s"
    rows = "1 row" if job.rows == 1 else f"{job.rows:,} rows"
    if job.state is JobState.QUEUED:
        return f"{in_line(job)}, {seconds} so far"
    if job.input_request is not None:
        return job.input_request.message
    if job.state is JobState.SUCCEEDED:
        return f"{rows} in {seconds}"
    if job.state is JobState.FAILED:
        return "failed" if job.error is None else f"{job.error.code}: {job.error.message}"
    if job.state is JobState.CANCELLED:
        return f"cancelled; {stop_in_words(job)}" if stop_in_words(job) else "cancelled"
    stage = "cancelling" if job.cancel_requested_at is not None else job.stage or str(job.state)
    return f"{stage}, {rows}, {seconds} so far"


def _asked(job: Job) -> dict[str, Any]:
    key = key_of(job)
    if key is None or job.input_request is None:
        return {}
    return {key: elicitation_of(job.input_request).model_dump(by_alias=True, mode="json", exclude_none=True)}


def _moved_at(job: Job) -> tuple[float | None, ...]:
    return (job.submitted_at, job.started_at, job.cancel_requested_at, job.finished_at)


def _iso(seconds: float) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
