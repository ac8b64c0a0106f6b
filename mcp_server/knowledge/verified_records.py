"""The table of verified queries, and what is asked of it in one transaction. Loads SQLAlchemy; knows no caller."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Double, MetaData, Table, Text, func, select
from sqlalchemy.exc import SQLAlchemyError

from mcp_server.knowledge.verified import State, VerifiedQuery

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Row

BROKEN = SQLAlchemyError
"""What is raised where the database cannot be read or written."""

_metadata = MetaData()
_kept = Table(
    "awaitsql_verified",
    _metadata,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("sql", Text, nullable=False),
    Column("read", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", Double, nullable=False),
    Column("reviewed_by", Text, nullable=False),
    Column("reviewed_at", Double),
    Column("changed_at", Double, nullable=False),
)
"""`place` is the fingerprint of the source's configuration: another database under the same name has its own."""


def make(engine: Engine) -> None:
    """Makes the table where there is none."""
    _metadata.create_all(engine, checkfirst=True)


class VerifiedRecords:
    """The table as one transaction sees it. Every method raises `BROKEN`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def same(self, source: str, place: str, question: str, sql: str) -> VerifiedQuery | None:
        """The one with that question and that SQL, whatever its state."""
        mine = (_kept.c.source == source, _kept.c.place == place)
        return self._first(*mine, _kept.c.question == question, _kept.c.sql == sql)

    def pending_of(self, by: str) -> int:
        """How many that `by` has proposed wait for review."""
        waiting = (_kept.c.state == "pending", _kept.c.proposed_by == by)
        return self._connection.execute(select(func.count()).select_from(_kept).where(*waiting)).scalar_one()

    def add(
        self,
        source: str,
        place: str,
        question: str,
        sql: str,
        *,
        read: Mapping[str, Mapping[str, str]],
        by: str,
        is_verified: bool,
        now: float,
    ) -> VerifiedQuery:
        """A new one. `now` in Unix seconds."""
        values: dict[str, Any] = {
            "id": secrets.token_hex(4),
            "source": source,
            "place": place,
            "question": question,
            "sql": sql,
            "read": json.dumps(read),
            "state": "verified" if is_verified else "pending",
            "proposed_by": by,
            "proposed_at": now,
            "reviewed_by": by if is_verified else "",
            "reviewed_at": now if is_verified else None,
            "changed_at": now,
        }
        self._connection.execute(_kept.insert().values(**values))
        return self.one(values["id"])

    def one(self, id_: str) -> VerifiedQuery:
        """The one of that id, which is there."""
        return _query(self._connection.execute(select(_kept).where(_kept.c.id == id_)).one())

    def find(self, id_: str) -> VerifiedQuery | None:
        """The one of that id."""
        return self._first(_kept.c.id == id_)

    def of(self, source: str, place: str, state: State | None) -> list[VerifiedQuery]:
        """The source's, oldest first; all states without one."""
        where = [_kept.c.source == source, _kept.c.place == place]
        where += [_kept.c.state == state] if state is not None else []
        rows = self._connection.execute(select(_kept).where(*where).order_by(_kept.c.proposed_at, _kept.c.id))
        return [_query(row) for row in rows]

    def review(self, id_: str, state: State, by: str, now: float) -> None:
        """Says what `by` found. `now` in Unix seconds."""
        told = {"state": state, "reviewed_by": by, "reviewed_at": now, "changed_at": now}
        self._connection.execute(_kept.update().where(_kept.c.id == id_).values(**told))

    def remove(self, id_: str) -> bool:
        """Whether there was one."""
        return bool(self._connection.execute(_kept.delete().where(_kept.c.id == id_)).rowcount)

    def _first(self, *where: Any) -> VerifiedQuery | None:
        row = self._connection.execute(select(_kept).where(*where)).first()
        return None if row is None else _query(row)


def _query(row: Row[Any]) -> VerifiedQuery:
    return VerifiedQuery(
        id=row.id,
        source=row.source,
        question=row.question,
        sql=row.sql,
        read=json.loads(row.read),
        state=row.state,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        reviewed_by=row.reviewed_by,
        reviewed_at=row.reviewed_at,
    )
