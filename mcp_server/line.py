"""A queued job's place in words, the same for every reader. Pure."""

from __future__ import annotations

import math

from executor import Job


def in_line(job: Job) -> str:
    """``queued, position 3, about 20 s``; without what is not known."""
    words = "queued" if job.place is None else f"queued, position {job.place}"
    return words if job.starts_in_s is None else f"{words}, about {_about(job.starts_in_s)}"


def _about(seconds: float) -> str:
    """A guess, as exact as guesses are: one figure that counts, in seconds or minutes."""
    if seconds >= 100:
        return f"{math.ceil(seconds / 60)} min"
    return f"{max(1, math.ceil(seconds))} s" if seconds < 10 else f"{math.ceil(seconds / 10) * 10} s"
