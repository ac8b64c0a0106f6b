"""The adapter for DuckDB: a database file opened read-only, or plain files as tables of a database in memory."""

# duckdb, pyarrow and their neighbours ship no complete types: what they return is unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

import duckdb
import pyarrow as pa

from executor.adapters.base import (
    BATCH_ROWS,
    MAY_HAVE_CHANGED,
    Adapter,
    Estimate,
    Finding,
    Rows,
    Session,
    file_versions,
)
from executor.adapters.duckdb_columns import DuckDBColumns
from executor.adapters.duckdb_errors import hint_of, told_by
from executor.adapters.duckdb_files import fixed_part, unavailable
from executor.adapters.duckdb_instance import DuckDBInstance
from executor.adapters.duckdb_memory import PROCESS
from executor.adapters.duckdb_schema import read_schema
from executor.adapters.interrupt import Interrupter
from executor.adapters.plans import PlanNode, estimate
from executor.errors import ErrorCode, ExecutorError, SourceFailed, StatementFailed
from executor.source_schema import SourceSchema
from executor.sources import DuckDBSource
from executor.timers import Later, Timers

IDLE_S = 5.0
"""Seconds without a session after which the file is closed, so that its owner can write."""

_PLAIN_EXPLAIN = re.compile(r"\s*explain\s+(\(\s*format\s+\w+\s*\)\s*)?(select|with|from|values)\b", re.IGNORECASE)
_STREAM_ERRORS = (duckdb.Error, pa.ArrowException, OSError)
"""A result that streams through Arrow raises pyarrow's errors, which keep the message and lose DuckDB's class."""


