"""The adapter for SQLite files: opened read-only, behind an authorizer that lets a statement read tables only."""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import stat
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from shlex import quote as quoted
from urllib.parse import quote

import pyarrow as pa
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
    file_versions,
)
from executor.adapters.interrupt import Interrupter
from executor.adapters.sqlite_authorizer import Rule, guarded, tables_read
from executor.adapters.sqlite_errors import HEAP_BYTES, MAX_CELL_BYTES, classified, is_in_wal_mode, unavailable
from executor.adapters.sqlite_functions import add_functions
from executor.adapters.sqlite_plan import estimate_of
from executor.adapters.sqlite_schema import read_schema
from executor.adapters.sqlite_values import Cell, WideningRows
from executor.errors import ErrorCode, ExecutorError, StatementFailed
from executor.source_schema import SourceSchema
from executor.sources import SQLiteSource
from executor.timers import Timers

BUSY_S = 5.0
"""Seconds to wait for a lock of another program, or for a free connection."""
_FIRST_ROWS = 256
_COUNTED_ROWS = 1_000_000
_GROWTH = 16
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_CELL_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1_000_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 1_000_000,  # views in views in views: each one is compiled into its reader
    # text times pattern is the time that LIKE and GLOB can take, and they, too, cannot be stopped in their middle
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
}
"""https://sqlite.org/limits.html; what is not here (depth, columns, compounds, arguments) is low enough by default."""
_PROGRESS_STEPS = 20_000  # virtual machine steps between two looks at the deadline: about a millisecond


