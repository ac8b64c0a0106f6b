"""Writes events into the history, each once: a batch, the place in its stream and the chain's end in one transaction.

One process writes a chain at a time. The lease in the broker says who; the fence in the chain's own row makes sure:
whoever takes over raises it, and what an earlier writer still wants to write is turned away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, delete, func, insert, select, update

from executor.history.chain import Entry, append, begin, head_of
from executor.history.records import Event, lost_error, opened
from executor.history.stream import Batch, Told
from executor.history.tables import audit, chains, jobs, streams
from executor.history.witness import Head
from executor.jobs import JobState
from executor.signing import Signer

_ENDS = frozenset(str(state) for state in JobState if state.is_terminal)
_COUNTED = "refused_more"
"""The broker's own count of what it did not tell singly (``untold.lua``)."""

_COLUMNS = ("owner", "source", "kind", "sql", "question", "policy_version")
_WHOSE = ("owner", "source", "policy_version")
_CHANGES = ("state", "reason", "error", "attempt", "rows", "bytes", "generated", "started_at", "finished_at")


class Fenced(Exception):
    """Another process writes this chain now, or has moved on in the stream; nothing was written."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a stream has been read: the last id, or empty, and how many of its events are accounted for."""

    epoch: str
    position: str = ""
    drained: int = 0


