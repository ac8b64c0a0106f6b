"""The adapter for ClickHouse: a server over HTTP, or chDB in this process; rows come as an Arrow stream from both."""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import re
import secrets
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from executor.adapters.base import Adapter, Estimate, Finding, Rows, Session
from executor.adapters.batches import split
from executor.adapters.chdb_engine import PROCESS, ChDBConnection, ChDBError
from executor.adapters.clickhouse_columns import ClickHouseColumns
from executor.adapters.clickhouse_embedded import EmbeddedLink
from executor.adapters.clickhouse_errors import CANCELLED, classified, code_of
from executor.adapters.clickhouse_link import ClickHouseLink, kill_sql, running_sql
from executor.adapters.clickhouse_plan import estimate_of
from executor.adapters.clickhouse_role import examine_user
from executor.adapters.clickhouse_schema import Ask, read_schema
from executor.adapters.clickhouse_server import ClickHouseServer, ServerError, ServerLink
from executor.adapters.interrupt import Interrupter
from executor.errors import ErrorCode, ExecutorError, StatementFailed
from executor.source_schema import SourceSchema
from executor.sources import ClickHouseSource
from executor.timers import Timers

_EXPLAIN = re.compile(
    r"\s*explain(?:\s+(?:ast|syntax|query\s+tree|plan|pipeline|estimate))?\s+(?=select|with|\()", re.IGNORECASE
)
_PLAN = [("explain", "String")]
_ESTIMATE = [("database", "String"), ("table", "String"), ("parts", "UInt64"), ("rows", "UInt64"), ("marks", "UInt64")]
_ERRORS = (*ChDBError, *ServerError, pa.ArrowException)


class ClickHouseSession(Session):
    """One connection whose settings nobody can change any more."""

    def __init__(self, link: ClickHouseLink, token: str | None, timers: Timers, *, timeout_s: float) -> None:
        self._link = link
        self._token = token
        # ClickHouse's own timeout is the first; it looks between blocks, and a block may take long.
        self._interrupter = Interrupter(link.kill, timeout_s=timeout_s, timers=timers)
        self._coming: Iterator[pa.RecordBatch] | None = None

    @property
    def query_id(self) -> str | None:
        """The mark of this session's statements on the server; None where the database runs in this process."""
        return self._token

    def run(self, sql: str) -> Rows:
        """See `Session.run`. Only one query, or one EXPLAIN: what can stand where a table can."""
        if not sql.strip():
            raise StatementFailed(ErrorCode.STATEMENT_FAILED, "There is no statement.")
        self._interrupter.start()
        self._end_result()
        explains = _EXPLAIN.match(sql)
        with self._explained():
            if explains:
                return self._explained_rows(sql, sql[explains.end() :])
            columns = self._described(sql)
            coming = self._coming = self._link.stream(columns.exact(sql) + self._ending)
            first = next(coming, None)  # until here the statement may fail before it has a schema
        schema = columns.schema() if first is None else columns.batch(first).schema
        return Rows(schema, self._batches(first, coming, columns))

    def explain(self, sql: str) -> Estimate:
        """See `Session.explain`. The cost is the rows that are to be read of tables, and what joins make of them."""
        self._interrupter.start()
        with self._explained():
            self._link.check(sql)
            plan = self._link.ask(f"EXPLAIN PLAN json = 1, description = 1, actions = 1 {sql}")
            reads = self._link.ask(f"EXPLAIN ESTIMATE {sql}")
        rows = [(f"{schema}.{table}", float(most)) for schema, table, _, most, _ in reads]
        return estimate_of("\n".join(str(line) for (line,) in plan), rows)

    def cancel(self) -> None:
        """See `Session.cancel`."""
        self._interrupter.cancel()

    def close(self) -> None:
        """Ends the statement and the connection."""
        self._interrupter.close()
        try:
            with contextlib.suppress(*_ERRORS):  # a statement that was stopped may refuse to be ended twice
                self._end_result()
        finally:
            self._link.close()

    def _described(self, sql: str) -> ClickHouseColumns:
        """What DESCRIBE says of `sql` as a sub-query, which runs nothing: no other statement can stand there."""
        self._link.check(sql)
        return ClickHouseColumns([(str(row[0]), str(row[1])) for row in self._link.ask(f"DESCRIBE TABLE ({sql}\n)")])

    def _explained_rows(self, sql: str, query: str) -> Rows:
        """What an EXPLAIN of `query` says, whole: chDB streams none."""
        self._described(query)
        answer = self._link.ask(sql)
        described = _ESTIMATE if answer and len(answer[0]) > 1 else _PLAN
        columns = ClickHouseColumns(described)
        arrays = [pa.array([row[i] for row in answer]) for i in range(len(described))]
        batch = columns.batch(pa.RecordBatch.from_arrays(arrays, names=[name for name, _ in described]))
        return Rows(batch.schema, split(batch))

    def _batches(
        self, first: pa.RecordBatch | None, coming: Iterator[pa.RecordBatch], columns: ClickHouseColumns
    ) -> Iterator[pa.RecordBatch]:
        batch = first
        while batch is not None:
            with self._explained():
                batches = list(split(columns.batch(batch)))
            yield from batches
            with self._explained():
                batch = next(coming, None)

    def _end_result(self) -> None:
        coming, self._coming = self._coming, None
        if isinstance(coming, Generator):
            coming.close()

    @contextmanager
    def _explained(self) -> Generator[None]:
        """Looks first at whether the statement had to stop."""
        try:
            yield
        except _ERRORS as error:
            if self._interrupter.was_cancelled or code_of(error) == CANCELLED:
                self._interrupter.check()
            raise
        self._interrupter.check()


