"""Verified queries: questions with SQL that a person has confirmed. Kept beside the history; proposed by anybody.

What is kept is text and proves nothing by itself: whoever is shown one could run it, because `examples` takes it past
the guard under their own grant first.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from executor import ErrorCode, ExecutorError, SettingsInvalid, SourceSchema, Statement

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from executor import ExecutorSettings
    from mcp_server.knowledge.verified_records import VerifiedRecords

FILE = "verified.sqlite"
"""In the state folder, where no history database is configured."""

MOST_QUESTION = 1_000
MOST_SQL = 20_000
MOST_PENDING = 100
"""What one caller may have waiting for review."""

State = Literal["pending", "verified", "rejected"]


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
        place, now = self._place(source), time.time()
        with self._begun() as records:
            found = records.same(source, place, question, sql)
            if found is not None and (found.state == "verified" or not is_verified):
                return found
            if found is not None:
                records.review(found.id, "verified", by, now)
                return records.one(found.id)
            if not is_verified and (count := records.pending_of(by)) >= MOST_PENDING:
                raise ExecutorError(
                    ErrorCode.QUEUE_FULL,
                    f"{count} of your queries wait for review.",
                    hint="Somebody should look at them: awaitsql verified review.",
                )
            return records.add(source, place, question, sql, read=read, by=by, is_verified=is_verified, now=now)

    def of(self, source: str, *, state: State | None = None) -> list[VerifiedQuery]:
        """The source's, oldest first. Raises as `add`."""
        with self._begun() as records:
            return records.of(source, self._place(source), state)

    def find(self, id: str) -> VerifiedQuery | None:  # noqa: A002 - what it is called everywhere
        """The one of that id, whichever source it is of. Raises as `add`."""
        with self._begun() as records:
            return records.find(id)

    def review(self, id: str, *, accept: bool, by: str) -> VerifiedQuery | None:  # noqa: A002 - as above
        """Says yes or no to one; None where there is none of that id. Raises as `add`."""
        with self._begun() as records:
            records.review(id, "verified" if accept else "rejected", by, time.time())
        return self.find(id)

    def remove(self, id: str) -> bool:  # noqa: A002 - as above
        """Forgets one; whether there was one. Raises as `add`."""
        with self._begun() as records:
            return records.remove(id)

    def _place(self, source: str) -> str:
        return self._settings.fingerprint_of(source) or ""

    @contextmanager
    def _begun(self) -> Generator[VerifiedRecords]:
        # both load SQLAlchemy, a tenth of what a process takes to start, which few calls need
        from executor import open_records  # noqa: PLC0415
        from mcp_server.knowledge.verified_records import BROKEN, VerifiedRecords, make  # noqa: PLC0415

        try:
            if self._engine is None:
                engine = open_records(self._settings, FILE)
                make(engine)
                self._engine = engine
            try:
                with self._engine.begin() as connection:
                    yield VerifiedRecords(connection)
            finally:
                # calls are few and far between: none keeps a connection for the next
                self._engine.dispose()
        except BROKEN as error:
            raise ExecutorError(
                ErrorCode.EXECUTOR_UNAVAILABLE,
                f"Verified queries cannot be read or written ({type(error).__name__}).",
                hint="Look at [executor.history] url, or at the state folder's disk.",
            ) from error
