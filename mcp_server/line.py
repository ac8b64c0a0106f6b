"""A queued job's place, and whose run brought its rows, in words that are the same for every reader. Pure."""

from __future__ import annotations

import math

from executor import Job


def in_line(job: Job) -> str:
    """``queued, position 3, about 20 s``; without what is not known."""
    words = "queued" if job.place is None else f"queued, position {job.place}"
    return words if job.starts_in_s is None else f"{words}, about {_about(job.starts_in_s)}"


def shared_words(job: Job) -> str | None:
    """How old rows are that were there before the job, or that it joined another's run; None for a run of its own."""
    how = job.notes.get("shared")
    if how is None:
        return None
    if how == "joined":
        return "joined the run of an equal statement; fresh=true runs it again"
    age = max(0.0, job.submitted_at - (job.rows_at or job.submitted_at))
    return f"rows are {age:.0f} s old, of an equal statement; fresh=true runs it again"


def _about(seconds: float) -> str:
    """A guess, as exact as guesses are: one figure that counts, in seconds or minutes."""
    if seconds >= 100:
        return f"{math.ceil(seconds / 60)} min"
    return f"{max(1, math.ceil(seconds))} s" if seconds < 10 else f"{math.ceil(seconds / 10) * 10} s"
