"""What the broker tells of a whole configuration at one moment, in numbers: queues, workers, counters, memory.

Every server of a configuration reads the same. Only words of our own name anything in it: kinds, states, codes, queues.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from executor.errors import ErrorCode
from executor.jobs import JobKind, JobState

STATEMENTS = "statements"
"""What the queue without a name is called where it needs one."""

OTHER = "other"
"""Stands for a word that is none of ours: whoever can write to the broker could make up any number of them."""

HOW_SUBMITTED = ("run", "stored", "joined")
"""How a job came to its rows: its own run, rows that were there, or another job's run that it joined."""


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """One queue and its workers.

    Attributes:
        name: `STATEMENTS`, or one of `executor.jobs.QUEUES`.
        queued: jobs in line.
        oldest_s: how long the first of them has been there, in seconds; 0 where none is.
        running: jobs that a worker holds.
        workers: worker processes that were heard of in the last seconds.
        slots: jobs that they can run at once.
        zombies: slots that are lost to threads that do not come back.
    """

    name: str
    queued: int
    oldest_s: float
    running: int
    workers: int
    slots: int
    zombies: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One configuration at one moment; counters since its broker lost its data last.

    Attributes:
        queues: every queue, that of statements first.
        waiting: jobs that wait for an answer.
        events_pending: events that the history has not taken yet.
        history_lag_s: how long the oldest of them has been there, in seconds.
        memory_bytes: what the broker uses.
        memory_limit_bytes: what it may use; None where it has no limit.
        submitted: jobs by kind and by one of `HOW_SUBMITTED`.
        ended: jobs by kind, final state, and the code of one that failed.
        leases_lost: by queue, jobs whose worker was not heard of any more.
    """

    queues: tuple[QueueFigures, ...]
    waiting: int
    events_pending: int
    history_lag_s: float
    memory_bytes: int
    memory_limit_bytes: int | None
    submitted: Mapping[tuple[str, str], int]
    ended: Mapping[tuple[str, str, str], int]
    leases_lost: Mapping[str, int]


def figures_of(told: Sequence[Any], memory: Mapping[str, Any]) -> Figures:
    """From what ``figures.lua`` answers, and the broker's own account of its memory (``INFO memory``)."""
    queues, waiting, pending, lag, counted = told
    counts = {tuple(name.split(" ")): int(n) for name, n in zip(counted[::2], counted[1::2], strict=True)}
    submitted: dict[tuple[str, str], int] = {}
    ended: dict[tuple[str, str, str], int] = {}
    lost: dict[str, int] = {}
    for name, number in counts.items():
        match name:
            case ("submitted", kind, how):
                _add(submitted, (_one_of(JobKind, kind), _one_of(HOW_SUBMITTED, how)), number)
            case ("ended", kind, state, code):
                key = (_one_of(JobKind, kind), _one_of(JobState, state), _one_of(ErrorCode, code) if code else "")
                _add(ended, key, number)
            case ("lease_lost", queue):
                lost[queue or STATEMENTS] = number
            case _:
                pass
    return Figures(
        queues=tuple(
            QueueFigures(name or STATEMENTS, int(queued), float(oldest), *map(int, workers))
            for name, queued, oldest, *workers in sorted(queues)
        ),
        waiting=int(waiting),
        events_pending=int(pending),
        history_lag_s=float(lag),
        memory_bytes=int(memory["used_memory"]),
        memory_limit_bytes=int(memory.get("maxmemory") or 0) or None,
        submitted=submitted,
        ended=ended,
        leases_lost=lost,
    )


def _one_of(words: Any, word: str) -> str:
    return word if word in list(words) else OTHER


def _add(counts: dict[Any, int], key: Any, number: int) -> None:
    counts[key] = counts.get(key, 0) + number
