"""The last word on a job, said until the broker has heard it. Knows no statement."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from executor.jobs import JobState
from executor.running import RunningJob
from executor.store import BROKER_ERRORS, WorkerStore

log = logging.getLogger(__name__)

_SAY_FOR_S = 60.0
"""How long a worker tries to tell a broker that is away how a job ended."""


def say_end(
    store: WorkerStore,
    job: RunningJob,
    worker: str,
    state: JobState,
    reason: str,
    fields: Mapping[str, str],
    *,
    is_leaving: Callable[[], bool],
) -> bool:
    """Tells how `job` ended, with what was noted of it; False where the lease was lost or the broker stayed away.

    Args:
        store: the broker's.
        job: the job that `worker` holds.
        worker: the name the lease is held under.
        state: the terminal state.
        reason: in a word or two.
        fields: of the job's row, beside its notes.
        is_leaving: whether the process goes, and nothing is waited for any more.
    """
    until = time.monotonic() + _SAY_FOR_S
    while True:
        try:
            counts = store.finish(job.job_id, job.attempt, worker, state, reason, {**job.notes, **fields})
            break
        except BROKER_ERRORS as error:
            # the work is done; only the word is missing, and saying it twice is harmless
            log.warning("finish_interrupted", extra={"job_id": job.job_id, "error": type(error).__name__})
            if is_leaving() or time.monotonic() > until:
                return False
            time.sleep(0.2)
    if not counts:
        log.warning("finish_refused", extra={"job_id": job.job_id, "attempt": job.attempt})
    return counts
