"""What is said of a job that was stopped: whether, how soon and by what the database was seen to have stopped."""

from __future__ import annotations

from executor import ErrorCode, Job, JobState


def stop_in_words(job: Job) -> str | None:
    """One sentence for a cancelled job or one whose time was over; None for every other.

    None, too, for the unfinished, and where the statement went on for other callers.

    Args:
        job: as the executor gave it.
    """
    is_late = job.error is not None and job.error.code is ErrorCode.STATEMENT_TIMEOUT
    if job.state is not JobState.CANCELLED and not is_late:
        return None
    if job.notes.get("left"):
        return None
    after = job.notes.get("stopped_after_ms")
    if after is not None:
        since = "its time was over" if is_late else "it was asked to"
        return f"the database stopped {float(after):.0f} ms after {since}"
    if job.started_at is None:
        return None
    return "the database has not been seen to stop yet"
