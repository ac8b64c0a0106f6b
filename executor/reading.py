"""May a job read the stored result of another? Asked by the worker, right before it does; the server asked before."""

from __future__ import annotations

from executor.errors import ErrorCode, JobNotFound, ResultFailed, StatementFailed
from executor.jobs import Input, JobState
from executor.signing import Signer
from executor.store import WorkerStore


def check_input(told: Input, owner: str, store: WorkerStore, signer: Signer) -> None:
    """Looks whether the result that `told` names is there still, and is `owner`'s.

    Raises:
        JobNotFound: it is somebody else's, or was signed by nobody.
        ResultFailed: ``result_expired``.
    """
    state, attempt = store.standing(told.job_id) or (None, 0)
    signed = store.signed(told.job_id)
    if signed is None or state is not JobState.SUCCEEDED or attempt != told.attempt:
        raise ResultFailed(
            ErrorCode.RESULT_EXPIRED,
            f"The rows of job {told.job_id}, which the statement reads as {told.name}, are no longer kept.",
            hint="Run that query again, and then this one over its new result.",
        )
    try:
        payload = signer.open(*signed)
    except StatementFailed:
        payload = {}
    if (payload.get("job_id"), payload.get("owner")) != (told.job_id, owner):
        raise JobNotFound(ErrorCode.JOB_NOT_FOUND, f"There is no job {told.job_id} (any more).")
