"""A caller's own jobs, looked at, answered or stopped, and held to what the caller may read now. For every face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from executor import Answer, Job, Voice
from mcp_server.answers import answer_in_words
from mcp_server.principal import Principal
from mcp_server.reach import Reach
from mcp_server.waiting import Report, wait_for

_STOPPED_WITHIN_S = 2.0
"""How long a cancel waits to see the database stop."""


async def held_job(
    reach: Reach, principal: Principal, job_id: str, *, wait_s: float = 0, report: Report | None = None
) -> Job:
    """The job as it is now, or when it is finished, or after `wait_s` seconds.

    Raises:
        ExecutorError: as `Executor.get`; ``policy_changed`` where the caller may no longer read what the job read.
    """
    job = await reach.executor.get(job_id, owner=principal.owner)
    job = await wait_for(reach.executor, job, owner=principal.owner, timeout_s=wait_s, report=report)
    reach.policies.hold(principal, job)
    return job


async def answered_job(
    reach: Reach, principal: Principal, job_id: str, told: Mapping[str, Any] | str | None, *, by: Voice = "client"
) -> Job:
    """The job right after it was told what it asks; None declines. Raises as `held_job` and `Executor.answer`.

    Args:
        reach: what is asked.
        principal: whose the job must be.
        job_id: its handle.
        told: as `answer_in_words` reads it.
        by: who says so.
    """
    job = await held_job(reach, principal, job_id)
    words = answer_in_words(job.input_request, told) if job.input_request is not None else Answer("decline")
    return await reach.executor.answer(job.id, owner=principal.owner, answer=replace(words, by=by))


async def stopped_job(reach: Reach, principal: Principal, job_id: str) -> Job:
    """The job after it was cancelled, a moment later: by then the database has mostly stopped. Raises as `held_job`.

    A caller may stop a job whose rows it may no longer read.
    """
    job = await reach.executor.cancel(job_id, owner=principal.owner)
    if not job.is_finished:
        job = await reach.executor.wait(job.id, owner=principal.owner, timeout_s=_STOPPED_WITHIN_S)
    if job.summary is not None:
        reach.policies.hold(principal, job)
    return job
