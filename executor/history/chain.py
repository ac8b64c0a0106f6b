"""The audit's chain of hashes: each row's hash covers the row and the hash before it, so that no row can be changed.

Anybody can check the hashes (SHA-256). The chain's end and its anchor are sealed with the configuration's key besides,
so that whoever can write to the database and has no key cannot make another chain that holds. Rows are only ever added
here, by `append`; `verifying` goes through them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from executor.history.tables import audit, chains
from executor.signing import Signer

_SEALED = ("chain", "seq", "hash", "anchor_seq", "anchor_hash", "at")

_CLOCK_S = 60.0
"""A writer whose clock is behind the last one's by more is on record as turned back."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the audit to be. `event` is empty for what comes from no stream."""

    event: str
    job_id: str
    at: float
    content: dict[str, Any]


def row_hash(before: str, chain: str, seq: int, event: str, job_id: str, at: float, content: str) -> str:
    """The hash of one row after the row with the hash `before`: SHA-256 over their JSON, 64 hex digits."""
    told = json.dumps([before, chain, seq, event, job_id, at, content], separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def text_of(content: dict[str, Any]) -> str:
    """The one text of a row's content."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _sealed(head: dict[str, Any]) -> bytes:
    return json.dumps([head[name] for name in _SEALED], separators=(",", ":")).encode()


def is_sealed(signer: Signer, head: Row[Any]) -> bool:
    """Whether a holder of the key has written the chain's end and anchor as they stand."""
    try:
        seal = bytes.fromhex(head.seal)
    except ValueError:
        return False
    told = _sealed({name: getattr(head, name) for name in _SEALED})
    return len(seal) == 32 and signer.is_mac(seal, "history", told, of_the_past=True)


def begin(connection: Connection, signer: Signer, chain: str) -> None:
    """Makes the chain's head, where there is none. Rows without a head were somebody's work: its seal stays empty."""
    mine = audit.c.chain == chain
    last = connection.execute(select(audit).where(mine).order_by(audit.c.seq.desc()).limit(1)).first()
    told: dict[str, Any] = {"chain": chain, "seq": 0, "hash": "", "anchor_seq": 0, "anchor_hash": "", "at": 0.0}
    if last is None:
        values = {**told, "fence": 0, "seal": signer.mac("history", _sealed(told)).hex()}
    else:
        first = connection.execute(select(func.min(audit.c.seq)).where(mine)).scalar_one()
        values = {**told, "fence": 0, "seq": last.seq, "hash": last.hash, "anchor_seq": first - 1, "seal": ""}
    if connection.dialect.name == "postgresql":
        # two that begin at once: the second finds the first one's
        from sqlalchemy.dialects.postgresql import insert as insert_or_find  # noqa: PLC0415 - one database's own

        connection.execute(insert_or_find(chains).values(values).on_conflict_do_nothing())
    else:
        connection.execute(insert(chains).values(values))


def head_of(connection: Connection, chain: str) -> Row[Any] | None:
    """The chain's head, held until the transaction ends: whoever else wants to write waits."""
    return connection.execute(select(chains).where(chains.c.chain == chain).with_for_update()).first()


def append(
    connection: Connection,
    signer: Signer,
    head: Row[Any],
    entries: Sequence[Entry],
    *,
    now: float,
    anchor: tuple[int, str] | None = None,
) -> None:
    """Adds rows behind `head`, as `head_of` gave it in this transaction, and seals the end anew.

    A head that nobody with the key has sealed, and a clock that went back, are on record before them.

    Args:
        connection: in a transaction.
        signer: with the configuration's keys.
        head: the chain's.
        entries: the rows to be; none changes nothing.
        now: Unix seconds, by the writer's clock.
        anchor: the place up to which rows have been deleted, and that row's hash.
    """
    if not entries:
        return
    first: list[Entry] = []
    if not is_sealed(signer, head):
        first.append(Entry("", "", now, {"what": "seal_broken", "seq": head.seq, "hash": head.hash}))
    if now < head.at - _CLOCK_S:
        first.append(Entry("", "", now, {"what": "clock_turned_back", "from": head.at, "to": now}))
    seq, end = head.seq, head.hash
    rows: list[dict[str, Any]] = []
    for entry in (*first, *entries):
        seq += 1
        event = entry.event or f"own-{seq}"
        content = text_of(entry.content)
        end = row_hash(end, head.chain, seq, event, entry.job_id, entry.at, content)
        row = {"chain": head.chain, "seq": seq, "event": event, "job_id": entry.job_id, "at": entry.at}
        rows.append({**row, "content": content, "hash": end})
    connection.execute(insert(audit), rows)
    anchor_seq, anchor_hash = anchor or (head.anchor_seq, head.anchor_hash)
    values = {"seq": seq, "hash": end, "anchor_seq": anchor_seq, "anchor_hash": anchor_hash, "at": now}
    seal = signer.mac("history", _sealed({"chain": head.chain, **values})).hex()
    connection.execute(update(chains).where(chains.c.chain == head.chain).values({**values, "seal": seal}))
