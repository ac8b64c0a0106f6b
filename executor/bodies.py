"""What a body that serves another package's queue is given, and what it gives back. Knows no queue and no broker."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from executor.answers import Answers
from executor.orders import Order


@dataclass(frozen=True, slots=True)
class Answered:
    """A body's good end: the job, submitted by it with its own job as the parent, whose rows are the answer."""

    job_id: str


@dataclass(slots=True)
class Lease:
    """One job while a body works on it.

    Attributes:
        order: what was signed: whose job it is, on which source, the question and its details.
        attempt: from 1 on; later ones follow on a worker that was lost or left.
        ends_at: when the time is over, of `time.monotonic`.
        kept: what an earlier attempt has kept of its work, or an empty text.
        answers: what the job was told so far, where it asked something.
        keep: stores the work so far, for the next attempt; signed. Raises `JobLost` when the lease has gone elsewhere.
        tell: stores fields that whoever looks at the job is shown, and the history records. Raises as `keep`.
        enter: says what the job is doing now: its stage.
    """

    order: Order
    attempt: int
    ends_at: float
    kept: str
    answers: Answers
    keep: Callable[[str], Awaitable[None]] = field(repr=False)
    tell: Callable[[Mapping[str, Any]], Awaitable[None]] = field(repr=False)
    enter: Callable[[str], None] = field(repr=False)

    @property
    def job_id(self) -> str:
        """The job's handle."""
        return self.order.job_id

    @property
    def seconds_left(self) -> float:
        """What the job still has; not below 0."""
        return max(0.0, self.ends_at - time.monotonic())

    def details(self) -> dict[str, Any]:
        """What the submitter wrote for the body, from JSON."""
        return json.loads(self.order.details)


Body = Callable[[Lease], Awaitable[Answered]]
"""Works on one job. Cancelled when the job is to stop; what it raises of `ExecutorError` is the job's error,
and `InputNeeded` lets the job wait for an answer, with which a later attempt begins anew."""
