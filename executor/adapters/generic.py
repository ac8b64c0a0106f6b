"""The adapter for databases that are reached through SQLAlchemy alone: nothing is known of them but the DB-API.

Rows stream where the dialect has a server-side cursor. A statement is stopped by dropping its connection, also at its
deadline. The database is not asked to refuse writes, and its errors are told by class: what they say may show what a
policy hides. So a role that may only read is needed.
"""

# pyarrow and some drivers ship no types: what they return is unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import sqlalchemy
from sqlalchemy.engine import Connection, CursorResult, Engine, Inspector
from sqlalchemy.exc import (
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from executor.adapters.base import BATCH_ROWS, Adapter, Estimate, Finding, Rows, Session, all_connections_lent
from executor.adapters.generic_values import GenericRows
from executor.adapters.interrupt import Interrupter
from executor.errors import ErrorCode, ExecutorError, SourceFailed, StatementFailed
from executor.secrets import resolve_secret
from executor.source_schema import Column, ForeignKey, SourceSchema, Table
from executor.sources import GenericSource
from executor.timers import Timers

_POOL_WAIT_S = 5.0
_RECYCLE_S = 1800
_FIRST_ROWS = 1000
_DRIVERS = {"mssql": "mssql+pymssql"}
"""SQLAlchemy's name of a kind with the driver that its extra brings, where that is not SQLAlchemy's own choice."""


class GenericSession(Session):
    """One connection, dropped after a statement that was stopped."""

    def __init__(self, connection: Connection, timers: Timers, *, timeout_s: float) -> None:
        self._connection = connection
        raw = connection.connection.dbapi_connection
        self._raw: Any = raw
        self._interrupter = Interrupter(self._drop, timeout_s=timeout_s, timers=timers)
        self._result: CursorResult[Any] | None = None

    @property
    def query_id(self) -> str | None:
        """None: not every database has a name for a connection, so that a dead worker's is left to the database."""
        return None

    @property
    def is_clean(self) -> bool:
        """Whether the next statement may have this connection."""
        return not (self._interrupter.was_cancelled or self._interrupter.is_late)

    def run(self, sql: str) -> Rows:
        """See `Session.run`."""
        if not sql.strip():
            raise StatementFailed(ErrorCode.STATEMENT_FAILED, "There is no statement.")
        self._interrupter.start()
        self._end_result()
        with self._explained():
            streaming = self._connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS)
            result = self._result = streaming.exec_driver_sql(sql)
            cursor = result.cursor
            if not result.returns_rows or cursor is None:
                raise StatementFailed(ErrorCode.STATEMENT_FAILED, "Only statements that read tables may run here.")
            making = GenericRows([(str(told[0]), _word(told[1])) for told in cursor.description or ()])
            first = making.batch(result.fetchmany(_FIRST_ROWS))
        return Rows(first.schema, self._batches(result, making, first))

    def explain(self, sql: str) -> Estimate:
        """Refused: the kinds have no plan in common."""
        raise StatementFailed(
            ErrorCode.STATEMENT_FAILED,
            "This kind of database tells no cost before it runs a statement.",
            hint="Take the thresholds of cost out of the policy of this source.",
        )

    def cancel(self) -> None:
        """See `Session.cancel`."""
        self._interrupter.cancel()

    def close(self) -> None:
        """Ends the statement and its transaction."""
        self._interrupter.close()
        with contextlib.suppress(SQLAlchemyError, OSError):  # a connection that was dropped cannot be ended
            self._end_result()
            self._connection.rollback()

    def _end_result(self) -> None:
        result, self._result = self._result, None
        if result is not None:
            result.close()

    def _batches(
        self, result: CursorResult[Any], making: GenericRows, first: pa.RecordBatch
    ) -> Iterator[pa.RecordBatch]:
        batch = first
        while batch.num_rows:
            yield batch
            with self._explained():
                batch = making.batch(result.fetchmany(BATCH_ROWS))

    def _drop(self) -> None:
        """Asks the driver to stop in whichever way it has, and hangs up where it has none."""
        for name in ("cancel", "interrupt", "close"):
            stop = getattr(self._raw, name, None)
            if callable(stop):
                stop()
                return

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except ExecutorError:
            raise
        except Exception:
            self._interrupter.check()
            raise
        self._interrupter.check()


