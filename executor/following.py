"""Follows jobs on behalf of callers: looks when the broker tells of a change, and now and then. Moves none of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Collection
from contextlib import suppress

from executor.errors import ErrorCode, ExecutorError
from executor.handles import parse_job_id
from executor.jobs import Job
from executor.known_jobs import KnownJobs
from executor.signals import ChangeListener

LOOK_EVERY_S = 1.0

_LOOK_RARELY_S = 5.0
"""For whoever wants only the end: it is told, and a look is for the wake-up that was lost."""


class Following:
    """All who wait for jobs in this process."""

    def __init__(self, known: KnownJobs, changes: ChangeListener) -> None:
        self._known = known
        self._changes = changes
        self._waits = True

    @property
    def waits(self) -> bool:
        """Whether jobs are waited for here; see `stop`."""
        return self._waits

    def stop(self) -> None:
        """See `Executor.stop_waiting`."""
        self._waits = False
        self._changes.wake_all()

    async def watch(
        self,
        job_id: str,
        *,
        owner: str,
        timeout_s: float,
        known: Job | None = None,
        ends_only: bool = False,
        every_s: float = LOOK_EVERY_S,
    ) -> AsyncGenerator[Job]:
        """See `Executor.watch`."""
        until = time.monotonic() + timeout_s
        job_id = parse_job_id(job_id)
        with self._changes.listen(job_id, ends_only=ends_only) as changed:
            if known is None or known.id != job_id or known.owner != owner or self._changes.may_have_changed(job_id):
                known = await self._known.get(job_id, owner=owner)
            job = known
            yield job
            while self._waits and not job.is_finished and (left := until - time.monotonic()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, every_s)):
                        await changed.wait()
                changed.clear()
                try:
                    job = await self._known.get(job_id, owner=owner, last_row=self._changes.last_row(job_id))
                except ExecutorError as error:
                    if error.code is not ErrorCode.EXECUTOR_UNAVAILABLE or until <= time.monotonic():
                        raise
                    continue
                yield job

    async def wait(self, job_id: str, *, owner: str, timeout_s: float, known: Job | None = None) -> Job:
        """See `Executor.wait`."""
        job: Job | None = None
        async for seen in self.watch(
            job_id, owner=owner, timeout_s=timeout_s, known=known, ends_only=True, every_s=_LOOK_RARELY_S
        ):
            job = seen
        return job if job is not None else await self._known.get(job_id, owner=owner)

    async def changes(self, job_ids: Collection[str], *, owner: str) -> AsyncGenerator[Job]:
        """See `Executor.changes`."""
        finished: set[str] = set()
        with self._changes.listen_to_several(job_ids) as changed:
            while True:
                for job_id in await changed.taken():
                    if job_id in finished:
                        continue
                    try:
                        job = await self._known.get(job_id, owner=owner, last_row=self._changes.last_row(job_id))
                    except ExecutorError as error:
                        if error.code is ErrorCode.EXECUTOR_UNAVAILABLE:
                            changed.tell(job_id)
                            await asyncio.sleep(LOOK_EVERY_S)
                        continue
                    if job.is_finished:
                        finished.add(job_id)
                    yield job
