"""One connection to a PostgreSQL server through ADBC, and how an error of it reads. Knows no pool and no session."""

# pyarrow and ADBC ship no complete types: what they return is unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import contextlib
from collections.abc import Generator
from contextlib import contextmanager

import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pyarrow as pa
from adbc_driver_manager import AdbcStatusCode
from adbc_driver_manager._reader import AdbcRecordBatchReader  # the public reader hides a broken stream's SQLSTATE
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from executor.adapters.base import BATCH_BYTES, MAY_HAVE_CHANGED, unreadable
from executor.adapters.wording import VALUES_HINT, without_values
from executor.errors import ErrorCode, ExecutorError, SourceFailed, StatementFailed
from executor.secrets import resolve_secret
from executor.sources import PostgresSource

APPLICATION = "awaitsql"
SYNTAX = "42601"
CANCELLED = "57014"
"""The SQLSTATE of a statement that was stopped: by a timeout or by someone."""

_BATCH_BYTES = "adbc.postgresql.batch_size_hint_bytes"
_USE_COPY = "adbc.postgresql.use_copy"

_TEMP_FILES = "10GB"
"""What one statement may spill to the server's disk. Only a superuser may set it, for himself or for a role."""

_MEANING = {
    "standard_conforming_strings": "on",  # else a backslash before a quote ends no string where the guard sees an end
    "transform_null_equals": "off",  # else x = NULL is x IS NULL
    "array_nulls": "on",
    "xmloption": "content",
    "extra_float_digits": "1",
    "row_security": "on",  # off turns a policy into an error, which is another answer than the one that was granted
}
"""Settings that decide what a statement means, as the guard understands it, whatever the role or database says."""

_PINNED = """
    SELECT
        -- temporary objects come last: they are searched first where the path does not name them
        coalesce((SELECT string_agg(quote_ident(name), ', ' ORDER BY place)
                  FROM unnest(current_schemas(false)) WITH ORDINALITY AS path (name, place)
                  WHERE name <> 'pg_catalog' AND name NOT LIKE 'pg\\_t%') || ', ', '') || 'pg_temp',
        -- per sort or hash, and a statement may hold many
        least(pg_size_bytes(current_setting('work_mem')) / 1024, 65536)::text || 'kB',
        least(current_setting('max_parallel_workers_per_gather')::int4, 2)::text
"""

_BUSY = frozenset({"53300", "55P03", "40P01", "57P03", "40001"})
_TOO_MUCH = frozenset({"53000", "53100", "53200", "53400"})  # 53400: of our own temp_file_limit
_CHANGED = frozenset({"42P01", "42703", "3F000"})
_OF_THE_STATEMENT = ("0A", "25", "3F", "42", "54")
"""Classes of errors that name tables, columns, functions and types, and hold no value of a row."""

_AUTH = frozenset({"28000", "28P01"})
_CONNECTION_STATUS = frozenset({AdbcStatusCode.IO, AdbcStatusCode.TIMEOUT, AdbcStatusCode.UNAUTHENTICATED})
_AWAY = frozenset({"57P01", "57P02", "57P05", "25P03", "3D000", "58030", "25P04"})


def conninfo(source: str, config: PostgresSource) -> str:
    """Libpq's connection string, with the password. Never to be logged or put into a message.

    Raises:
        SourceFailed: ``source_auth_failed`` when the secret is not there; ``source_unavailable`` for an unreadable url.
    """
    added: dict[str, str | int] = {
        "application_name": APPLICATION,
        "client_encoding": "UTF8",
        "keepalives_idle": 30,
        "tcp_user_timeout": 30_000,
    }
    if config.password is not None:
        added["password"] = resolve_secret(source, config.password)
    try:
        told = conninfo_to_dict(config.url)
        if "connect_timeout" not in told:
            added["connect_timeout"] = 10
        return make_conninfo(config.url, **added)
    except psycopg.ProgrammingError:
        raise SourceFailed(
            ErrorCode.SOURCE_UNAVAILABLE,
            f"The url of source {source} is not one that PostgreSQL's library reads.",
            hint="postgresql://user@host:5432/database?sslmode=require",
        ) from None  # the driver's message quotes the url