class DuckDBSession(Session):
    """One cursor on the instance, in a read-only transaction."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, timers: Timers, *, timeout_s: float) -> None:
        self._cursor = cursor
        self._interrupter = Interrupter(cursor.interrupt, timeout_s=timeout_s, timers=timers)
        self._reader: pa.RecordBatchReader | None = None
        cursor.execute("BEGIN TRANSACTION READ ONLY").complete()

    @property
    def query_id(self) -> str | None:
        """None: the database runs in this process."""
        return None

    def run(self, sql: str) -> Rows:
        """See `Session.run`. Only one SELECT, or one EXPLAIN that does not run what it explains."""
        self._interrupter.start()
        self._end_result()
        with self._stop_explained():
            statements = self._cursor.extract_statements(sql)
            if len(statements) != 1:
                raise StatementFailed(ErrorCode.STATEMENT_FAILED, f"Give one statement, not {len(statements)}.")
            kind = statements[0].type
            explains = kind == duckdb.StatementType.EXPLAIN and _PLAIN_EXPLAIN.match(sql)
            if kind != duckdb.StatementType.SELECT and not explains:
                raise StatementFailed(ErrorCode.STATEMENT_FAILED, "Only statements that read tables may run here.")
            found = self._cursor.sql(sql)
            columns = DuckDBColumns(found.columns, found.types)
            if columns.has_casts:
                found = self._cursor.sql(columns.cast(sql))
            reader = self._reader = found.to_arrow_reader(BATCH_ROWS)
        return Rows(columns.schema(reader.schema), self._batches(reader, columns))

    def explain(self, sql: str) -> Estimate:
        """See `Session.explain`. The cost is the rows that the plan's steps are expected to hand on."""
        self._interrupter.start()
        with self._stop_explained():
            row = self._cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}").fetchone()
        (plan,) = json.loads(row[1]) if row is not None else ({},)
        return estimate(_step(plan))

    def cancel(self) -> None:
        """See `Session.cancel`."""
        self._interrupter.cancel()

    def close(self) -> None:
        """Ends the statement, the transaction and the cursor."""
        self._interrupter.close()
        with contextlib.suppress(*_STREAM_ERRORS):  # an interrupted result may refuse to be ended twice
            self._end_result()
        with contextlib.suppress(duckdb.Error):  # as above; closing the cursor ends the transaction in any case
            self._cursor.rollback()
        self._cursor.close()

    def _end_result(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
            self._cursor.abort()

    def _batches(self, reader: pa.RecordBatchReader, columns: DuckDBColumns) -> Iterator[pa.RecordBatch]:
        while True:
            with self._stop_explained():
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
            if batch.num_rows:
                yield columns.batch(batch)

    @contextmanager
    def _stop_explained(self) -> Generator[None]:
        try:
            yield
        except _STREAM_ERRORS:
            self._interrupter.check()
            raise
        self._interrupter.check()


def _step(told: dict[str, Any]) -> PlanNode:
    """A step of DuckDB's plan in JSON."""
    about: dict[str, Any] = told.get("extra_info") or {}
    rows = str(about.get("Estimated Cardinality", ""))
    of = about.get("Table") or about.get("Function") or ""
    words = f"{told.get('name', '')} {of}".strip()
    return PlanNode(
        words, float(rows) if rows.isdigit() else None, tuple(_step(child) for child in told.get("children") or ())
    )


def _about(path: Path) -> list[Finding]:
    """What the file system would let us and others do with a file or folder; statements cannot write in any case."""
    found: list[Finding] = []
    if os.access(path, os.W_OK):
        found.append(Finding("ok", f"This user may write {path.name}; statements may not: it is opened read-only."))
    folder = path.absolute() if path.is_dir() else path.absolute().parent
    mode = folder.stat().st_mode
    if mode & 0o002 and not mode & stat.S_ISVTX:
        told = f"Every user of this machine may replace {path.name}: its folder is writable for all."
        found.append(Finding("warning", told, f"chmod o-w {quote(str(folder))}"))
    return found


class DuckDBAdapter(Adapter):
    """One DuckDB source in one worker process: one instance while it is in use, a cursor for each session."""

    def __init__(self, name: str, config: DuckDBSource, *, idle_s: float = IDLE_S) -> None:
        self._name = name
        self._config = config
        self._idle_s = idle_s
        self._timers = Timers()
        self._lock = threading.Lock()
        self._instance: DuckDBInstance | None = None
        self._users: Counter[DuckDBInstance] = Counter()
        self._closing: Later | None = None
        self._idle_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the file is held by this process now."""
        return self._instance is not None

    @contextmanager
    def session(self, *, timeout_s: float, name: str = "") -> Generator[Session]:
        """See `Adapter.session`. DuckDB has no timeout of its own: a thread of the session interrupts it."""
        with self._lent() as instance, PROCESS.grown_by(self._config.memory_limit_mb):
            session = DuckDBSession(instance.cursor(), self._timers, timeout_s=timeout_s)
            try:
                yield session
            finally:
                session.close()

    def inspect(self) -> SourceSchema:
        """See `Adapter.inspect`."""
        with self._lent() as instance:
            cursor = instance.cursor()
            try:
                return read_schema(self._name, cursor, views_are_tables=bool(self._config.files))
            finally:
                cursor.close()

    def data_versions(self) -> Mapping[tuple[str, str], str]:
        """See `Adapter.data_versions`: the files', for all tables; nothing where a pattern names them."""
        paths = self._paths()
        if any(path.is_dir() for path in paths):
            return {}
        return {("", ""): file_versions(*paths, *(path.with_name(f"{path.name}.wal") for path in paths))}

    def classify(self, error: BaseException) -> ExecutorError:
        """See `Adapter.classify`."""
        if isinstance(error, ExecutorError):
            return error
        if isinstance(error, _STREAM_ERRORS) and (changed := self._changed()) is not None:
            return changed
        message = self._scrubbed(told_by(error))
        if isinstance(error, (duckdb.OutOfMemoryException, MemoryError)):  # MemoryError: Python's and Arrow's
            return StatementFailed(
                ErrorCode.STATEMENT_FAILED,
                f"The statement needs more than the {self._config.memory_limit_mb} MB this source may use.",
                hint="Aggregate or filter earlier, sort fewer rows, or raise memory_limit_mb.",
            )
        if isinstance(error, duckdb.PermissionException):
            return StatementFailed(ErrorCode.STATEMENT_FAILED, "Statements may not reach files or the network here.")
        if isinstance(error, (duckdb.FatalException, duckdb.InternalException)):
            self._forget()
            return SourceFailed(ErrorCode.SOURCE_UNAVAILABLE, f"DuckDB gave up on source {self._name}: {message}")
        if isinstance(error, (duckdb.IOException, duckdb.ConnectionException, duckdb.HTTPException)):
            return SourceFailed(ErrorCode.SOURCE_UNAVAILABLE, f"Source {self._name} cannot be read: {message}")
        hint = MAY_HAVE_CHANGED if isinstance(error, duckdb.CatalogException) else hint_of(error)
        return StatementFailed(ErrorCode.STATEMENT_FAILED, message, hint=hint)

    def stop(self, query_id: str) -> bool:
        """False: a statement ends with its process."""
        return False

    def runs(self, query_id: str) -> bool:
        """False: see `Adapter.runs`."""
        return False

    def probe(self) -> list[Finding]:
        """See `Adapter.probe`."""
        try:
            with self._lent():
                found = [Finding("ok", f"Source {self._name} opens read-only.")]
        except (duckdb.Error, ExecutorError) as error:
            failed = self.classify(error)
            return [Finding("error", failed.message, failed.hint)]
        return found + [finding for path in self._paths() for finding in _about(path)]

    def close(self) -> None:
        """See `Adapter.close`."""
        with self._lock:
            if self._closing is not None:
                self._closing.cancel()
                self._closing = None
            if self._instance is not None:
                self._instance.close()
                self._instance = None

    @contextmanager
    def _lent(self) -> Generator[DuckDBInstance]:
        with self._lock:
            if self._closing is not None:
                self._closing.cancel()
                self._closing = None
            if self._instance is None:
                self._instance = DuckDBInstance.open(self._name, self._config)
            instance = self._instance
            self._users[instance] += 1
        try:
            yield instance
        finally:
            with self._lock:
                self._users[instance] -= 1
                if not self._users[instance]:
                    del self._users[instance]
                    if instance is not self._instance:
                        instance.close()
                    else:
                        self._idle_at = time.monotonic()
                        self._closing = self._timers.call_later(self._idle_s, self._close_idle)

    def _close_idle(self) -> None:
        with self._lock:
            # a call that was already being made when a statement cancelled it finds a younger idleness
            is_idle = self._instance not in self._users and time.monotonic() - self._idle_at >= self._idle_s
            if is_idle and self._instance is not None:
                self._instance.close()
                self._instance = None
                self._closing = None

    def _forget(self) -> None:
        """Leaves a broken instance to its users, the last of whom closes it, and opens a new one for the next."""
        with self._lock:
            if self._instance is not None and self._instance not in self._users:
                self._instance.close()
            self._instance = None

    def _changed(self) -> SourceFailed | None:
        """Why a statement over files may have failed, if one of them is another by now; the next one reads it anew."""
        instance = self._instance
        path = instance.changed() if instance is not None else None
        if path is None:
            return None
        self._forget()
        told = "has changed" if path.exists() else "has gone"
        return unavailable(f"{path.name} {told} since it was opened.", f"Try again. {MAY_HAVE_CHANGED}")

    def _paths(self) -> tuple[Path, ...]:
        """What is read, as far as it can be told without opening anything: a pattern's folder stands for its files."""
        if self._config.path is not None:
            return (self._config.path,)
        return tuple(map(fixed_part, self._config.files))

    def _scrubbed(self, message: str) -> str:
        # What follows the first line shows SQL as it ran, with the policy's parts, and names of other tables.
        message = message.split("\n", 1)[0]
        for path in self._paths():
            message = message.replace(str(path.absolute()), path.name).replace(str(path), path.name)
            message = message.replace(f"{path.absolute().parent}{os.sep}", "")
        return message
