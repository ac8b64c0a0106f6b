"""The adapter for MariaDB and MySQL: rows stream in binary in a read-only transaction with limits set by us."""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
import pymysql
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from executor.adapters.base import (
    BATCH_BYTES,
    BATCH_ROWS,
    Adapter,
    Estimate,
    Finding,
    Rows,
    Session,
    all_connections_lent,
)
from executor.adapters.interrupt import Interrupter
from executor.adapters.mysql_address import MySQLAddress, address_of
from executor.adapters.mysql_columns import MySQLColumns
from executor.adapters.mysql_errors import INTERRUPTED, STOPPED, classified, number_of
from executor.adapters.mysql_link import MySQLLink, MySQLStream, aside, is_running, kill
from executor.adapters.mysql_plan import estimate_of
from executor.adapters.mysql_role import examine_user
from executor.adapters.mysql_schema import read_schema
from executor.adapters.mysql_wire import MySQLWire
from executor.errors import ErrorCode, ExecutorError, StatementFailed
from executor.sessions import variable
from executor.source_schema import SourceSchema
from executor.sources import MySQLSource
from executor.timers import Timers

_POOL_WAIT_S = 5.0
_RECYCLE_S = 1800
_EXPLAIN_JSON = "EXPLAIN FORMAT=JSON "


_ROOM = "SELECT @@global.max_connections, @@session.max_user_connections"
"""Connections that the server takes, and of those this user's; 0 is no bound."""


class MySQLSession(Session):
    """One connection in a read-only transaction."""

    def __init__(self, link: MySQLLink, timers: Timers, *, timeout_s: float) -> None:
        self._link = link
        self._timeout_s = timeout_s
        # The server's own timeout is the first; ours reaches what that leaves out (MySQL's is for SELECT only).
        self._interrupter = Interrupter(link.kill, timeout_s=timeout_s, timers=timers)
        self._stream: MySQLStream | None = None
        self._has_run = False
        self._token = secrets.token_hex(6)
        self.is_clean = True
        self._own_settings: Mapping[str, str] = {}
        link.begin(self._token, timeout_s)

    @property
    def query_id(self) -> str | None:
        """``connection:token``: the server's connection, and this session among all it ever serves."""
        return f"{self._link.connection_id}:{self._token}"

    def run(self, sql: str) -> Rows:
        """See `Session.run`. Only one query, or one EXPLAIN that does not run what it explains."""
        if not sql.strip():
            raise StatementFailed(ErrorCode.STATEMENT_FAILED, "There is no statement.")
        if self._has_run:
            self._begin_again()
        self._has_run = True
        stream = self._start(sql)
        with self._explained():
            columns = MySQLColumns(stream.fields)
        return Rows(columns.schema(), self._batches(stream, columns))

    def explain(self, sql: str) -> Estimate:
        """See `Session.explain`. The cost is the rows that the plan's tables are expected to give, loops counted.

        Reads no row of a table, but for one looked up by a key; the server computes constants while it plans.
        """
        stream = self._start(f"{_EXPLAIN_JSON}{sql}")
        with self._explained():
            columns = MySQLColumns(stream.fields)
            cells = columns.batch(stream.next(1, BATCH_BYTES)).column(0).to_pylist()
            stream.drain()
        return estimate_of(str(cells[0]))

    def take_on(self, settings: Mapping[str, str]) -> None:
        """See `Session.take_on`: as user variables, which end when the connection is reset."""
        self._own_settings = dict(settings)
        self._link.set_variables({variable(name): value for name, value in settings.items()})

    def cancel(self) -> None:
        """See `Session.cancel`."""
        self._interrupter.cancel()

    def close(self) -> None:
        """Ends the statement and the transaction; `is_clean` says whether the connection can be lent again."""
        try:
            self._end_stream()
            self._interrupter.close()
            self._link.end()
        except (pymysql.Error, ExecutorError, OSError):
            self.is_clean = False
        finally:
            self._interrupter.close()

    def _start(self, sql: str) -> MySQLStream:
        self._interrupter.start()
        with self._explained():
            self._stream = self._link.start(sql + self._ending)
        return self._stream

    def _batches(self, stream: MySQLStream, columns: MySQLColumns) -> Iterator[pa.RecordBatch]:
        while not stream.is_ended:
            with self._explained():
                payloads = stream.next(BATCH_ROWS, BATCH_BYTES)
                batch = columns.batch(payloads)
            if payloads:
                yield batch

    def _begin_again(self) -> None:
        self._end_stream()
        self._link.end()
        self._link.begin(self._token, self._timeout_s)
        if self._own_settings:
            self.take_on(self._own_settings)

    def _end_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None and not stream.is_ended:
            self._link.kill()
            try:
                stream.drain()
            except pymysql.Error as error:
                if number_of(error) not in STOPPED:
                    raise

    @contextmanager
    def _explained(self) -> Generator[None]:
        """Looks first at whether the statement had to stop: the server calls some that it stopped a success."""
        try:
            yield
        except pymysql.Error as error:
            if self._interrupter.was_cancelled or number_of(error) == INTERRUPTED:
                self._interrupter.check()
            raise
        self._interrupter.check()


