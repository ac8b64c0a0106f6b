"""Verified queries: questions with SQL that a person has confirmed. Kept beside the history; proposed by anybody.

What is kept is text and proves nothing by itself: whoever is shown one could run it, because `examples` takes it past
the guard under their own grant first.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Column, Double, MetaData, Table, Text, func, select
from sqlalchemy.exc import SQLAlchemyError

from executor import ErrorCode, ExecutorError, SettingsInvalid, SourceSchema, Statement

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Row

    from executor import ExecutorSettings

FILE = "verified.sqlite"
"""In the state folder, where no history database is configured."""

MOST_QUESTION = 1_000
MOST_SQL = 20_000
MOST_PENDING = 100
"""What one caller may have waiting for review."""

State = Literal["pending", "verified", "rejected"]

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


@dataclass(frozen=True, slots=True)
class VerifiedQuery:
    """A question and its SQL.

    Attributes:
        id: short, names it on the command line.
        read: the columns it uses with their types when it was kept, by ``schema.table``.
        state: ``pending`` until a person has looked at it; only ``verified`` ones are shown to callers.
        proposed_by: an owner or a person's name.
        reviewed_by: a person's name; empty while pending.
    """

    id: str
    source: str
    question: str
    sql: str
    read: Mapping[str, Mapping[str, str]]
    state: State
    proposed_by: str
    proposed_at: float
    reviewed_by: str = ""
    reviewed_at: float | None = None

    @property
    def tables(self) -> tuple[str, ...]:
        """What it reads, as ``schema.table``."""
        return tuple(self.read)

    def changes(self, schema: SourceSchema) -> str:
        """What of the columns it uses is another thing now, in words; empty where nothing is."""
        there = {f"{t.schema}.{t.name}": {c.name: c.type for c in t.columns} for t in schema.tables}
        for table, columns in self.read.items():
            if table not in there:
                return f"there is no table {table} any more"
            for name, kind in columns.items():
                if name not in there[table]:
                    return f"there is no column {table}.{name} any more"
                if there[table][name] != kind:
                    return f"column {table}.{name} was {kind} and is {there[table][name]}"
        return ""


def columns_used(sql: str, statement: Statement, schema: SourceSchema) -> dict[str, dict[str, str]]:
    """The columns of each table that `statement` reads whose names stand in `sql`, with types; all where it has a star.

    Without column names of a table (a bare count), none of it.
    """
    text = sql.lower()
    starred = "*" in text.replace("(*)", "")
    words = set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())
    used: dict[str, dict[str, str]] = {}
    for table in schema.tables:
        name = f"{table.schema}.{table.name}"
        if name in statement.tables:
            used[name] = {
                c.name: c.type
                for c in table.columns
                if starred or c.name.lower() in words or (not c.name.isidentifier() and c.name.lower() in text)
            }
    return used


class VerifiedQueries:
    """The store. Calls block: from an event loop, in a thread. Opens its database when it is first used."""

    def __init__(self, settings: ExecutorSettings) -> None:
        self._settings = settings
        self._engine: Engine | None = None

    def add(
        self, source: str, question: str, sql: str, *, read: Mapping[str, Mapping[str, str]], by: str, is_verified: bool
    ) -> VerifiedQuery:
        """Keeps a query, pending unless `is_verified` by the person `by`. The same one again is the same.

        Raises:
            SettingsInvalid: the question or the SQL is empty or too long.
            ExecutorError: ``queue_full`` where `by` has too many pending; ``executor_unavailable``.
        """
        question, sql = " ".join(question.split()), sql.strip().removesuffix(";").strip()
        if not question or not sql or len(question) > MOST_QUESTION or len(sql) > MOST_SQL:
            raise SettingsInvalid(
                message=f"A verified query has a question of 1 to {MOST_QUESTION:,} characters and SQL of 1 to "
                f"{MOST_SQL:,}.",
                hint="Say the question in a sentence.",
            )
        now = time.time()
        with self._begun() as connection:
            mine = (_kept.c.source == source, _kept.c.place == self._place(source))
            found = connection.execute(
                select(_kept).where(*mine, _kept.c.question == question, _kept.c.sql == sql)
            ).first()
            if found is not None and not (is_verified and found.state != "verified"):
                return _query(found)
            if found is not None:
                self._review(connection, found.id, "verified", by, now)
                return _query(connection.execute(select(_kept).where(_kept.c.id == found.id)).one())
            waiting = (_kept.c.state == "pending", _kept.c.proposed_by == by)
            if not is_verified:
                count = connection.execute(select(func.count()).select_from(_kept).where(*waiting)).scalar_one()
                if count >= MOST_PENDING:
                    raise ExecutorError(
                        ErrorCode.QUEUE_FULL,
                        f"{count} of your queries wait for review.",
                        hint="Somebody should look at them: awaitsql verified review.",
                    )
            values: dict[str, Any] = {
                "id": secrets.token_hex(4),
                "source": source,
                "place": self._place(source),
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
            connection.execute(_kept.insert().values(**values))
            return _query(connection.execute(select(_kept).where(_kept.c.id == values["id"])).one())

    def of(self, source: str, *, state: State | None = None) -> list[VerifiedQuery]:
        """The source's, oldest first. Raises as `add`."""
        where = [_kept.c.source == source, _kept.c.place == self._place(source)]
        where += [_kept.c.state == state] if state is not None else []
        with self._begun() as connection:
            rows = connection.execute(select(_kept).where(*where).order_by(_kept.c.proposed_at, _kept.c.id))
            return [_query(row) for row in rows]

    def find(self, id: str) -> VerifiedQuery | None:  # noqa: A002 - what it is called everywhere
        """The one of that id, whichever source it is of. Raises as `add`."""
        with self._begun() as connection:
            row = connection.execute(select(_kept).where(_kept.c.id == id)).first()
            return None if row is None else _query(row)

    def review(self, id: str, *, accept: bool, by: str) -> VerifiedQuery | None:  # noqa: A002 - as above
        """Says yes or no to one; None where there is none of that id. Raises as `add`."""
        with self._begun() as connection:
            self._review(connection, id, "verified" if accept else "rejected", by, time.time())
        return self.find(id)

    def remove(self, id: str) -> bool:  # noqa: A002 - as above
        """Forgets one; whether there was one. Raises as `add`."""
        with self._begun() as connection:
            return bool(connection.execute(_kept.delete().where(_kept.c.id == id)).rowcount)

    def _review(self, connection: Connection, id_: str, state: State, by: str, now: float) -> None:
        told = {"state": state, "reviewed_by": by, "reviewed_at": now, "changed_at": now}
        connection.execute(_kept.update().where(_kept.c.id == id_).values(**told))

    def _place(self, source: str) -> str:
        return self._settings.fingerprint_of(source) or ""

    @contextmanager
    def _begun(self) -> Generator[Connection]:
        from executor import open_records  # noqa: PLC0415 - loads the history, which few calls need

        try:
            if self._engine is None:
                engine = open_records(self._settings, FILE)
                _metadata.create_all(engine, checkfirst=True)
                self._engine = engine
            try:
                with self._engine.begin() as connection:
                    yield connection
            finally:
                # calls are few and far between: none keeps a connection for the next
                self._engine.dispose()
        except SQLAlchemyError as error:
            raise ExecutorError(
                ErrorCode.EXECUTOR_UNAVAILABLE,
                f"Verified queries cannot be read or written ({type(error).__name__}).",
                hint="Look at [executor.history] url, or at the state folder's disk.",
            ) from error


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