class HistoryWriter:
    """Writes one chain. Making one takes the chain over from whoever wrote it before.

    Raises:
        SQLAlchemyError: here and in every call, when the database does not answer.
    """

    def __init__(self, engine: Engine, signer: Signer, chain: str) -> None:
        self._engine = engine
        self._signer = signer
        self._chain = chain
        with engine.begin() as connection:
            if head_of(connection, chain) is None:
                begin(connection, signer, chain)
            raised = update(chains).where(chains.c.chain == chain).values(fence=chains.c.fence + 1)
            self._fence = connection.execute(raised.returning(chains.c.fence)).scalar_one()

    def place(self, epoch: str) -> Place:
        """Where reading goes on in the stream of that epoch."""
        with self._engine.connect().execution_options(reads=True) as connection:
            row = connection.execute(select(streams).where(self._is_stream(epoch))).first()
        return Place(epoch) if row is None else Place(epoch, row.position, row.drained)

    def head(self) -> Head:
        """The last row that was written; of place 0 where there is none."""
        with self._engine.connect().execution_options(reads=True) as connection:
            row = connection.execute(select(chains.c.seq, chains.c.hash).where(chains.c.chain == self._chain)).one()
        return Head(self._chain, row.seq, row.hash)

    def hold_to(self, witness: Head, *, now: float) -> bool:
        """Whether the chain has the row that `witness` tells of, or had it; where it has not, that goes on record.

        Raises:
            Fenced: as `write`.
        """
        is_held = True

        def work(connection: Connection, head: Row[Any]) -> None:
            nonlocal is_held
            if witness.chain != self._chain or witness.seq <= head.anchor_seq:
                return
            is_it = (audit.c.chain == self._chain) & (audit.c.seq == witness.seq)
            if connection.execute(select(audit.c.hash).where(is_it)).scalar() == witness.hash:
                return
            is_held = False
            told = {"what": "rolled_back", "seq": witness.seq, "hash": witness.hash, "now": head.seq}
            append(connection, self._signer, head, [Entry("", "", now, told)], now=now)

        self._transact(work)
        return is_held

    def write(self, place: Place, batch: Batch, *, now: float) -> Place:
        """Commits the events of `batch`, read from `place` on, and a gap where events were lost; the next place.

        Args:
            place: as `place` or the last call gave it.
            batch: what comes after it in the stream.
            now: Unix seconds.

        Raises:
            Fenced: another process has taken over.
        """
        events = batch.events
        # what was ever added, is not there any more and was not read here, nobody will read
        gone = batch.added - batch.length - place.drained
        if gone >= 0:
            last, drained = place.position, place.drained + gone
        else:
            # a broker that came back with an older state of itself: its next events have other ids
            last, drained = batch.last, batch.added - batch.length
        reached = Place(place.epoch, events[-1].id if events else last, drained + len(events))
        if not events and gone == 0:
            return place

        def work(connection: Connection, head: Row[Any]) -> None:
            entries: list[Entry] = []
            if gone:
                entries.append(_gap(place, batch, gone))
            ended = self._project(connection, events)
            entries += [Entry(f"{place.epoch}-{e.id}", e.job_id, e.at, self._content(e, ended)) for e in events]
            self._move(connection, place, reached)
            append(connection, self._signer, head, entries, now=now)

        self._transact(work)
        return reached

    def unfinished(self) -> list[str]:
        """The jobs that have no end yet, as far as the history knows."""
        with self._engine.connect().execution_options(reads=True) as connection:
            told = select(jobs.c.job_id).where(jobs.c.chain == self._chain, jobs.c.finished_at.is_(None))
            return list(connection.execute(told).scalars())

    def settle(self, ends: dict[str, Told], *, now: float) -> list[str]:
        """Ends jobs whose end was not heard of: as the broker's row says, or as lost where there is none; their ids.

        A job that has ended meanwhile is left alone.

        Raises:
            Fenced: as `write`.
        """
        settled: list[str] = []

        def work(connection: Connection, head: Row[Any]) -> None:
            known = self._known(connection, list(ends))
            events = [
                _end_of(job_id, told, now) for job_id, told in ends.items() if known[job_id]["finished_at"] is None
            ]
            settled.extend(event.job_id for event in events)
            ended = self._project(connection, events)
            entries = [Entry("", e.job_id, e.at, self._content(e, ended)) for e in events]
            append(connection, self._signer, head, entries, now=now)

        self._transact(work)
        return settled

    def expire(self, before: float, *, now: float) -> int:
        """Deletes what is older than `before` (Unix seconds), and anchors the chain where it begins then; how many.

        Raises:
            Fenced: as `write`.
        """
        gone = 0

        def work(connection: Connection, head: Row[Any]) -> None:
            nonlocal gone
            mine = audit.c.chain == self._chain
            kept = connection.execute(select(func.min(audit.c.seq)).where(mine, audit.c.at >= before)).scalar()
            # the chain's last row stays: its end has to be told from a chain that was emptied
            through = (head.seq if kept is None else kept) - 1
            if through <= head.anchor_seq:
                return
            anchor = connection.execute(select(audit.c.hash).where(mine, audit.c.seq == through)).scalar_one()
            gone = connection.execute(delete(audit).where(mine, audit.c.seq <= through)).rowcount
            is_old = (jobs.c.chain == self._chain) & (jobs.c.finished_at < before)
            connection.execute(delete(jobs).where(is_old))
            told = {"what": "expired", "through": through, "hash": anchor, "rows": gone}
            append(connection, self._signer, head, [Entry("", "", now, told)], now=now, anchor=(through, anchor))

        self._transact(work)
        return gone

    # -- inside ----------------------------------------------------------------------------------------------------

    def _is_stream(self, epoch: str) -> Any:
        return (streams.c.chain == self._chain) & (streams.c.epoch == epoch)

    def _transact(self, work: Callable[[Connection, Row[Any]], None]) -> None:
        with self._engine.begin() as connection:
            head = head_of(connection, self._chain)
            if head is None or head.fence != self._fence:
                raise Fenced
            work(connection, head)

    def _move(self, connection: Connection, place: Place, reached: Place) -> None:
        values = {"position": reached.position, "drained": reached.drained}
        found = connection.execute(select(streams.c.position).where(self._is_stream(place.epoch))).scalar()
        if (found or "") != place.position:
            raise Fenced
        if found is None:
            connection.execute(insert(streams).values(chain=self._chain, epoch=place.epoch, **values))
        else:
            connection.execute(update(streams).where(self._is_stream(place.epoch)).values(values))

    def _content(self, event: Event, jobs_now: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """What the audit keeps of an event; with the end of a job, whose it was, and under which policies."""
        told = event.content()
        if not self._is_ours(event):
            told["forged"] = True
        if event.job_id and event.before and event.after in _ENDS:
            told |= {name: jobs_now[event.job_id][name] for name in _WHOSE}
        return told

    def _is_ours(self, event: Event) -> bool:
        """Whether what the event says of itself was signed, and for this event. Moves, and counts, say nothing so."""
        if not event.record and event.job_id:
            return True
        if event.reason == _COUNTED and not event.job_id:
            return True
        told = opened(self._signer, event.record, event.mac)
        if told is None:
            return False
        return told.get("job_id") == event.job_id if event.job_id else told.get("act") == event.reason

    def _known(self, connection: Connection, job_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        is_one = (jobs.c.chain == self._chain) & jobs.c.job_id.in_(job_ids)
        rows = connection.execute(
            select(jobs.c.job_id, *(jobs.c[name] for name in (*_WHOSE, *_CHANGES))).where(is_one)
        ).mappings()
        return {row["job_id"]: dict(row) for row in rows}

    def _project(self, connection: Connection, events: Sequence[Event]) -> Mapping[str, Mapping[str, Any]]:
        """Brings the jobs' rows to where the events lead; the rows as they are then, by job."""
        events = [event for event in events if event.job_id]
        known = self._known(connection, list({event.job_id for event in events}))
        new: dict[str, dict[str, Any]] = {}
        changed: dict[str, dict[str, Any]] = {}
        for event in events:
            row = known.get(event.job_id)
            if row is None:
                row = known[event.job_id] = new[event.job_id] = self._first(event)
            if not event.before:
                continue
            changed[event.job_id] = row
            row |= {"state": event.after, "reason": event.reason, "attempt": event.attempt, "error": event.error}
            row |= {"rows": event.rows, "bytes": event.bytes, "generated": event.generated or row["generated"]}
            if event.after == JobState.RUNNING and row["started_at"] is None:
                row["started_at"] = event.at
            row["finished_at"] = event.at if event.after in _ENDS else None
        if new:
            connection.execute(insert(jobs), list(new.values()))
        old = [
            {f"to_{k}": row[k] for k in (*_CHANGES, "job_id")} for job_id, row in changed.items() if job_id not in new
        ]
        if old:
            is_one = (jobs.c.chain == self._chain) & (jobs.c.job_id == bindparam("to_job_id"))
            to = {name: bindparam(f"to_{name}") for name in _CHANGES}
            connection.execute(update(jobs).where(is_one).values(to), old)
        return known

    def _first(self, event: Event) -> dict[str, Any]:
        """The row of a job that is heard of for the first time. Without our signature it is nobody's."""
        told = opened(self._signer, event.record, event.mac)
        if told is None or told["job_id"] != event.job_id:
            told = dict.fromkeys(_COLUMNS, "")
            rest, mac = {}, ""
        else:
            rest, mac = {name: value for name, value in told.items() if name not in _COLUMNS}, event.mac
        return {
            "chain": self._chain,
            "job_id": event.job_id,
            **{name: told[name] for name in _COLUMNS},
            "told": json.dumps(rest, separators=(",", ":")),
            "mac": mac,
            "parent_id": rest.get("parent_id", ""),
            "generated": "",
            "state": event.after,
            "reason": event.reason,
            "error": "",
            "attempt": event.attempt,
            "rows": 0,
            "bytes": 0,
            "submitted_at": event.at,
            "started_at": None,
            "finished_at": None,
        }


def _gap(place: Place, batch: Batch, gone: int) -> Entry:
    before = batch.events[0].id if batch.events else ""
    at = batch.events[0].at if batch.events else int(batch.last.partition("-")[0]) / 1000
    if gone < 0:
        told: dict[str, Any] = {"what": "rewound", "committed": place.position, "now": batch.last}
    else:
        told = {"what": "gap", "events": gone, "after": place.position, "before": before}
    return Entry("", "", at, told)


def _end_of(job_id: str, told: Told, now: float) -> Event:
    if told.state:
        return Event(
            "", job_id, "unheard", told.state, "told by its row", told.finished_at, told.attempt, told.rows, told.bytes,
            told.error,
        )  # fmt: skip
    return Event("", job_id, "unheard", JobState.FAILED, "job_lost", now, error=json.dumps(lost_error().as_dict()))