class PostgresLink:
    """A connection in autocommit mode, so that transactions are begun and ended by name.

    Attributes:
        checks_clients: whether the server can look for a client that is gone (14 and newer, Linux and some others).
        repairs_text: whether the database lets text through that is not UTF-8.
        pinned: settings as they were or should have been when we came, by name: each session starts with them.
    """

    def __init__(self, dsn: str) -> None:
        self._connection = adbc.connect(dsn, autocommit=True)
        try:
            encoding, version = self.row(
                "SELECT current_setting('server_encoding'), current_setting('server_version_num')::int4"
            )
            self.repairs_text = encoding == "SQL_ASCII"
            self.checks_clients = int(str(version)) >= 140_000 and self._may_check_clients()
            self.pinned = self._pinned()
            self._may_set("temp_file_limit", _TEMP_FILES)
            self.do("SET default_transaction_read_only = on")
        except BaseException:
            self._connection.close()
            raise

    def do(self, *statements: str) -> None:
        """Runs statements of ours, one after the other in one message; what rows they give is thrown away."""
        with self._statement() as cursor:
            cursor.executescript(";".join(statements))

    def row(self, sql: str, *, copies: bool = True) -> tuple[object, ...]:
        """The first row of a statement of ours; without `copies` it need not be a query."""
        with self._statement() as cursor:
            cursor.adbc_statement.set_options(**{_USE_COPY: "true" if copies else "false"})
            cursor.execute(sql)
            row = cursor.fetchone()
        assert row is not None  # noqa: S101 # our own statements give a row; for the type checker
        return tuple(row)

    def describe(self, sql: str) -> pa.Schema:
        """Prepares one statement, and says what columns it would give."""
        with self._statement() as cursor:
            return cursor.adbc_execute_schema(sql)

    def stream(self, sql: str, *, copies: bool) -> PostgresStream:
        """Starts one statement. With `copies` it goes through ``COPY (…) TO STDOUT``, which takes only queries."""
        cursor = self._connection.cursor()
        try:
            cursor.adbc_statement.set_options(
                **{_BATCH_BYTES: str(BATCH_BYTES), _USE_COPY: "true" if copies else "false"}
            )
            cursor.execute(sql)
            return PostgresStream(cursor)
        except BaseException:
            cursor.close()
            raise

    def cancel(self) -> None:
        """Asks the server to stop what runs; from any thread."""
        self._connection.adbc_cancel()

    def close(self) -> None:
        """Closes the connection."""
        with contextlib.suppress(adbc.Error):  # a broken connection is as good as closed
            self._connection.close()

    def _may_check_clients(self) -> bool:
        return self._may_set("client_connection_check_interval", "1s")

    def _may_set(self, name: str, value: str) -> bool:
        try:
            self.row(f"SELECT set_config('{name}', '{value}', false)")
        except adbc.Error:
            return False
        return True

    def _pinned(self) -> dict[str, str]:
        path, work_mem, workers = self.row(_PINNED)
        return {
            **_MEANING,
            "search_path": str(path),
            "work_mem": str(work_mem),
            "max_parallel_workers_per_gather": str(workers),
        }

    @contextmanager
    def _statement(self) -> Generator[adbc.Cursor]:
        cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()


class PostgresStream:
    """The batches of one running statement."""

    def __init__(self, cursor: adbc.Cursor) -> None:
        self._cursor = cursor
        self._handle = cursor.fetch_arrow()  # keeps the stream alive
        self._reader = AdbcRecordBatchReader._import_from_c(self._handle.address)  # noqa: SLF001 # see the import
        self.is_ended = False

    def next(self) -> pa.RecordBatch | None:
        """The next batch, or None at the end."""
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            self.is_ended = True
            return None

    def close(self) -> None:
        """Lets go of the statement; what it has not sent yet is read and thrown away."""
        self._reader.close()
        self._cursor.close()


