"""Waiting for a job inside a call: bounded, and never silent to a client that asked for progress. Knows no protocol."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from executor import Job, JobState
from mcp_server.line import in_line

if TYPE_CHECKING:  # the type only: what is used is handed in
    from executor import Executor

Report = Callable[[float, str], Awaitable[None]]
"""Is told from time to time of a wait: the seconds so far, and a line for a person."""

MAX_WAIT_S = 45.0
"""Clients give up at 60 s; a call that waits must be back before."""

_REPORT_EVERY_S = 0.9
"""Seconds between two progress notifications, at least."""

_LOOK_S = {True: 1.0, False: 5.0}
"""Seconds between two looks at a job of whose end we are told anyway; by whether somebody wants progress."""


def clamped_wait(wait_seconds: float) -> tuple[float, list[str]]:
    """The wait as it will be, in seconds, and a warning where that is less than what was asked for."""
    if wait_seconds <= MAX_WAIT_S:
        return wait_seconds, []
    return MAX_WAIT_S, [
        f"wait_seconds was cut from {wait_seconds:g} to {MAX_WAIT_S:g}: clients drop a call that takes longer."
    ]


async def wait_for(executor: Executor, job: Job, *, owner: str, timeout_s: float, report: Report | None = None) -> Job:
    """`job` when it is finished or asks, or as it is after `timeout_s` seconds; tells `report` meanwhile.

    A server that is to go does not wait: ``notes["server_leaves"]`` says so.

    Raises:
        ExecutorError: as `Executor.watch`.
    """
    if _rests(job) or timeout_s <= 0:
        return job
    began = time.monotonic()
    reported_s = 0.0
    every_s = _LOOK_S[report is not None]
    changes = executor.watch(job.id, owner=owner, timeout_s=timeout_s, known=job, ends_only=True, every_s=every_s)
    async with aclosing(changes):  # pyright: ignore[reportArgumentType] - a generator, whatever it is declared as
        async for change in changes:
            job = change
            if _rests(job):
                break
            waited_s = time.monotonic() - began
            if report is not None and waited_s >= reported_s + _REPORT_EVERY_S:
                reported_s = waited_s
                await report(round(waited_s, 1), progress_words(job, waited_s))
    if not executor.waits and not _rests(job):
        job.notes["server_leaves"] = True
    return job


def _rests(job: Job) -> bool:
    """Whether waiting alone brings nothing more."""
    return job.is_finished or job.state is JobState.WAITING


def progress_words(job: Job, elapsed_s: float) -> str:
    """One line for a person who watches: state, place in the queue or rows so far, seconds."""
    said = in_line(job) if job.state is JobState.QUEUED else f"{job.state}, {job.rows:,} rows so far"
    return f"{said}, {elapsed_s:.0f} s waited"
