"""DuckDB over stored results: their rows become tables of a database in memory, whose doors are then closed.

Nothing but these tables can be read there: no file, no network, no extension, no variable of this process. What does
not fit into its memory is spilled. Knows no store and no jobs.
"""

# duckdb and pyarrow ship no complete types: what they return is unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from executor.adapters.duckdb import DuckDBSession
from executor.adapters.duckdb_errors import hint_of, told_by
from executor.adapters.duckdb_instance import DuckDBInstance
from executor.adapters.duckdb_memory import PROCESS
from executor.errors import ErrorCode, ExecutorError, StatementFailed
from executor.inputs import column_names
from executor.results.cells import as_text
from executor.timers import Timers

_THREADS = 2

StoredRows = tuple[pa.Schema, Iterator[pa.RecordBatch]]
"""The schema of a stored result and all its rows."""


@contextmanager
def results_session(
    results: Mapping[str, StoredRows],
    *,
    memory_mb: int,
    timeout_s: float,
    timers: Timers,
    check: Callable[[], None],
) -> Generator[DuckDBSession]:
    """A session whose tables are `results`, by name.

    Args:
        results: the rows; a table's columns are named by `column_names`.
        memory_mb: DuckDB's memory_limit.
        timeout_s: seconds until the statement is interrupted.
        timers: what interrupts it.
        check: called at every batch that is taken in; raises where the job is to stop.
    """
    with PROCESS.grown_by(memory_mb):
        readers = {name: _reader(schema, batches, check) for name, (schema, batches) in results.items()}
        instance = DuckDBInstance.of_rows(readers, memory_mb=memory_mb, threads=_THREADS)
        try:
            session = DuckDBSession(instance.cursor(), timers, timeout_s=timeout_s)
            try:
                yield session
            finally:
                session.close()
        finally:
            instance.close()


def classify_over_results(error: Exception, memory_mb: int) -> ExecutorError:
    """DuckDB's and Arrow's errors as ours."""
    if isinstance(error, ExecutorError):
        return error
    if isinstance(error, (duckdb.OutOfMemoryException, MemoryError)):
        return StatementFailed(
            ErrorCode.STATEMENT_FAILED,
            f"The statement needs more than the {memory_mb} MB that one over stored results may use.",
            hint="Aggregate or filter earlier, or raise [executor] query_result_memory_mb.",
        )
    if isinstance(error, duckdb.PermissionException):
        return StatementFailed(ErrorCode.STATEMENT_FAILED, "Statements may not reach files or the network here.")
    return StatementFailed(ErrorCode.STATEMENT_FAILED, told_by(error).split("\n", 1)[0], hint=hint_of(error))


def _reader(schema: pa.Schema, batches: Iterator[pa.RecordBatch], check: Callable[[], None]) -> pa.RecordBatchReader:
    held = pa.schema(
        [
            pa.field(name, field.type if _is_held(field.type) else pa.string())
            for name, field in zip(column_names(schema.names), schema, strict=True)
        ]
    )

    def renamed() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            check()
            columns = [c if _is_held(c.type) else as_text(c).cast(pa.string()) for c in batch.columns]
            yield pa.RecordBatch.from_arrays(columns, schema=held)

    return pa.RecordBatchReader.from_batches(held, renamed())


def _is_held(kind: pa.DataType) -> bool:
    """Whether DuckDB has a type for it; what it has not is text there, as a page shows it."""
    return not (pa.types.is_decimal256(kind) or pa.types.is_float16(kind) or pa.types.is_union(kind))