def classified(source: str, error: BaseException, *, characters_before: int = 0) -> ExecutorError:
    """An error of ADBC or psycopg as ours, by SQLSTATE.

    Args:
        source: the source's name.
        error: what the driver raised.
        characters_before: how much of ours stood before the statement's own text.
    """
    sqlstate: str | None = getattr(error, "sqlstate", None)
    if sqlstate is None:
        return _without_sqlstate(source, error)
    if sqlstate in _AUTH:
        return _refused(source)
    if sqlstate in _TOO_MUCH:
        return StatementFailed(
            ErrorCode.STATEMENT_FAILED,
            "The statement needs more memory or disk than it may use.",
            hint="Aggregate or filter earlier, sort fewer rows.",
        )
    if sqlstate in _BUSY:
        return SourceFailed(
            ErrorCode.SOURCE_BUSY,
            f"Source {source} is busy: {_primary(error)[0]}.",
            hint="Try again in a moment.",
        )
    if sqlstate in _AWAY or sqlstate.startswith(("08", "58", "XX")):
        return SourceFailed(
            ErrorCode.SOURCE_UNAVAILABLE,
            f"Source {source} broke off: {_primary(error)[0]}.",
            hint="Try again; if it stays so, tell whoever runs the database.",
        )
    message, hint, position = _primary(error)
    at = position - characters_before if position is not None else None
    if sqlstate.startswith("P0"):
        message, hint = "A function of the database raised an error of its own.", ""
    elif not sqlstate.startswith(_OF_THE_STATEMENT) or (sqlstate.startswith("42") and position is None):
        # what is wrong with the statement's own text has a place in it
        message, hint = without_values(message), VALUES_HINT if sqlstate.startswith("22") else ""
    if sqlstate in _CHANGED:
        hint = hint or MAY_HAVE_CHANGED
    return StatementFailed(
        ErrorCode.STATEMENT_FAILED, message, hint=hint, position=at if at is not None and at > 0 else None
    )


def _primary(error: BaseException) -> tuple[str, str, int | None]:
    """The server's own sentence, its hint and the position; not its detail, which quotes rows."""
    if isinstance(error, psycopg.Error):
        told = error.diag
        at = told.statement_position
        return told.message_primary or "", told.message_hint or "", int(at) if at else None
    details: dict[str, str] = {
        key: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for key, value in (
            (k.decode() if isinstance(k, bytes) else str(k), v) for k, v in getattr(error, "details", None) or ()
        )
    }
    at = details.get("PG_DIAG_STATEMENT_POSITION", "")
    message = details.get("PG_DIAG_MESSAGE_PRIMARY") or "The database gave no reason"
    return message, details.get("PG_DIAG_MESSAGE_HINT", ""), int(at) if at.isdigit() else None


def _without_sqlstate(source: str, error: BaseException) -> ExecutorError:
    """An error that the server did not give: the driver's own, or the connection's."""
    lost = isinstance(error, psycopg.Error) or getattr(error, "status_code", None) in _CONNECTION_STATUS
    if lost or isinstance(error, OSError):
        return _unanswered(source, str(error))
    return unreadable(source, error, text_type="text")


def _unanswered(source: str, text: str) -> ExecutorError:
    """Why there is no connection.

    libpq keeps the SQLSTATE of a refused connection to itself, so here, and only here, its text is looked at; in a
    language we do not read, it is ``source_unavailable``.
    """
    if any(word in text for word in ("authentication failed", "no password supplied", "no pg_hba.conf entry")) or (
        'role "' in text and "FATAL" in text
    ):
        return _refused(source)
    if any(word in text for word in ("too many clients", "too many connections", "connection slots are reserved")):
        return SourceFailed(
            ErrorCode.SOURCE_BUSY, f"Source {source} has no free connection.", hint="Try again in a moment."
        )
    return SourceFailed(
        ErrorCode.SOURCE_UNAVAILABLE,
        f"Source {source} cannot be reached.",
        hint="Try again; if it stays so, check that the database runs and the workers can reach it.",
    )


def _refused(source: str) -> ExecutorError:
    return SourceFailed(
        ErrorCode.SOURCE_AUTH_FAILED,
        f"Source {source} refuses our user or password.",
        hint="Check the source's url and password where the workers run.",
    )
