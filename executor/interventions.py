"""What an owner has to say to a job that is under way: cancel, give up, an answer. Takes no statement in."""

from __future__ import annotations

from executor.answers import Answer, check_answer
from executor.client_store import ClientStore
from executor.connections import asking_broker
from executor.errors import ErrorCode, InputFailed
from executor.jobs import Job
from executor.known_jobs import KnownJobs


class Interventions:
    """Tells jobs of one configuration what their owners want."""

    def __init__(self, known: KnownJobs, store: ClientStore) -> None:
        self._known = known
        self._store = store

    async def cancel(self, job_id: str, *, owner: str) -> Job:
        """See `Executor.cancel`."""
        job = await self._known.get(job_id, owner=owner)
        if job.is_finished:
            return job
        async with asking_broker():
            await self._store.cancel(job.id)
        return await self._known.get(job.id, owner=owner)

    async def give_up(self, job_id: str, *, owner: str) -> None:
        """See `Executor.give_up`."""
        job = await self._known.get(job_id, owner=owner)
        if job.is_finished:
            return
        async with asking_broker():
            await self._store.give_up(job.id)

    async def answer(self, job_id: str, *, owner: str, answer: Answer) -> Job:
        """See `Executor.answer`."""
        job = await self._known.get(job_id, owner=owner)
        async with asking_broker():
            asked = await self._store.input_request(job.id)
            if asked is not None:
                check_answer(asked[0], answer)
            counts = asked is not None and await self._store.answer(job.id, asked[1], answer)
        if not counts:
            raise InputFailed(
                ErrorCode.NOT_WAITING,
                f"Job {job.id} does not wait for this answer; it is {job.state}.",
                hint=f"Look at it: get_job on {job.id}.",
            )
        return await self._known.get(job.id, owner=owner)
