"""The broker's side of the history: reads and trims the event stream, and looks what the broker says of jobs."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import cast

import redis

from executor.history.records import Event, event_of, is_readable
from executor.scripts import script
from executor.settings import ExecutorSettings
from executor.store import NewerRecord


@dataclass(frozen=True, slots=True)
class Batch:
    """The next events of one stream.

    Attributes:
        epoch: names the stream: a broker that lost its data begins another.
        added: events ever added to it.
        length: events in it now.
        last: the id of the newest one that was ever added.
        events: the oldest ones, in order.
    """

    epoch: str
    added: int
    length: int
    last: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What a job's row says, as far as the history wants to know. `state` is empty where there is no row."""

    state: str = ""
    attempt: int = 1
    rows: int = 0
    bytes: int = 0
    finished_at: float = 0.0
    error: str = ""


class EventStream:
    """The event stream of one configuration."""

    def __init__(self, settings: ExecutorSettings, connection: redis.Redis) -> None:
        self._ns = settings.namespace
        self._redis = connection
        self._drain = connection.register_script(script(settings, "drain"))

    def next(self, epoch: str, position: str, count: int) -> Batch | None:
        """Up to `count` events after `position`, which has been committed and is dropped with all before it.

        None where the stream is of another epoch: `epoch` says which. Of a newer version's events and what follows them
        there is none.

        Raises:
            NewerRecord: the first of them is a newer version's.
        """
        told = cast("list[str]", self._drain(args=[secrets.token_hex(8), epoch, position, count]))
        if len(told) == 1:
            return None
        entries = cast("list[Sequence[object]]", told[4])
        known = tuple(event_of(entry) for entry in takewhile(is_readable, entries))
        if entries and not known:
            raise NewerRecord(entries[0][0])
        return Batch(told[0], int(told[1]), int(told[2]), told[3], known)

    def epoch(self) -> str:
        """The stream's name; it is given one here if it has none."""
        return cast("list[str]", self._drain(args=[secrets.token_hex(8), "", "", 0]))[0]

    def rows_of(self, job_ids: Sequence[str]) -> list[Told]:
        """What the broker says of each of these jobs."""
        pipeline = self._redis.pipeline(transaction=False)
        for job_id in job_ids:
            pipeline.hmget(f"{self._ns}:job:{job_id}", "state", "attempt", "rows", "bytes", "finished_at", "error")
        return [
            Told(row[0], int(row[1] or 1), int(row[2] or 0), int(row[3] or 0), float(row[4] or 0), row[5] or "")
            if row[0]
            else Told()
            for row in cast("list[list[str]]", pipeline.execute())
        ]
