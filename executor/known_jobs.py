"""Which jobs an owner has: those that the broker holds, and those that the history alone still tells of.

A job that is unknown, purged or somebody else's is not found, in the same words.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from executor.client_store import ClientStore
from executor.connections import asking_broker
from executor.errors import ErrorCode, ExecutorError, JobLost, JobNotFound
from executor.handles import parse_job_id
from executor.history.past import Past, is_lost, recovered
from executor.in_force import InForce
from executor.jobs import Job, JobState
from executor.kept_results import KeptResults


class KnownJobs:
    """Jobs of one configuration, as their owners may see them."""

    def __init__(self, in_force: InForce, store: ClientStore, past: Past, results: KeptResults) -> None:
        self._in_force = in_force
        self._store = store
        self._past = past
        self._results = results

    async def get(self, job_id: str, *, owner: str, last_row: list[Any] | None = None) -> Job:
        """See `Executor.get`. The broker is not asked where it has told the job's `last_row`."""
        job_id = parse_job_id(job_id)
        job = None if last_row is None else self._store.told(last_row)
        if job is None or job.id != job_id or job.state is not JobState.SUCCEEDED:
            async with asking_broker():
                job = await self._store.get(job_id)
        ttl_s = self._in_force.settings.result_ttl_s
        if job is None and (past := await self._past.job(job_id, owner)) is not None:
            return await asyncio.to_thread(recovered, past, self._results.store(), ttl_s=ttl_s)
        if job is None or job.id != job_id or job.owner != owner:
            raise JobNotFound(
                ErrorCode.JOB_NOT_FOUND,
                f"There is no job {job_id} (any more).",
                hint="list_jobs shows your jobs; results are kept "
                f"{ttl_s / 3600:g} hours. Submit the statement again if you need it.",
            )
        return job

    async def newest(self, *, owner: str, limit: int) -> list[Job]:
        """See `Executor.list_jobs`."""
        jobs: list[Job] = []
        async with asking_broker():
            for job_id in await self._store.ids_of(owner, limit):
                try:
                    job = await self._store.get(job_id)
                except ExecutorError:  # a newer version's; servers that have been upgraded list it
                    continue
                if job is None:
                    await self._store.forget(owner, job_id)
                elif job.id == job_id and job.owner == owner:
                    jobs.append(job)
        if len(jobs) < limit:
            jobs += await self._past_jobs(owner, limit, {job.id for job in jobs})
            jobs = sorted(jobs, key=lambda job: -job.submitted_at)[:limit]
        return jobs

    async def recorded(self, job_id: str, *, owner: str) -> Job | None:
        """See `Executor.recorded`."""
        return await self._past.job(parse_job_id(job_id), owner)

    async def _past_jobs(self, owner: str, limit: int, known: set[str]) -> list[Job]:
        """The owner's jobs that the broker knows nothing of; those it lost are told as failed."""
        found: list[Job] = []
        for past in await self._past.jobs(owner, limit):
            if past.id in known:
                continue
            if is_lost(past):
                # one that was submitted just now may be in the history already, and not in the list read before
                try:
                    past = await self.get(past.id, owner=owner)  # noqa: PLW2901 - the same job, as it is
                except JobLost as lost:
                    past = replace(past, state=JobState.FAILED, error=lost)  # noqa: PLW2901 - as above
            found.append(past)
        return found
