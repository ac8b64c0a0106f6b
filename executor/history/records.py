"""What the event stream carries, in both directions: a signed record with the submit, and events as they are read.

A submit's record holds all that an old list or an audit needs, since job rows expire and history may be away for
longer. It is signed: whose job it was is what was signed, in history as in the broker. `told` says what of the SQL is
in it. Knows no database.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from executor.errors import ErrorCode, JobLost
from executor.settings import RECORD_VERSION
from executor.signing import Signer

_FROM_PAYLOAD = (
    *("job_id", "owner", "kind", "source", "policy_hash", "policy_version", "limits", "proof", "origins"),
    "parent_id",
)

_UNREADABLE_CHARS = 2_000
"""Of an entry that cannot be read so much is kept."""

_MOST = 2**53
"""Beyond any count of ours."""


def record_of(signer: Signer, payload: Mapping[str, Any], sql: Mapping[str, Any]) -> tuple[str, str]:
    """The record of a job that is being submitted (JSON), and its signature.

    Args:
        signer: with the configuration's key.
        payload: as `executor.orders.payload_of` made it.
        sql: what is told of it, as `executor.history.told.Told.statement` has made it.
    """
    return signer.sign({**{name: payload[name] for name in _FROM_PAYLOAD}, **sql})


class NewerRecord(Exception):
    """Made by a newer version: to be left to whoever can read it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One move of one job, or an act that is no job's.

    Attributes:
        id: of the stream's entry.
        job_id: the job's handle; empty for an act.
        before: the state it left; empty for a submit.
        after: the state it entered.
        reason: why, in a word or two; of an act, what was done.
        at: Unix seconds, the broker's clock.
        attempt: the fencing number at that time.
        rows: so far; of the result at the end.
        bytes: likewise.
        error: as `ExecutorError.as_dict` gives it (JSON), of a failed job.
        record: with a submit, as `record_of` made it; of an act, as `executor.acts.Act.record` did.
        mac: the record's signature.
        generated: what the body of a question has told of its work by then (JSON).
    """

    id: str
    job_id: str
    before: str
    after: str
    reason: str
    at: float
    attempt: int = 1
    rows: int = 0
    bytes: int = 0
    error: str = ""
    record: str = ""
    mac: str = ""
    generated: str = ""

    def content(self) -> dict[str, Any]:
        """What the audit keeps of it, without what says nothing."""
        if not self.job_id:
            return {"what": self.reason, "record": self.record, "mac": self.mac}
        told: dict[str, Any] = {"what": self.after if self.before else "submitted", "reason": self.reason}
        if self.before:
            told |= {"before": self.before, "attempt": self.attempt, "rows": self.rows, "bytes": self.bytes}
        if self.error:
            told["error"] = self.error
        if self.generated:
            told["generated"] = self.generated
        if self.record:
            told |= {"record": self.record, "mac": self.mac}
        return told


def is_readable(entry: Sequence[Any]) -> bool:
    """Whether the stream's entry is of this version of records, or of one before; or none that anybody reads."""
    flat: list[str] = entry[1]
    version = dict(zip(flat[::2], flat[1::2], strict=True)).get("v", "1")
    return not version.isdecimal() or int(version) <= RECORD_VERSION


def without_words(error: str) -> str:
    """An error (JSON, or empty) without what it says: that may quote literals."""
    try:
        told = dict[str, Any](json.loads(error)) if error else None
    except (ValueError, TypeError):  # not one of ours
        return ""
    return "" if told is None else json.dumps({**told, "message": "Not kept: literals are redacted.", "hint": ""})


def event_of(entry: Sequence[Any]) -> Event:
    """From ``[id, [field, value, …]]``, as a script gives a stream's entry.

    An entry that no script of ours has written is an act that nobody has signed: it is on record, and holds up nothing.
    """
    flat: list[str] = entry[1]
    told = dict(zip(flat[::2], flat[1::2], strict=True))
    try:
        return _event_of(entry[0], told)
    except (KeyError, ValueError):
        text = json.dumps(told)[:_UNREADABLE_CHARS]
        return Event(id=entry[0], job_id="", before="", after="act", reason="unreadable", at=time.time(), record=text)


def _event_of(entry_id: str, told: Mapping[str, str]) -> Event:
    if any("\0" in value for value in told.values()):
        raise ValueError("no database keeps this")
    event = Event(
        id=entry_id,
        job_id=told["job"],
        before=told["from"],
        after=told["to"],
        reason=told["reason"],
        at=float(told["at"]),
        attempt=int(told.get("attempt") or 1),
        rows=int(told.get("rows") or 0),
        bytes=int(told.get("bytes") or 0),
        error=told.get("error", ""),
        record=told.get("record", ""),
        mac=told.get("mac", ""),
        generated=told.get("generated", ""),
    )
    if not math.isfinite(event.at) or max(abs(event.attempt), abs(event.rows), abs(event.bytes)) > _MOST:
        raise ValueError("no database keeps this")
    return event


def opened(signer: Signer, record: str, mac: str) -> dict[str, Any] | None:
    """The record's fields; None for one that does not carry our signature."""
    return signer.opened_record(record, mac) if record else None


def lost_error() -> JobLost:
    """What is said of a job that the broker lost."""
    return JobLost(
        ErrorCode.JOB_LOST,
        "The broker lost its data while this job was not finished; nothing of it is left to wait for.",
        hint="Submit the statement again.",
    )
