"""The write stream of a result: cuts batches into parts, counts, keeps the limits, publishes at the end.

A result that is small is written once, at its end. One thread writes. A timer puts a part in its place one second after
its first row came, even while the database is silent, so that what has arrived can be read. Knows no database and no
job rows.
"""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from executor.jobs import Limits, ResultSummary, Truncated
from executor.patience import Patience
from executor.results import PAGE_BYTES, PREVIEW_ROWS, manifest
from executor.results.cells import beyond_exact
from executor.results.columns import cast, cast_batch, result_columns, storable, union_schema, with_type_names
from executor.results.pages import PageRows
from executor.results.parts import Part, joined, write_part
from executor.results.places import Place
from executor.results.statistics import ColumnStatistics, bounded
from executor.timers import Later, Timers

FIRST_PART_ROWS = 1_000
PART_ROWS = 65_536
PART_BYTES = 8_000_000
FLUSH_S = 1.0
_HEAD_BYTES = 1_000_000
SMALL_BYTES = 65_536
"""Up to which a result whose rows all come within a second is one file."""


class StoredWriter:
    """A `executor.results.ResultWriter` into one folder of a place. A context manager; only `finish` completes it."""

    def __init__(
        self, place: Place, job_id: str, attempt: int, limits: Limits, timers: Timers, *, cap_rows: bool
    ) -> None:
        self._place = place
        self._folder = f"{job_id}/{attempt}"
        self._job_id = job_id
        self._attempt = attempt
        self._limits = limits
        self._cap_rows = cap_rows
        self._lock = threading.Lock()  # the writing thread and the timer
        self._timers = timers
        self._timer: Later | None = None
        self._failure: BaseException | None = None
        self._closed = False
        self._patience = Patience()
        self._rows = 0
        self._bytes = 0
        self._truncated: Truncated | None = None
        self._parts: list[Part] = []
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._declared: pa.Schema | None = None
        self._schema: pa.Schema | None = None
        self._wide: list[bool] = []
        self._statistics: list[ColumnStatistics] = []
        self._head: list[pa.RecordBatch] = []
        self._head_rows = 0
        self._head_bytes = 0
        self._first_page: list[list[Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            self._stop_timer()

    @property
    def rows(self) -> int:
        """Rows kept so far."""
        return self._rows

    @property
    def bytes(self) -> int:
        """Bytes kept so far, as Arrow holds them in memory."""
        return self._bytes

    @property
    def patience(self) -> Patience:
        """How long the place is being waited for, and was in all."""
        return self._patience

    @property
    def first_page(self) -> list[list[Any]]:
        """After `finish`: the first rows, at most `PREVIEW_ROWS` and `PAGE_BYTES`."""
        return self._first_page

    def start(self, schema: pa.Schema) -> None:
        """Tell the columns before the first row; used when no row comes."""
        with self._lock:
            if self._schema is None and not self._waiting:
                self._schema = self._declared = storable(_empty(schema)).schema

    def write(self, batch: pa.RecordBatch) -> bool:
        """Keep what fits of `batch`. False once a limit is reached.

        Raises:
            ResultFailed: ``store_full``, ``store_unavailable``.
        """
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._truncated is None:
                batch = storable(batch)
                if self._declared is not None:
                    batch = with_type_names(batch, self._declared)
                self._add(self._within_limits(batch))
                if self._waiting and self._timer is None:
                    self._start_timer()
            return self._truncated is None

    def finish(self) -> ResultSummary:
        """Write what is left, then the manifest, which makes the result complete.

        Raises:
            ResultFailed: ``store_full``, ``store_unavailable``.
        """
        with self._lock:
            if self._failure is not None:
                raise self._failure
            self._stop_timer()
            small = self._small()
            if small is None:
                self._flush()
            self._closed = True
            schema = self._schema if self._schema is not None else pa.schema([])
            preview = PageRows(PREVIEW_ROWS, PAGE_BYTES)
            preview.fill(cast_batch(batch, schema) for batch in self._head)
            self._first_page = preview.rows
            summary = ResultSummary(
                columns=result_columns(schema),
                row_count=self._rows,
                bytes=self._bytes,
                truncated=self._truncated,
                stats=bounded([s.stats() for s in self._statistics]),
            )
            known = manifest.Manifest(self._job_id, self._attempt, tuple(self._parts), schema, summary)
            with self._patience:
                known.save(_empty(schema) if small is None else small, self._wide, self._place, self._folder)
            return summary

    def _small(self) -> pa.RecordBatch | None:
        """All rows, counted, where they go into one file; None where they are many or some are kept already."""
        if self._parts or self._waiting_bytes > SMALL_BYTES:
            return None
        if self._waiting:
            return self._counted()[0]
        schema = self._schema if self._schema is not None else pa.schema([])
        self._settle(schema)
        return _empty(schema)

    def _within_limits(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        most_rows = self._limits.max_rows - self._rows
        if self._cap_rows and batch.num_rows > most_rows:
            self._truncated = Truncated("max_rows", self._limits.max_rows)
            batch = batch.slice(0, most_rows)
        most_bytes = self._limits.max_bytes - self._bytes
        if batch.nbytes > most_bytes:
            self._truncated = Truncated("max_bytes", self._limits.max_bytes)
            batch = batch.slice(0, _rows_within(batch, most_bytes))
        return batch

    def _add(self, batch: pa.RecordBatch) -> None:
        if self._waiting and not self._waiting[0].schema.equals(batch.schema, check_metadata=False):
            self._flush()
        if not batch.num_rows:
            if self._schema is None:
                self._schema = batch.schema
            return
        self._remember_head(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        start = 0
        while start < batch.num_rows:
            room = (PART_ROWS if self._parts else FIRST_PART_ROWS) - self._waiting_rows
            piece = batch.slice(start, room)
            fitting = _rows_within(piece, PART_BYTES - self._waiting_bytes)
            if fitting < piece.num_rows:
                piece = piece.slice(0, fitting if self._waiting else max(1, fitting))
            if piece.num_rows:
                self._waiting.append(piece)
                self._waiting_rows += piece.num_rows
                self._waiting_bytes += piece.nbytes
                start += piece.num_rows
            if piece.num_rows == room or start < batch.num_rows:
                self._flush()

    def _remember_head(self, batch: pa.RecordBatch) -> None:
        wanted = min(batch.num_rows, PREVIEW_ROWS - self._head_rows)
        if wanted <= 0 or self._head_bytes > _HEAD_BYTES:
            return
        head = batch.slice(0, wanted)
        if head.nbytes > _HEAD_BYTES:
            head = head.slice(0, max(1, _rows_within(head, _HEAD_BYTES)))
        self._head.append(head)
        self._head_rows += head.num_rows
        self._head_bytes += head.nbytes

    def _flush(self) -> None:
        self._stop_timer()
        if not self._waiting:
            return
        batch, wide = self._counted()
        with self._patience:
            if not self._parts:
                # what an earlier writer of this attempt left: the manifest first, which is what makes it count
                self._place.drop(manifest.path_of(self._folder))
                self._place.begin(self._folder)
            self._parts.append(write_part(self._place, self._folder, len(self._parts), batch, wide))

    def _counted(self) -> tuple[pa.RecordBatch, list[bool]]:
        """The rows that wait for their part, as one batch and its wide columns, taken into the summary."""
        batch = joined(self._waiting)
        self._waiting = []
        self._waiting_rows = self._waiting_bytes = 0
        wide = _wide_columns(batch)
        self._settle(batch.schema, wide)
        for statistics, column in zip(self._statistics, batch.columns, strict=True):
            statistics.add(cast(column, statistics.kind))
        return batch, wide

    def _settle(self, schema: pa.Schema, wide: Sequence[bool] = ()) -> None:
        """Take the schema of the next part into the union, and bring the statistics to the union's types."""
        union = schema
        if self._parts and self._schema is not None:
            self._wide = [a or b for a, b in zip(self._wide, wide, strict=True)] if wide else self._wide
            union = union_schema(self._schema, schema, self._wide)
        else:
            self._wide = list(wide)
        self._schema = union
        if not self._statistics:
            self._statistics = [ColumnStatistics(field.type, columns=len(union)) for field in union]
        for statistics, field in zip(self._statistics, union, strict=True):
            statistics.retype(field.type)

    def _start_timer(self) -> None:
        part = len(self._parts)
        self._timer = self._timers.call_later(FLUSH_S, lambda: self._flush_late(part))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush_late(self, part: int) -> None:
        with self._lock:
            if self._closed or len(self._parts) != part:
                return
            try:
                self._flush()
            except Exception as failure:  # noqa: BLE001 - raised again in the writing thread, at its next call
                self._failure = failure


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in schema], schema=schema)


def _wide_columns(batch: pa.RecordBatch) -> list[bool]:
    """Per column, whether it holds integers beyond ±2^53."""
    kinds = pa.types
    return [kinds.is_integer(c.type) and c.type.bit_width == 64 and beyond_exact(c) for c in batch.columns]


def _rows_within(batch: pa.RecordBatch, most_bytes: int) -> int:
    """How many rows of `batch`, from the first, take at most `most_bytes`."""
    if batch.nbytes <= most_bytes:
        return batch.num_rows
    low, high = 0, batch.num_rows
    while low < high:
        middle = (low + high + 1) // 2
        if batch.slice(0, middle).nbytes <= most_bytes:
            low = middle
        else:
            high = middle - 1
    return low
