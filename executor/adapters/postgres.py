"""The adapter for PostgreSQL: rows stream through ADBC in a read-only transaction with timeouts set by us."""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pyarrow as pa
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from executor.adapters.base import Adapter, Estimate, Finding, Rows, Session, all_connections_lent
from executor.adapters.batches import split
from executor.adapters.interrupt import Interrupter
from executor.adapters.plans import PlanNode, estimate
from executor.adapters.postgres_columns import PostgresColumns, unnamed_types
from executor.adapters.postgres_link import (
    APPLICATION,
    CANCELLED,
    SYNTAX,
    PostgresLink,
    PostgresStream,
    classified,
    conninfo,
)
from executor.adapters.postgres_role import examine_role
from executor.adapters.postgres_schema import read_schema
from executor.errors import ErrorCode, ExecutorError, SourceFailed, StatementFailed
from executor.sessions import ROLE
from executor.source_schema import SourceSchema
from executor.sources import PostgresSource

_POOL_WAIT_S = 5.0
_LOCK_WAIT_S = 10.0  # at most; never more than half of the statement's own time, or it would read as a timeout
_IDLE_S = 120.0  # of an open transaction between statements: long enough for a slow result store
_RECYCLE_S = 1800
_BEGIN = "BEGIN TRANSACTION READ ONLY"
_END = ("ROLLBACK", "SELECT pg_catalog.pg_advisory_unlock_all()", "DEALLOCATE ALL")
"""Advisory locks and prepared statements outlive their transaction."""

_EXPLAIN_JSON = "EXPLAIN (FORMAT JSON) "
_EXPLAIN = re.compile(r"\s*explain\b", re.IGNORECASE)


_ROOM = """
    SELECT least(
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
        CASE r.rolconnlimit WHEN -1 THEN NULL ELSE r.rolconnlimit END,
        CASE d.datconnlimit WHEN -1 THEN NULL ELSE d.datconnlimit END)
    FROM pg_roles r, pg_database d WHERE r.rolname = session_user AND d.datname = current_database()
"""
"""Connections that this role may have to this database at once."""


_SERVING = "FROM pg_stat_activity WHERE application_name = %s AND backend_type = 'client backend'"
"""The backend of a session; its parallel workers have the same name, and end with it."""


