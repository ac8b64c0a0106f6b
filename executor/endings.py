"""The last word of an attempt at a job, said until the broker has heard it. Knows no statement."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from executor.connections import BROKER_ERRORS
from executor.jobs import JobState
from executor.running import RunningJob

log = logging.getLogger(__name__)

_SAY_FOR_S = 60.0
"""How long a worker tries to tell a broker that is away how a job ended."""


def say(
    job: RunningJob, state: JobState, word: Callable[[], bool], *, is_leaving: Callable[[], bool], code: str = ""
) -> bool:
    """Says how an attempt ended; False where the lease was lost or the broker stayed away.

    Args:
        job: the job that is held.
        state: what it enters, for its span.
        word: tells the broker; whether that counts. Said twice, it changes nothing.
        is_leaving: whether the process goes, and nothing is waited for any more.
        code: why it failed, for its span; empty where it did not.
    """
    job.span.tell("awaitsql.job.state", state)
    if code:
        job.span.fail(code)
    until = time.monotonic() + _SAY_FOR_S
    while True:
        try:
            counts = word()
            break
        except BROKER_ERRORS as error:
            log.warning("finish_interrupted", extra={"job_id": job.job_id, "error": type(error).__name__})
            if is_leaving() or time.monotonic() > until:
                return False
            time.sleep(0.2)
    if not counts:
        log.warning("finish_refused", extra={"job_id": job.job_id, "attempt": job.attempt})
    return counts