class SQLiteSession(Session):
    """One connection to the file, lent to one statement."""

    def __init__(self, connection: sqlite3.Connection, only_reads: Rule, timers: Timers, *, timeout_s: float) -> None:
        self._connection = connection
        self._only_reads = only_reads
        self._interrupter = Interrupter(connection.interrupt, timeout_s=timeout_s, timers=timers)
        self._cursor: sqlite3.Cursor | None = None
        connection.set_progress_handler(self._has_to_stop, _PROGRESS_STEPS)

    @property
    def query_id(self) -> str | None:
        """None: the database runs in this process."""
        return None

    @property
    def is_clean(self) -> bool:
        """Whether the next statement may have this connection."""
        return not self._connection.in_transaction

    def run(self, sql: str) -> Rows:
        """See `Session.run`. Text that is not UTF-8 comes with U+FFFD in place of each wrong byte."""
        self._interrupter.start()
        with self._stop_explained():
            self._cursor = self._connection.execute(sql)
            first_rows = _first_rows(self._cursor)
        told = self._cursor.description
        if told is None:  # nothing, or a statement that had nothing to do (REINDEX without an index)
            raise StatementFailed(ErrorCode.STATEMENT_FAILED, "Only statements that read tables may run here.")
        making = WideningRows([str(d[0]) for d in told])
        first = making.batch(first_rows)
        return Rows(first.schema, self._batches(self._cursor, making, first))

    def explain(self, sql: str) -> Estimate:
        """See `Session.explain`. The plan has no numbers: they are made of the sizes of the tables in it."""
        self._interrupter.start()
        with self._stop_explained(), tables_read(self._connection, self._only_reads) as tables:
            told = self._connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
        sizes = {name.lower(): self._size(name) for name in tables}
        largest = max(sizes.values(), default=1.0)
        # The plan calls a table by its alias, which may be any of those that are read.
        return estimate_of(
            [(int(id_), int(parent), str(words)) for id_, parent, _, words in told],
            lambda name: sizes.get(name.lower(), largest),
        )

    def _size(self, table: str) -> float:
        """About the number of rows: the last rowid, which is found without a scan; of a view or the like, 1."""
        quoted = table.replace('"', '""')
        try:
            row = self._connection.execute(f'SELECT max(rowid) FROM main."{quoted}"').fetchone()  # noqa: S608 # quoted
        except sqlite3.Error:  # WITHOUT ROWID, or a view: counted, up to a bound
            told = f'SELECT count(*) FROM (SELECT 1 FROM main."{quoted}" LIMIT {_COUNTED_ROWS})'  # noqa: S608 # quoted
            with contextlib.suppress(sqlite3.Error):
                return float(self._connection.execute(told).fetchone()[0])
            return float(_COUNTED_ROWS)
        return float(row[0]) if row is not None and isinstance(row[0], int) else 1.0

    def cancel(self) -> None:
        """See `Session.cancel`."""
        self._interrupter.cancel()

    def close(self) -> None:
        """Ends the statement; the connection is clean afterwards."""
        self._interrupter.close()
        if self._cursor is not None:
            self._cursor.close()
        self._connection.set_progress_handler(None, 0)

    def _batches(self, cursor: sqlite3.Cursor, making: WideningRows, first: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        batch = first
        while batch.num_rows:
            yield batch
            row_bytes = max(1, batch.nbytes // batch.num_rows)
            with self._stop_explained():
                # by what the last rows took, and growing step by step: the next ones may be larger
                wanted = min(BATCH_ROWS, BATCH_BYTES // row_bytes, _GROWTH * batch.num_rows)
                rows = cursor.fetchmany(max(1, wanted))
            batch = making.batch(rows)

    def _has_to_stop(self) -> int:
        return int(self._interrupter.was_cancelled or self._interrupter.is_late)

    @contextmanager
    def _stop_explained(self) -> Generator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_INTERRUPT:
                self._interrupter.check()
            raise
        self._interrupter.check()


def _first_rows(cursor: sqlite3.Cursor) -> list[tuple[Cell, ...]]:
    """Up to `_FIRST_ROWS` rows, in steps that grow: nothing is known of their size, and cells may be large."""
    rows: list[tuple[Cell, ...]] = []
    size, step = 0, 1
    while step and size < BATCH_BYTES:
        more = cursor.fetchmany(step)
        rows += more
        if len(more) < step:
            break
        size += sum(len(cell) for row in more for cell in row if isinstance(cell, str | bytes))
        step = min(4 * step, _FIRST_ROWS - len(rows))
    return rows


class SQLiteAdapter(Adapter):
    """One SQLite file in one worker process: a pool of read-only connections to it."""

    def __init__(self, name: str, config: SQLiteSource) -> None:
        self._name = name
        self._path = config.path
        self._timers = Timers()
        self._pool = QueuePool(
            self._connect,  # type: ignore[arg-type] # sqlite3's stubs miss what SQLAlchemy's protocol spells out
            pool_size=config.max_running,
            max_overflow=0,
            timeout=BUSY_S,
            reset_on_return=None,
        )

    @contextmanager
    def session(self, *, timeout_s: float, name: str = "") -> Generator[Session]:
        """See `Adapter.session`."""
        lent = self._lend()
        session: SQLiteSession | None = None
        try:
            connection, only_reads = guarded(lent)
            session = SQLiteSession(connection, only_reads, self._timers, timeout_s=timeout_s)
            yield session
        finally:
            if session is not None:
                session.close()
            if session is None or not session.is_clean:
                lent.invalidate()
            lent.close()

    def inspect(self) -> SourceSchema:
        """See `Adapter.inspect`. Uses a connection of its own: sessions may not read ``sqlite_master``."""
        connection = self._open()
        try:
            return read_schema(self._name, connection)
        finally:
            connection.close()

    def data_versions(self) -> Mapping[tuple[str, str], str]:
        """See `Adapter.data_versions`: the file's, and that of its write-ahead log, for all tables."""
        return {("", ""): file_versions(self._path, self._path.with_name(f"{self._path.name}-wal"))}

    def classify(self, error: BaseException) -> ExecutorError:
        """See `Adapter.classify`."""
        if isinstance(error, ExecutorError):
            return error
        if isinstance(error, PoolTimeout):
            return all_connections_lent(self._name)
        return classified(self._path, error)

    def stop(self, query_id: str) -> bool:
        """False: a statement ends with its process."""
        return False

    def runs(self, query_id: str) -> bool:
        """False: see `Adapter.runs`."""
        return False

    def probe(self) -> list[Finding]:
        """See `Adapter.probe`."""
        try:
            self._open().close()
        except (sqlite3.Error, ExecutorError) as error:
            failed = self.classify(error)
            return [Finding("error", failed.message, failed.hint)]
        return [Finding("ok", f"{self._path.name} opens read-only."), *self._about_the_file()]

    def close(self) -> None:
        """See `Adapter.close`."""
        self._pool.dispose()

    def _about_the_file(self) -> list[Finding]:
        """What the file system would let us do; statements cannot, whatever it says."""
        name, folder = self._path.name, self._path.absolute().parent
        found: list[Finding] = []
        if os.access(self._path, os.W_OK):
            told = f"This user may write {name}; statements may not: it is opened read-only, behind an authorizer."
            found.append(Finding("ok", told))
        if folder.stat().st_mode & 0o002 and not folder.stat().st_mode & stat.S_ISVTX:
            told = f"Every user of this machine may replace {name}: its folder is writable for all."
            found.append(Finding("warning", told, f"chmod o-w {quoted(str(folder))}"))
        if is_in_wal_mode(self._path):
            told = f"{name} is in WAL mode: whoever reads it needs its -shm file, or a folder to make it in."
            found.append(Finding("ok", told))
        return found

    def _lend(self) -> PoolProxiedConnection:
        lent = self._pool.connect()
        if lent.info.get("file") != self._file_id():  # replaced by another file since: a new one must be opened
            lent.invalidate()
            lent.close()
            lent = self._pool.connect()
        lent.info["file"] = self._file_id()
        return lent

    def _file_id(self) -> tuple[int, int] | None:
        try:
            seen = os.stat(self._path)  # noqa: PTH116 # one call for both numbers
        except OSError:
            return None
        return (seen.st_dev, seen.st_ino)

    def _connect(self) -> sqlite3.Connection:
        connection = self._open()
        add_functions(connection)
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        return connection

    def _open(self) -> sqlite3.Connection:
        if not self._path.is_file():
            raise unavailable(self._path, sqlite3.SQLITE_CANTOPEN)
        connection = sqlite3.connect(
            f"file:{quote(str(self._path.absolute()))}?mode=ro",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=0,
        )
        try:
            connection.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
            connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA cell_size_check=ON")
            connection.execute("PRAGMA mmap_size=0")  # a file that its writer cuts short would kill the process
            connection.execute("PRAGMA temp_store=FILE")
            connection.execute(f"PRAGMA hard_heap_limit={HEAP_BYTES}").fetchall()
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        except BaseException:
            connection.close()
            raise
        return connection