class PostgresSession(Session):
    """One connection in a read-only transaction."""

    def __init__(self, link: PostgresLink, source: str, type_names: TypeNames, *, timeout_s: float, name: str) -> None:
        self._link = link
        self._source = source
        self._type_names = type_names
        self._timeout_s = timeout_s
        self._interrupter = Interrupter(link.cancel, timeout_s=timeout_s, timers=None)
        self._stream: PostgresStream | None = None
        self._has_run = False
        self._name = name or secrets.token_hex(6)
        self.is_clean = True
        self._own_settings: Mapping[str, str] = {}
        link.do(_BEGIN, self._limits())

    @property
    def query_id(self) -> str | None:
        """The session's name, which its backend tells all while it serves it (``application_name``)."""
        return self._name

    def run(self, sql: str) -> Rows:
        """See `Session.run`. Queries go through COPY, which takes nothing else; EXPLAIN is run as it is."""
        if not sql.strip():
            raise StatementFailed(ErrorCode.STATEMENT_FAILED, "There is no statement.")
        if self._has_run:
            self._begin_again()
        self._has_run = True
        self._interrupter.start()
        explains = _EXPLAIN.match(sql) is not None
        with self._explained():
            described = self._link.describe(sql)
            names = self._type_names.of(unnamed_types(described), self._link)
        columns = PostgresColumns(described, names, repairs_text=self._link.repairs_text)
        text, before = (sql, 0) if explains else columns.stream(sql)
        with self._explained(0 if explains else before + len("COPY (")):
            self._stream = self._link.stream(text + self._ending, copies=not explains)
        return Rows(columns.schema(), self._batches(self._stream, columns))

    def explain(self, sql: str) -> Estimate:
        """See `Session.explain`. The cost is the planner's own, over its cost of one row (``cpu_tuple_cost``)."""
        self._interrupter.start()
        with self._explained(len(_EXPLAIN_JSON)):
            (row_cost,) = self._link.row("SELECT current_setting('cpu_tuple_cost')::float8")
            (told,) = self._link.row(f"{_EXPLAIN_JSON}{sql}{self._ending}", copies=False)
        plan: dict[str, Any] = json.loads(str(told))[0]["Plan"]
        return estimate(_step(plan), cost=float(plan["Total Cost"]) / max(float(str(row_cost)), 1e-9))

    def take_on(self, settings: Mapping[str, str]) -> None:
        """See `Session.take_on`. They end with the transaction, and every transaction of the session has them."""
        # the role last: as another one we might not be let set the rest
        ordered = sorted(settings.items(), key=lambda setting: setting[0] == ROLE)
        self._own_settings = dict(ordered)
        told = ", ".join(f"set_config('{name}', {_quoted(value)}, true)" for name, value in ordered)
        try:
            self._link.row(f"SELECT {told}")
        except adbc.Error as error:
            if error.sqlstate == CANCELLED:
                self._interrupter.check()
            raise SourceFailed(
                ErrorCode.SOURCE_AUTH_FAILED,
                f"Source {self._source} does not let the session have the settings that its configuration gives it.",
                hint="Check the source's session settings, and that its user may set the role.",
            ) from error

    def cancel(self) -> None:
        """See `Session.cancel`."""
        self._interrupter.cancel()

    def close(self) -> None:
        """Ends the statement and the transaction; `is_clean` says whether the connection can be lent again."""
        try:
            self._end_stream()
            self._interrupter.close()
            self._roll_back()
        except (adbc.Error, OSError, RuntimeError):
            self.is_clean = False
        finally:
            self._interrupter.close()

    def _batches(self, stream: PostgresStream, columns: PostgresColumns) -> Iterator[pa.RecordBatch]:
        while True:
            with self._explained():
                came = stream.next()
            if came is None:
                return
            for part in split(came):
                yield columns.batch(part)

    def _limits(self) -> str:
        limits = {
            "statement_timeout": f"{max(1, round(self._timeout_s * 1000))}",
            "lock_timeout": f"{max(1, round(min(_LOCK_WAIT_S, self._timeout_s / 2) * 1000))}",
            "idle_in_transaction_session_timeout": f"{round(_IDLE_S * 1000)}",
            "DateStyle": "ISO",
            "IntervalStyle": "postgres",
            "bytea_output": "hex",
            "application_name": _told(self._name),
            **self._link.pinned,
        }
        if self._link.checks_clients:
            limits["client_connection_check_interval"] = "1000"
        told = ", ".join(f"set_config('{name}', {_quoted(value)}, true)" for name, value in limits.items())
        # what one statement gave random() as its seed would tell the next one's values
        return f"SELECT setseed({secrets.randbelow(10**9) / 10**9}), {told}"

    def _begin_again(self) -> None:
        self._end_stream()
        self._roll_back()
        self._link.do(_BEGIN, self._limits())
        if self._own_settings:
            self.take_on(self._own_settings)

    def _end_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            if not stream.is_ended:
                self._link.cancel()  # else closing reads what the server has still to send
            stream.close()

    def _roll_back(self) -> None:
        try:
            self._link.do(*_END)
        except adbc.Error as error:
            if error.sqlstate != CANCELLED:
                raise
            self._link.do(*_END)  # a late cancel met the first one; there is one cancel for one statement

    @contextmanager
    def _explained(self, characters_before: int = 0) -> Generator[None]:
        try:
            yield
        except adbc.Error as error:
            if error.sqlstate == CANCELLED:
                self._interrupter.check()
            if characters_before and error.sqlstate == SYNTAX:  # it was prepared, so it is SQL: but not a query
                raise StatementFailed(
                    ErrorCode.STATEMENT_FAILED, "Only statements that read tables may run here."
                ) from error
            if characters_before:
                raise classified(self._source, error, characters_before=characters_before) from error
            raise
        if self._interrupter.was_cancelled:
            self._interrupter.check()


def _told(name: str) -> str:
    """A session's name as the server tells it."""
    return f"{APPLICATION} {name}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _step(told: dict[str, Any]) -> PlanNode:
    """A step of PostgreSQL's plan in JSON."""
    of = told.get("Relation Name") or told.get("Function Name") or told.get("CTE Name")
    words = f"{told['Node Type']} on {of}" if of else str(told["Node Type"])
    return PlanNode(words, float(told["Plan Rows"]), tuple(_step(child) for child in told.get("Plans") or ()))


