"""A tool's result in whose place a task can be put, marked with its job."""

from __future__ import annotations

from mcp_types import CallToolResult

from executor import Job
from mcp_server.declared import CallContext, asks_for_core_task, declares_tasks

INLINE_WAIT_S = 2.0
"""How long a call is waited in when a task can be had after it: what comes sooner costs no second call."""

MARK = "awaitsql/job"
"""In a result's ``_meta``: the handle of its job. For clients that speak tasks, and taken off before they see it."""


def task_wait(context: CallContext, wait_s: float) -> float:
    """How long a job is waited for inside the call: not so long where a task can be had, not at all where it must."""
    if asks_for_core_task(context):
        return 0.0
    return min(wait_s, INLINE_WAIT_S) if declares_tasks(context) else wait_s


def marked(context: CallContext, result: CallToolResult, job: Job) -> CallToolResult:
    """`result`, marked where a task is to take its place: its job goes on, or its client asked for one."""
    if asks_for_core_task(context) or (declares_tasks(context) and not job.is_finished):
        return mark(result, job.id)
    return result


def mark(result: CallToolResult, job_id: str) -> CallToolResult:
    """`result` with the mark."""
    return result.model_copy(update={"meta": {**(result.meta or {}), MARK: job_id}})


def unmarked(result: CallToolResult) -> tuple[str | None, CallToolResult]:
    """The handle of the job whose task takes its place, if one does, and `result` without the mark."""
    meta = dict(result.meta or {})
    job_id = meta.pop(MARK, None)
    return (None, result) if job_id is None else (str(job_id), result.model_copy(update={"meta": meta or None}))