class GenericAdapter(Adapter):
    """One database in one worker process: SQLAlchemy's engine with a pool of its own."""

    def __init__(self, name: str, config: GenericSource) -> None:
        self._name = name
        self._config = config
        self._timers = Timers()
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._look_for_driver()

    @contextmanager
    def session(self, *, timeout_s: float, name: str = "") -> Generator[Session]:
        """See `Adapter.session`. The database has no timeout of ours: at the deadline its connection is dropped."""
        connection = self._connected().connect()
        try:
            session = GenericSession(connection, self._timers, timeout_s=timeout_s)
            try:
                yield session
            finally:
                session.close()
                if not session.is_clean:
                    connection.invalidate()
        finally:
            with contextlib.suppress(SQLAlchemyError, OSError):
                connection.close()

    def inspect(self) -> SourceSchema:
        """See `Adapter.inspect`. What a view reads is not known: it counts as reading everything."""
        with self._connected().connect() as connection:
            seen = sqlalchemy.inspect(connection)
            default = seen.default_schema_name or (self._config.schemas or ("",))[0]
            schemas = self._config.schemas or (default,)
            views = {(schema, name) for schema in schemas for name in seen.get_view_names(schema=schema or None)}
            plain = {(schema, name) for schema in schemas for name in seen.get_table_names(schema=schema or None)}
            every = sorted(plain | views)
            tables = tuple(self._table(seen, schema, name, views, every) for schema, name in every)
            version = ".".join(map(str, connection.dialect.server_version_info or ()))
        return SourceSchema(
            source=self._name,
            dialect=self._config.dialect,
            default_schema=default,
            tables=tables,
            server_version=version,
            inspected_at=time.time(),
        )

    def _table(
        self, seen: Inspector, schema: str, name: str, views: set[tuple[str, str]], every: list[tuple[str, str]]
    ) -> Table:
        here, is_view = schema or None, (schema, name) in views
        columns = [
            Column(c["name"], str(c["type"]).lower(), bool(c.get("nullable", True)), c.get("comment") or "")
            for c in seen.get_columns(name, schema=here)
        ]
        if is_view:
            reads = tuple(other for other in every if other != (schema, name))
            return Table(schema, name, kind="view", columns=tuple(columns), reads=reads)
        return Table(
            schema,
            name,
            columns=tuple(columns),
            primary_key=tuple(seen.get_pk_constraint(name, schema=here)["constrained_columns"]),
            foreign_keys=tuple(
                ForeignKey(
                    tuple(key["constrained_columns"]),
                    key["referred_schema"] or schema,
                    key["referred_table"],
                    tuple(key["referred_columns"]),
                )
                for key in seen.get_foreign_keys(name, schema=here)
            ),
        )

    def classify(self, error: BaseException) -> ExecutorError:
        """See `Adapter.classify`: by DB-API's classes, as nothing else is common to the drivers."""
        if isinstance(error, ExecutorError):
            return error
        if isinstance(error, PoolTimeout):
            return all_connections_lent(self._name)
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        if lost or isinstance(error, InterfaceError | DisconnectionError | OSError):
            return SourceFailed(
                ErrorCode.SOURCE_UNAVAILABLE,
                f"Source {self._name} cannot be reached.",
                hint="Try again; if it stays so, check that the database runs and the workers can reach it.",
            )
        told = type(error).__name__
        kind = "cannot run this statement now" if isinstance(error, OperationalError) else "cannot run this statement"
        return StatementFailed(
            ErrorCode.STATEMENT_FAILED,
            f"The database {kind} ({told}).",
            hint="Check names, types and functions of its dialect; describe_tables shows the columns.",
        )

    def stop(self, query_id: str) -> bool:
        """False: see `GenericSession.query_id`."""
        return False

    def runs(self, query_id: str) -> bool:
        """False: as above."""
        return False

    def probe(self) -> list[Finding]:
        """See `Adapter.probe`."""
        try:
            self._connected().connect().close()
        except Exception as error:  # noqa: BLE001 # whatever a driver that we do not know raises
            failed = self.classify(error)
            return [Finding("error", failed.message, failed.hint)]
        told = f"Source {self._name} is of an untested kind: the database is not asked to refuse writes."
        return [Finding("warning", told, "Give its user the right to read, and no other.")]

    def close(self) -> None:
        """See `Adapter.close`."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    def _url(self) -> sqlalchemy.URL:
        url = sqlalchemy.make_url(self._config.url)
        return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))

    def _look_for_driver(self) -> None:
        """Raises `ImportError` where SQLAlchemy's dialect, or the driver below it, is not installed."""
        try:
            self._url().get_dialect().import_dbapi()
        except NoSuchModuleError as error:
            raise ModuleNotFoundError(str(error), name=self._config.kind) from error

    def _connected(self) -> Engine:
        with self._lock:
            if self._engine is None:
                url = self._url()
                if self._config.password is not None:
                    url = url.set(password=resolve_secret(self._name, self._config.password))
                self._engine = sqlalchemy.create_engine(
                    url,
                    poolclass=sqlalchemy.QueuePool,
                    pool_size=self._config.max_running,
                    max_overflow=0,
                    pool_timeout=_POOL_WAIT_S,
                    pool_recycle=_RECYCLE_S,
                    pool_pre_ping=True,
                    hide_parameters=True,
                )
            return self._engine


def _word(type_code: Any) -> str:
    """The driver's word for a column's type, where it has one."""
    if isinstance(type_code, str):
        return type_code.lower()
    name = getattr(type_code, "__name__", None) or getattr(type_code, "name", None)
    return name.lower() if isinstance(name, str) else ""