class TypeNames:
    """Names of types that the driver does not know (enums, ranges, types made after it connected), by oid."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}
        self._lock = threading.Lock()

    def of(self, oids: set[int], link: PostgresLink) -> dict[int, str]:
        """The names of `oids`; asks the server for those not seen before."""
        names: dict[int, str] = {}
        for oid in sorted(oids):
            with self._lock:
                name = self._known.get(oid)
            if name is None:
                name = str(link.row(f"SELECT format_type({oid}, NULL)")[0])
                with self._lock:
                    self._known[oid] = name
            names[oid] = name
        return names


class PostgresAdapter(Adapter):
    """One PostgreSQL database in one worker process: a pool of connections, made when they are first needed."""

    def __init__(self, name: str, config: PostgresSource) -> None:
        self._name = name
        self._config = config
        self._type_names = TypeNames()
        self._pool = QueuePool(
            lambda: PostgresLink(conninfo(name, config)),  # type: ignore[arg-type,return-value] # only close() is used
            pool_size=config.max_running,
            max_overflow=0,
            timeout=_POOL_WAIT_S,
            recycle=_RECYCLE_S,
            reset_on_return=None,
        )

    @contextmanager
    def session(self, *, timeout_s: float, name: str = "") -> Generator[Session]:
        """See `Adapter.session`."""
        lent, session = self._open(timeout_s, name)
        try:
            yield session
        finally:
            session.close()
            if not session.is_clean:
                lent.invalidate()
            lent.close()

    def inspect(self) -> SourceSchema:
        """See `Adapter.inspect`."""
        with self._aside() as connection:
            return read_schema(self._name, connection, self._config.schemas)

    def data_versions(self) -> Mapping[tuple[str, str], str]:
        """See `Adapter.data_versions`: rows written so far, as the statistics collector counts them."""
        with self._aside() as connection:
            told = connection.execute(
                "SELECT schemaname, relname, concat_ws('.', n_tup_ins, n_tup_upd, n_tup_del, relid)"
                " FROM pg_stat_user_tables"
            ).fetchall()
        return {(schema, name): version for schema, name, version in told}

    def classify(self, error: BaseException) -> ExecutorError:
        """See `Adapter.classify`."""
        if isinstance(error, ExecutorError):
            return error
        if isinstance(error, PoolTimeout):
            return all_connections_lent(self._name)
        return classified(self._name, error)

    def stop(self, query_id: str) -> bool:
        """See `Adapter.stop`. Ends the backend, if it still serves that very session: its worker is taken for dead."""
        with self._aside() as connection:
            found = connection.execute(f"SELECT pg_terminate_backend(pid) {_SERVING}", (_told(query_id),)).fetchone()
        return found is not None and bool(found[0])

    def runs(self, query_id: str) -> bool:
        """See `Adapter.runs`."""
        with self._aside() as connection:
            found = connection.execute(f"SELECT 1 {_SERVING} AND state = 'active'", (_told(query_id),)).fetchone()
        return found is not None

    def probe(self) -> list[Finding]:
        """See `Adapter.probe`."""
        try:
            with self._aside() as connection:
                return examine_role(self._name, connection, self._config.schemas)
        except (psycopg.Error, ExecutorError) as error:
            failed = self.classify(error)
            return [Finding("error", failed.message, failed.hint)]

    def most_connections(self) -> int | None:
        """See `Adapter.most_connections`."""
        with self._aside() as connection:
            row = connection.execute(_ROOM).fetchone()
        return None if row is None else int(row[0])

    def close(self) -> None:
        """See `Adapter.close`."""
        self._pool.dispose()

    def _open(self, timeout_s: float, name: str) -> tuple[PoolProxiedConnection, PostgresSession]:
        """A session on a pooled connection; beginning its transaction shows whether the connection still lives."""
        while True:
            lent = self._pool.connect()
            link = lent.dbapi_connection
            assert isinstance(link, PostgresLink)  # noqa: S101 # what the pool makes; for the type checker
            was_used = "used" in lent.info
            lent.info["used"] = True
            try:
                return lent, PostgresSession(link, self._name, self._type_names, timeout_s=timeout_s, name=name)
            except BaseException as error:
                lent.invalidate()
                lent.close()
                if not (was_used and isinstance(error, adbc.Error)):
                    raise

    @contextmanager
    def _aside(self) -> Generator[psycopg.Connection]:
        """A connection of its own for questions of ours, read-only."""
        with psycopg.connect(conninfo(self._name, self._config), prepare_threshold=None) as connection:
            connection.read_only = True
            connection.execute("SELECT set_config('statement_timeout', '60000', true)")
            yield connection
