"""Calls that were given up before their job's handle was delivered: the job is stopped after a grace. Of one process.

Whoever lost a connection may come back at once, with the same idempotency key or the same SQL, and then the run is
wanted again; the broker knows, whichever server it came back to.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from executor import ExecutorError

if TYPE_CHECKING:  # its client and drivers are loaded by whoever makes one
    from executor import Executor

log = logging.getLogger(__name__)

GRACE_S = 2.0
"""Seconds from a caller's giving up to the stop, in which it, or another, may join the run."""

_WITHIN_S = 5.0
"""How long the last stops may take when the server ends."""


class Farewells:
    """Stops the jobs that nobody waits for any more. An asynchronous context manager: at its end there is no grace.

    Args:
        executor: of the jobs, entered.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._ending = asyncio.Event()
        self._keeps = False
        self._stops: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Farewells:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending.set()
        if self._stops:
            await asyncio.wait(self._stops, timeout=_WITHIN_S)

    def keep_jobs(self) -> None:
        """From now on it is the server that leaves, not its callers: they come back for their jobs."""
        self._keeps = True

    def say(self, job_id: str, *, owner: str) -> None:
        """The caller has left; the job is stopped after the grace unless somebody else wants it by then."""
        if self._keeps:
            return
        stop = asyncio.create_task(self._stop(job_id, owner))
        self._stops.add(stop)
        stop.add_done_callback(self._stops.discard)

    async def _stop(self, job_id: str, owner: str) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await self._ending.wait()
        try:
            await self._executor.give_up(job_id, owner=owner)
        except ExecutorError as error:  # it runs to its deadline, and list_jobs finds it
            log.warning("given_up_job_goes_on", extra={"job_id": job_id, "code": str(error.code)})
