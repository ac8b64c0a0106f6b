"""The broker's side of the history: reads and trims the event stream, and looks what the broker says of jobs."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import cast

import redis

from executor.connections import reads_anything
from executor.history.records import Event, NewerRecord, event_of, is_readable, without_words
from executor.history.witness import Head, opened_head, signed_head
from executor.scripts import script
from executor.settings import ExecutorSettings
from executor.signing import Signer


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
        self._redis = connection = reads_anything(connection)
        self._drain = connection.register_script(script(settings, "drain"))
        self._untold = connection.register_script(script(settings, "untold"))
        self._with_words = settings.history.literals == "keep"

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
        known = map(event_of, takewhile(is_readable, entries))
        events = tuple(replace(event, error=self._words(event.error)) for event in known)
        if entries and not events:
            raise NewerRecord(entries[0][0])
        return Batch(told[0], int(told[1]), int(told[2]), told[3], events)

    def tell_counted(self) -> None:
        """Puts refusals that were only counted into the stream, one event an owner."""
        self._untold()

    def witness(self, signer: Signer) -> Head | None:
        """The audit's end as it was last kept here; None where there is none that was signed by us."""
        payload, signature = cast("list[str | None]", self._redis.hmget(f"{self._ns}:audit", "payload", "signature"))
        return None if payload is None or signature is None else opened_head(signer, payload, signature)

    def keep_witness(self, signer: Signer, head: Head) -> None:
        """Keeps the audit's end here."""
        payload, signature = signed_head(signer, head)
        self._redis.hset(f"{self._ns}:audit", mapping={"payload": payload, "signature": signature})

    def epoch(self) -> str:
        """The stream's name; it is given one here if it has none."""
        return cast("list[str]", self._drain(args=[secrets.token_hex(8), "", "", 0]))[0]

    def rows_of(self, job_ids: Sequence[str]) -> list[Told]:
        """What the broker says of each of these jobs."""
        pipeline = self._redis.pipeline(transaction=False)
        for job_id in job_ids:
            pipeline.hmget(f"{self._ns}:job:{job_id}", "state", "attempt", "rows", "bytes", "finished_at", "error")
        return [self._told(row) for row in cast("list[list[str]]", pipeline.execute())]

    def _told(self, row: list[str]) -> Told:
        if not row[0]:
            return Told()
        try:
            attempt, rows, size, finished_at = int(row[1] or 1), int(row[2] or 0), int(row[3] or 0), float(row[4] or 0)
        except ValueError:  # somebody else has written there: as good as no row
            return Told()
        return Told(row[0], attempt, rows, size, finished_at, self._words(row[5]))

    def _words(self, error: str | None) -> str:
        return error or "" if self._with_words else without_words(error or "")
