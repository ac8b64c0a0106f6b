"""The seam between a job and a database: what an adapter must be able to do. One implementation a kind.

An adapter lives in one worker process, is made lazily, holds that process's connections to one source and is
thread-safe. A `Session` is one connection lent to one statement: opened read-only with its limits already set, used
by one thread, and cancelled from any other. Adapters know nothing of jobs, principals or Redis.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from executor.errors import ErrorCode, ExecutorError, SourceFailed, StatementFailed
from executor.source_schema import SourceSchema

log = logging.getLogger(__name__)

BATCH_ROWS = 8192
"""The most rows a batch holds."""

MAY_HAVE_CHANGED = "It may have changed or gone since the schema was read: read the schema again."
"""The hint of an error about a table or column that the database does not know: what passed the guard was known."""

BATCH_BYTES = 1_000_000
"""What a batch aims for, in bytes of Arrow memory, where the driver can be told."""


def all_connections_lent(source: str) -> SourceFailed:
    """The one error for a statement that waited in vain for a connection of this worker's pool."""
    return SourceFailed(
        ErrorCode.SOURCE_BUSY,
        f"All connections of this worker to source {source} are in use.",
        hint="Try again in a moment.",
    )


def unreadable(source: str, error: BaseException, *, text_type: str) -> ExecutorError:
    """An error that neither server nor driver gave: a value that cannot be read, or the worker's own trouble."""
    if isinstance(error, (RuntimeError, MemoryError)) and not isinstance(error, pa.ArrowException):
        return crashed(error)
    return StatementFailed(
        ErrorCode.STATEMENT_FAILED,
        f"The rows of source {source} could not be read ({type(error).__name__}).",
        hint=f"Cast the columns to {text_type} to see which one it is.",
    )


def crashed(error: BaseException) -> ExecutorError:
    """An error that nobody foresaw. Its own words, which may hold anything, are for the worker's log alone."""
    log.error("job_crashed", exc_info=error)
    return StatementFailed(
        ErrorCode.STATEMENT_FAILED,
        f"Running the statement failed in an unexpected way ({type(error).__name__}).",
        hint="The worker's log has the details. Try again; if it fails again, tell whoever runs the workers.",
    )


def file_versions(*paths: Path) -> str:
    """A text that changes when one of the files is written, comes or goes."""
    told: list[str] = []
    for path in paths:
        try:
            found = path.stat()
            told.append(f"{found.st_mtime_ns}.{found.st_size}.{found.st_ino}")
        except OSError:
            told.append("-")
    return " ".join(told)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something `probe` saw: a ``warning`` or an ``ok``, one sentence, and what to type to mend it."""

    level: Literal["ok", "warning", "error"]
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a database expects of a statement before it runs it. Guesses: they may be off by orders of magnitude.

    Attributes:
        cost: how many rows it expects to touch on the way, over all tables and joins; the unit of the cost gate. Where
            a database has a cost of its own, that cost over its cost of one row.
        rows: how many rows it expects the result to have, or None where it does not say.
        plan: a few lines in the database's own words, at most 40 of at most 200 characters.
    """

    cost: float
    rows: float | None
    plan: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """A result on its way: its Arrow schema as far as it is known, and its batches of at most `BATCH_ROWS` rows.

    Column names are as the database gave them, duplicates included. A later batch may have a wider type in a column
    than `schema` says (SQLite decides types by value); the result store keeps the union.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


class Session(ABC):
    """One connection lent to one statement."""

    _ending = ""

    @property
    @abstractmethod
    def query_id(self) -> str | None:
        """What the server calls this connection (a backend pid …), for `Adapter.stop`; None if there is no server."""

    @abstractmethod
    def run(self, sql: str) -> Rows:
        """Start `sql`, one statement, and hand back its rows as they come.

        Raises: whatever the driver raises; `Adapter.classify` turns it into an `ExecutorError`.
        """

    @abstractmethod
    def explain(self, sql: str) -> Estimate:
        """What the database expects of `sql`, one query, without running any part of it. Before `run`, or instead.

        Raises: as `run`.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Ask the database to stop the running statement. From any thread, any number of times, also when idle."""

    def mark(self, comment: str) -> None:
        """From now on `run` and `explain` end what they send in `comment`, an SQL comment; never a caller's text.

        Only to a server, which shows it to others: nobody sees what a database in this process is sent.
        """
        self._ending = f" {comment}"

    def take_on(self, settings: Mapping[str, str]) -> None:
        """Give the session `settings`, by name, until it is closed; before `run`. See `executor.sessions`.

        Raises:
            SourceFailed: ``source_auth_failed`` where the database does not let us, or knows no such settings.
        """
        raise SourceFailed(
            ErrorCode.SOURCE_AUTH_FAILED,
            f"Sessions of this kind take no settings ({type(self).__name__}).",
            hint="Take session out of the source's configuration.",
        )


class Adapter(ABC):
    """One source in one worker process."""

    @abstractmethod
    def session(self, *, timeout_s: float, name: str = "") -> AbstractContextManager[Session]:
        """A read-only session whose statement the database itself stops after `timeout_s` seconds, where it can.

        Where the kind of source says that it ``names_sessions``, `name` is the session's `query_id`: at most 50
        characters, and no other session's. Empty: one is made up.

        Leaving the context gives the connection back clean, or closes it if it is not: nothing of one statement
        (transaction, settings, a late cancel) reaches the next.
        """

    @abstractmethod
    def inspect(self) -> SourceSchema:
        """The tables of the source as they are now, without rows of anyone's data."""

    def data_versions(self) -> Mapping[tuple[str, str], str]:
        """By ``(schema, table)``, a text that changes when the table's rows do, where the database tells that cheaply.

        ``("", "")`` stands for every table that has none of its own. Tables of which nothing is known are left out.
        """
        return {}

    @abstractmethod
    def classify(self, error: BaseException) -> ExecutorError:
        """The one place where this kind's driver errors become ours, by SQLSTATE, errno or class, never by text.

        Messages are scrubbed of connection strings. A cancelled statement comes back as ``statement_failed`` here:
        whether someone asked for it is known to the caller, who looks at the job's flag first.
        """

    @abstractmethod
    def stop(self, query_id: str) -> bool:
        """Stop a statement that a dead worker left running on the server. True when the server says it was there."""

    @abstractmethod
    def runs(self, query_id: str) -> bool:
        """Whether the server still runs a statement of that session, asked on another connection.

        False where the database runs in this process: a statement has ended when its call came back.

        Raises: whatever the driver raises when it cannot be asked.
        """

    @abstractmethod
    def probe(self) -> list[Finding]:
        """What is wrong or risky about how we are let in (superuser, write rights), with what to type."""

    def most_connections(self) -> int | None:
        """How many connections our role may have open at once, all workers together; None where nothing bounds it."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Close every connection."""
