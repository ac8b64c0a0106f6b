"""The audit's chain of hashes: each row's hash covers the row and the hash before it, so that no row can be changed.

Anybody can check the hashes (SHA-256). The chain's end and its anchor are sealed with the configuration's key besides,
so that whoever can write to the database and has no key cannot make another chain that holds.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select

from executor.history.tables import audit, chains
from executor.signing import Signer

_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a look at the whole chain found.

    Attributes:
        holds: whether every row is as it was written.
        rows: how many were looked at.
        first: the place of the first row that is kept; those before it have expired.
        broken_at: the place of the first row that does not fit, or None.
        message: the same in a sentence.
    """

    holds: bool
    rows: int
    first: int
    broken_at: int | None
    message: str


def row_hash(before: str, chain: str, seq: int, event: str, job_id: str, at: float, content: str) -> str:
    """The hash of one row after the row with the hash `before`: SHA-256 over their JSON, 64 hex digits."""
    told = json.dumps([before, chain, seq, event, job_id, at, content], separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def seal(signer: Signer, chain: str, seq: int, end: str, anchor_seq: int, anchor: str) -> str:
    """What the holder of the key says of a chain's end and anchor, 64 hex digits."""
    told = json.dumps([chain, seq, end, anchor_seq, anchor])
    return signer.mac("history", told.encode()).hex()


def verify(engine: Engine, signer: Signer, chain: str) -> ChainReport:
    """Goes through the whole chain, from its anchor to its end.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    one_moment = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {"reads": True}
    with engine.connect().execution_options(**one_moment) as connection:
        return _verify(connection, signer, chain)


def _verify(connection: Connection, signer: Signer, chain: str) -> ChainReport:
    head = connection.execute(select(chains).where(chains.c.chain == chain)).first()
    if head is None:
        return ChainReport(holds=True, rows=0, first=1, broken_at=None, message="Nothing has been recorded yet.")
    first = head.anchor_seq + 1

    def broken(at: int, why: str) -> ChainReport:
        return ChainReport(holds=False, rows=at - first, first=first, broken_at=at, message=f"Row {at} {why}.")

    before, expected = head.anchor_hash, first
    whole = select(audit).where(audit.c.chain == chain).order_by(audit.c.seq)
    with connection.execute(whole, execution_options={"yield_per": _AT_ONCE}) as rows:
        for row in rows:
            if row.seq > head.seq:
                return broken(row.seq, "stands after the recorded end")
            if row.seq != expected:
                return broken(expected, "is missing" if row.seq > expected else "stands before the anchor")
            if row.hash != row_hash(before, chain, row.seq, row.event, row.job_id, row.at, row.content):
                return broken(expected, "is not what was written, or the row before it is not")
            if json.loads(row.content).get("what") == "seal_broken":
                return broken(expected, "says that the chain before it was rewritten by somebody without the key")
            before, expected = row.hash, expected + 1
    if (expected - 1, before) != (head.seq, head.hash):
        return broken(expected, "is missing: the chain ends before its recorded end")
    if head.seal != seal(signer, chain, head.seq, head.hash, head.anchor_seq, head.anchor_hash):
        return broken(expected - 1, "ends the chain without this configuration's seal (rewritten, or another key)")
    count = expected - first
    expired = f"; {head.anchor_seq} older ones have expired" if head.anchor_seq else ""
    return ChainReport(holds=True, rows=count, first=first, broken_at=None, message=f"{count} rows, unbroken{expired}.")
