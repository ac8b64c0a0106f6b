"""Goes through a chain and says whether every row is as it was written, and where it is not. Writes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select

from executor.history.chain import is_sealed, row_hash
from executor.history.tables import audit, chains
from executor.history.witness import Head
from executor.signing import Signer

_AT_ONCE = 2_000
_BREAKS = {
    "seal_broken": "says that the chain before it was rewritten by somebody without the key",
    "rolled_back": "says that the chain was put back to an older state of itself",
}
_REMARKS = {
    "clock_turned_back": "times when a writer's clock had been turned back",
    "gap": "gaps: events that the broker dropped before they were written",
    "rewound": "times when the broker came back with an older state of itself",
}


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a look at a whole chain found.

    Attributes:
        holds: whether every row is as it was written.
        rows: how many were looked at.
        first: the place of the first row that is kept; those before it have expired.
        broken_at: the place of the first row that does not fit, or None.
        message: the same in a sentence.
        remarks: what is on record as gone wrong, in a chain that holds.
    """

    holds: bool
    rows: int
    first: int
    broken_at: int | None
    message: str
    remarks: tuple[str, ...] = ()


def verify(engine: Engine, signer: Signer, chain: str, witness: Head | None = None) -> ChainReport:
    """Goes through the whole chain, from its anchor to its end.

    Args:
        engine: of the history.
        signer: with the configuration's keys.
        chain: its name.
        witness: its end as something beside the database last heard of it.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    one_moment = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {"reads": True}
    with engine.connect().execution_options(**one_moment) as connection:
        return verify_in(connection, signer, chain, witness)


def verify_in(connection: Connection, signer: Signer, chain: str, witness: Head | None = None) -> ChainReport:
    """As `verify`, in a transaction that has begun."""
    head = connection.execute(select(chains).where(chains.c.chain == chain)).first()
    if head is None:
        return _headless(connection, chain, witness)
    first = head.anchor_seq + 1

    def broken(at: int, why: str) -> ChainReport:
        return ChainReport(holds=False, rows=at - first, first=first, broken_at=at, message=f"Row {at} {why}.")

    before, expected = head.anchor_hash, first
    remarks: dict[str, int] = {}
    whole = select(audit).where(audit.c.chain == chain).order_by(audit.c.seq)
    with connection.execute(whole, execution_options={"yield_per": _AT_ONCE}) as rows:
        for row in rows:
            if row.seq > head.seq:
                return broken(row.seq, "stands after the recorded end")
            if row.seq != expected:
                return broken(expected, "is missing" if row.seq > expected else "stands before the anchor")
            if row.hash != row_hash(before, chain, row.seq, row.event, row.job_id, row.at, row.content):
                return broken(expected, "is not what was written, or the row before it is not")
            what = json.loads(row.content).get("what", "") if row.event.startswith("own-") else ""
            if what in _BREAKS:
                return broken(expected, _BREAKS[what])
            if what in _REMARKS:
                remarks[what] = remarks.get(what, 0) + 1
            if witness is not None and row.seq == witness.seq and row.hash != witness.hash:
                return broken(expected, "is not the one that the broker bears witness of")
            before, expected = row.hash, expected + 1
    if (expected - 1, before) != (head.seq, head.hash):
        return broken(expected, "is missing: the chain ends before its recorded end")
    if not is_sealed(signer, head):
        return broken(expected - 1, "ends the chain without this configuration's seal (rewritten, or another key)")
    if witness is not None and head.seq < witness.seq:
        return broken(expected, f"is missing: the broker bears witness of rows up to {witness.seq}")
    expired = f"; {head.anchor_seq} older ones have expired" if head.anchor_seq else ""
    return ChainReport(
        holds=True,
        rows=expected - first,
        first=first,
        broken_at=None,
        message=f"{expected - first} rows, unbroken{expired}.",
        remarks=tuple(f"{count} {_REMARKS[what]}" for what, count in remarks.items()),
    )


def _headless(connection: Connection, chain: str, witness: Head | None) -> ChainReport:
    first = connection.execute(select(func.min(audit.c.seq)).where(audit.c.chain == chain)).scalar()
    if first is not None:
        why = f"Row {first} stands in a chain that has no recorded end."
        return ChainReport(holds=False, rows=0, first=first, broken_at=first, message=why)
    if witness is not None:
        why = f"Row 1 is missing: the broker bears witness of rows up to {witness.seq}."
        return ChainReport(holds=False, rows=0, first=1, broken_at=1, message=why)
    return ChainReport(holds=True, rows=0, first=1, broken_at=None, message="Nothing has been recorded yet.")