class _Place(Protocol):
    """Where a source's ClickHouse is."""

    def link(self, token: str, timeout_s: float) -> AbstractContextManager[ClickHouseLink]: ...
    def aside(self) -> AbstractContextManager[Ask]: ...
    def close(self) -> None: ...


class _Embedded:
    """chDB over a folder."""

    def __init__(self, name: str, config: ClickHouseSource) -> None:
        assert config.path is not None  # noqa: S101 # the adapter looked
        self._name, self._config, self._path = name, config, config.path

    @contextmanager
    def link(self, token: str, timeout_s: float) -> Generator[ClickHouseLink]:
        """A connection of its own; the session closes it."""
        limits = {"memory_mb": self._config.memory_limit_mb, "threads": self._config.threads}
        with PROCESS.lent(self._name, self._path) as address:
            yield EmbeddedLink(address, token, timeout_s, **limits)

    @contextmanager
    def aside(self) -> Generator[Ask]:
        """A connection for questions of ours."""
        with PROCESS.lent(self._name, self._path) as address:
            connection = ChDBConnection(address, {"print_pretty_type_names": "0", "readonly": "1"})
            try:
                yield connection.rows
            finally:
                connection.close()

    def close(self) -> None:
        """Closes the folder, if nobody else has it."""
        PROCESS.close(self._path)


class _Server:
    """A server, connected to when it is first needed."""

    def __init__(self, name: str, config: ClickHouseSource) -> None:
        self._name, self._config = name, config
        self._lock = threading.Lock()
        self._server: ClickHouseServer | None = None

    @contextmanager
    def link(self, token: str, timeout_s: float) -> Generator[ClickHouseLink]:
        """A session's requests."""
        limits = {"memory_mb": self._config.memory_limit_mb, "threads": self._config.threads}
        yield ServerLink(self._connected(), token, timeout_s, **limits)

    @contextmanager
    def aside(self) -> Generator[Ask]:
        """Requests of ours."""
        server = self._connected()
        yield lambda sql: server.ask(sql, server.known({"print_pretty_type_names": "0"}))

    def close(self) -> None:
        """Closes every connection."""
        with self._lock:
            if self._server is not None:
                self._server.close()
                self._server = None

    def _connected(self) -> ClickHouseServer:
        with self._lock:
            if self._server is None:
                self._server = ClickHouseServer(self._name, self._config)
            return self._server


class ClickHouseAdapter(Adapter):
    """One ClickHouse source in one worker process."""

    def __init__(self, name: str, config: ClickHouseSource) -> None:
        self._name = name
        self._config = config
        self._timers = Timers()
        make: Callable[[str, ClickHouseSource], _Place] = _Server if config.path is None else _Embedded
        self._place = make(name, config)

    @contextmanager
    def session(self, *, timeout_s: float, name: str = "") -> Generator[Session]:
        """See `Adapter.session`."""
        token = secrets.token_hex(12)
        with self._place.link(token, timeout_s) as link:
            shown = token if self._config.path is None else None
            session = ClickHouseSession(link, shown, self._timers, timeout_s=timeout_s)
            try:
                yield session
            finally:
                session.close()

    def inspect(self) -> SourceSchema:
        """See `Adapter.inspect`."""
        default = self._database()
        schemas = self._config.schemas or ((default,) if self._config.url is not None else ())
        with self._place.aside() as ask:
            return read_schema(self._name, ask, default, schemas)

    def classify(self, error: BaseException) -> ExecutorError:
        """See `Adapter.classify`."""
        if isinstance(error, ExecutorError):
            return error
        return classified(self._name, error)

    def stop(self, query_id: str) -> bool:
        """See `Adapter.stop`."""
        if self._config.path is not None or not query_id.isalnum():
            return False
        with self._place.aside() as ask:
            return bool(ask(kill_sql(query_id)))

    def runs(self, query_id: str) -> bool:
        """See `Adapter.runs`."""
        if self._config.path is not None or not query_id.isalnum():
            return False
        with self._place.aside() as ask:
            return bool(ask(running_sql(query_id)))

    def probe(self) -> list[Finding]:
        """See `Adapter.probe`."""
        try:
            with self._place.aside() as ask:
                if self._config.path is not None:
                    ask("SELECT 1")
                    return [Finding("ok", f"Source {self._name} opens; its statements may read tables only.")]
                return examine_user(self._name, ask, self._database())
        except (*_ERRORS, ExecutorError) as error:
            failed = self.classify(error)
            return [Finding("error", failed.message, failed.hint)]

    def close(self) -> None:
        """See `Adapter.close`."""
        self._place.close()

    def _database(self) -> str:
        if self._config.url is None:
            return "default"
        return unquote(urlsplit(self._config.url).path.strip("/"))
