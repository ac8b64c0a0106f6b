"""A tool's result whose job goes on: marked so that the Tasks extension can put a task in its place."""

from __future__ import annotations

from mcp_types import CallToolResult

INLINE_WAIT_S = 2.0
"""How long a call is waited in when a task can be had after it: what comes sooner costs no second call."""

_MARK = "awaitsql/unfinished-job"
"""In a result's ``_meta``: the handle of its job. Only for clients that declared tasks, and taken off before they see
it."""


def mark_unfinished(result: CallToolResult, job_id: str) -> CallToolResult:
    """`result` with a mark that its job goes on."""
    return result.model_copy(update={"meta": {**(result.meta or {}), _MARK: job_id}})


def unfinished_job(result: CallToolResult) -> tuple[str | None, CallToolResult]:
    """The handle of the job that goes on, if one does, and `result` without the mark."""
    meta = dict(result.meta or {})
    job_id = meta.pop(_MARK, None)
    return (None, result) if job_id is None else (str(job_id), result.model_copy(update={"meta": meta or None}))