class MySQLAdapter(Adapter):
    """One MariaDB or MySQL database in one worker process: a pool of connections, made when they are first needed."""

    def __init__(self, name: str, config: MySQLSource) -> None:
        self._name = name
        self._config = config
        self._timers = Timers()
        self._pool = QueuePool(
            lambda: MySQLLink(self._address()),  # type: ignore[arg-type,return-value] # only close() is used
            pool_size=config.max_running,
            max_overflow=0,
            timeout=_POOL_WAIT_S,
            recycle=_RECYCLE_S,
            reset_on_return=None,
        )

    @contextmanager
    def session(self, *, timeout_s: float, name: str = "") -> Generator[Session]:
        """See `Adapter.session`."""
        lent, session = self._open(timeout_s)
        try:
            yield session
        finally:
            session.close()
            if not session.is_clean:
                lent.invalidate()
            lent.close()

    def inspect(self) -> SourceSchema:
        """See `Adapter.inspect`."""
        address = self._address()
        with self._aside(address) as wire:
            return read_schema(self._name, wire, address.database, self._config.schemas or (address.database,))

    def data_versions(self) -> Mapping[tuple[str, str], str]:
        """See `Adapter.data_versions`: when each table was last written, as far as the server remembers."""
        address = self._address()
        with self._aside(address) as wire:
            told = wire.rows(
                "SELECT TABLE_SCHEMA, TABLE_NAME, UPDATE_TIME FROM information_schema.TABLES"
                " WHERE TABLE_SCHEMA IN %(schemas)s AND UPDATE_TIME IS NOT NULL",
                {"schemas": self._config.schemas or (address.database,)},
            )
        return {(schema, name): str(at) for schema, name, at in told}

    def classify(self, error: BaseException) -> ExecutorError:
        """See `Adapter.classify`."""
        if isinstance(error, ExecutorError):
            return error
        if isinstance(error, PoolTimeout):
            return all_connections_lent(self._name)
        return classified(self._name, error)

    def stop(self, query_id: str) -> bool:
        """See `Adapter.stop`. Ends the connection, if it still runs a statement of that session: its worker is dead."""
        connection, _, token = query_id.partition(":")
        if not (connection.isdigit() and token):
            return False
        with aside(self._address()) as wire:
            return kill(wire, int(connection), token, connection_too=True)

    def runs(self, query_id: str) -> bool:
        """See `Adapter.runs`."""
        connection, _, token = query_id.partition(":")
        if not (connection.isdigit() and token):
            return False
        with aside(self._address()) as wire:
            return is_running(wire, int(connection), token)

    def probe(self) -> list[Finding]:
        """See `Adapter.probe`."""
        try:
            address = self._address()
            with self._aside(address) as wire:
                return examine_user(self._name, wire, self._config.schemas or (address.database,))
        except (pymysql.Error, ExecutorError) as error:
            failed = self.classify(error)
            return [Finding("error", failed.message, failed.hint)]

    def most_connections(self) -> int | None:
        """See `Adapter.most_connections`."""
        with self._aside(self._address()) as wire:
            bounds = [int(str(value)) for value in wire.rows(_ROOM)[0]]
        return min(bound for bound in bounds if bound > 0)

    def close(self) -> None:
        """See `Adapter.close`."""
        self._pool.dispose()

    def _address(self) -> MySQLAddress:
        return address_of(self._name, self._config)

    def _open(self, timeout_s: float) -> tuple[PoolProxiedConnection, MySQLSession]:
        """A session on a pooled connection; beginning its transaction shows whether the connection still lives."""
        while True:
            lent = self._pool.connect()
            link = lent.dbapi_connection
            assert isinstance(link, MySQLLink)  # noqa: S101 # what the pool makes; for the type checker
            was_used = "used" in lent.info
            lent.info["used"] = True
            try:
                return lent, MySQLSession(link, self._timers, timeout_s=timeout_s)
            except BaseException as error:
                lent.invalidate()
                lent.close()
                if not (was_used and isinstance(error, pymysql.Error)):
                    raise

    @contextmanager
    def _aside(self, address: MySQLAddress) -> Generator[MySQLWire]:
        """A connection of its own for questions of ours, read-only."""
        with aside(address) as wire:
            wire.query("SET SESSION TRANSACTION READ ONLY")
            wire.query("SET SESSION sql_mode = '', SESSION sql_quote_show_create = 1")  # views are read by their quotes
            yield wire
