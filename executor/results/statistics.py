"""What is told of each column without its rows: nulls, ends, distinct and frequent values. In one pass, bounded.

Values are counted exactly until a column shows more than `MOST_DISTINCT` of them; from then on by a sample of its rows,
which is said. Knows no files.
"""

# pyarrow ships no types: its arrays and kernels are unknown to the checker.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import heapq
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from executor.results.cells import cells, clip, dumps
from executor.results.columns import cast
from executor.results.samples import Sample

MOST_DISTINCT = 10_000
"""Distinct values counted exactly, per column; fewer where there are more columns than `_FULL_COLUMNS`."""

SUMMARY_BYTES = 20_000
"""What the statistics of all columns take at most as JSON: they stand in the job's row."""

TOP_VALUES = 5
CELL_CHARACTERS = 100
_MOST_BYTES = 1_000_000
_SLICE_ROWS = 16_384
_FULL_COLUMNS = 40
"""Columns for which counting may take its full memory; with more of them, each is given less."""

_FEWEST_DISTINCT = 50
_SHORT_END = 20


class ColumnStatistics:
    """One column's running summary. Takes the column in chunks, each of the type last told.

    `columns` is how many there are beside it, itself included.
    """

    def __init__(self, kind: pa.DataType, *, columns: int = 1) -> None:
        self.kind = kind
        self._share = min(1.0, _FULL_COLUMNS / columns)
        self._nulls = 0
        self._ends: pa.Array | None = None
        self._has_ends = _is_ordered(kind)
        self._counter: _Counter | None = _Counter(self._share) if _is_countable(kind) else None
        self._sample: Sample | None = None

    def add(self, column: pa.Array) -> None:
        """Take the next values, of type `kind`."""
        self._nulls += column.null_count
        if len(column) == column.null_count:
            return
        if self._counter is not None:
            column = column.slice(self._counter.add(column))
            if self._counter.is_full:
                self._go_on_by_sample()
        if self._counter is None and len(column):
            if self._sample is not None:
                self._sample.add(column)
            if self._has_ends:
                self._widen_ends(column)

    def retype(self, kind: pa.DataType) -> None:
        """Go on with values of the wider type `kind`."""
        if kind == self.kind:
            return
        was_empty = pa.types.is_null(self.kind)
        if self._counter is not None and self._has_ends:
            for values in self._counter.values():
                self._widen_ends(values)
        keeps_order = _is_number(self.kind) and _is_number(kind)
        if self._ends is not None:
            self._ends = cast(self._ends, kind) if keeps_order else None
        self._has_ends = _is_ordered(kind) and (was_empty or (self._has_ends and keeps_order))
        if was_empty:
            self._counter = _Counter(self._share) if _is_countable(kind) else None
        elif self._counter is not None:
            self._counter.retype(kind)
        elif self._sample is not None:
            self._sample.retype(kind)
        self.kind = kind

    def stats(self) -> dict[str, Any]:
        """``nulls``; ``min`` and ``max`` where the type has an order; ``distinct`` and ``top``. Cells are short.

        Where ``distinct`` and the counts of ``top`` are about right only, ``approximate`` says by how many rows.
        """
        told: dict[str, Any] = {"nulls": self._nulls}
        if self._counter is not None and not self._counter.merge():
            self._go_on_by_sample()
        if self._counter is not None and self._has_ends:
            for values in self._counter.values():
                self._widen_ends(values)
        if self._ends is not None:
            told["min"], told["max"] = (_short(c) for c in cells(self._ends))
        told["distinct"], told["top"] = (None, [])
        if pa.types.is_null(self.kind):
            told["distinct"] = 0
        elif self._counter is not None:
            told["distinct"], told["top"] = self._counter.told()
        elif self._sample is not None:
            told["distinct"], values, counts = self._sample.told(TOP_VALUES)
            told["top"] = _top(values, counts)
            if not self._sample.is_whole:
                told["approximate"] = f"from a sample of {self._sample.rows:,} rows"
        return told

    def _go_on_by_sample(self) -> None:
        """Values are too many to be counted: until now the counter knew them, and the ends."""
        assert self._counter is not None  # noqa: S101 - its callers look
        self._sample = Sample(self.kind, self._share)
        for values, counts in self._counter.counted():
            self._sample.add_counted(values, counts)
            if self._has_ends:
                self._widen_ends(values)
        self._counter = None

    def _widen_ends(self, column: pa.Array) -> None:
        if self._ends is not None and _is_text(self.kind):
            # to look for the smallest of many texts takes five times as long as to compare them with one
            is_outside = pc.or_(pc.less(column, self._ends[0]), pc.greater(column, self._ends[1]))
            column = column.filter(is_outside)
            if not len(column):
                return
        found = pc.min_max(column)
        ends = clip(pa.concat_arrays([pa.repeat(found[side], 1) for side in ("min", "max")]), CELL_CHARACTERS + 1)
        if self._ends is not None:
            found = pc.min_max(pa.concat_arrays([self._ends, ends]))
            ends = pa.concat_arrays([pa.repeat(found[side], 1) for side in ("min", "max")])
        self._ends = ends if ends.null_count == 0 else self._ends


def bounded(stats: Sequence[dict[str, Any]], most: int = SUMMARY_BYTES) -> tuple[dict[str, Any], ...]:
    """The statistics of all columns in at most `most` bytes of JSON.

    Frequent values go first, then the ends are cut short, then the last columns are told of by their nulls alone, and
    then not at all (an empty object).
    """
    told = [dict(stat) for stat in stats]
    size = sum(map(_json_bytes, told))
    for shrink in (_without_top, _with_short_ends, _nulls_alone, _nothing):
        for i in reversed(range(len(told))):
            if size <= most:
                return tuple(told)
            size -= _json_bytes(told[i])
            told[i] = shrink(told[i])
            size += _json_bytes(told[i])
    return tuple(told)


def _without_top(stat: dict[str, Any]) -> dict[str, Any]:
    return {**stat, "top": []}


def _with_short_ends(stat: dict[str, Any]) -> dict[str, Any]:
    return {key: _short(value, _SHORT_END) if key in ("min", "max") else value for key, value in stat.items()}


def _nulls_alone(stat: dict[str, Any]) -> dict[str, Any]:
    return {"nulls": stat["nulls"]}


def _nothing(_stat: dict[str, Any]) -> dict[str, Any]:
    return {}


def _json_bytes(stat: dict[str, Any]) -> int:
    return len(dumps(stat).encode("utf-8", "surrogatepass")) + 1


class _Counter:
    """Exact counts of distinct values while they are few."""

    def __init__(self, share: float) -> None:
        self._most = max(_FEWEST_DISTINCT, int(MOST_DISTINCT * share))
        self._most_bytes = int(_MOST_BYTES * share)
        self._pending: list[tuple[pa.Array, pa.Array]] = []
        self._rows = 0
        self.is_full = False
        self._step = _SLICE_ROWS  # small at first: a unique column ends the count before much of it is hashed

    def add(self, column: pa.Array) -> int:
        """Count the next values, as long as they are few and small; how many rows were counted."""
        start = 0
        while start < len(column):
            some = column.slice(start, self._step)
            counted = pc.value_counts(some, memory_pool=pa.system_memory_pool())
            values, counts = counted.field(0), counted.field(1)
            if len(some) == _SLICE_ROWS and len(values) < _SLICE_ROWS // 4:  # few: hash more at once from here on
                self._step = 4 * _SLICE_ROWS
            if self._are_too_many(values):
                break
            self._pending.append((values, counts))
            self._rows += len(values)
            start += len(some)
            if self._rows > 4 * self._most and not self.merge():
                break
        return start

    def counted(self) -> list[tuple[pa.Array, pa.Array]]:
        """Every value counted so far, at least once, and how often."""
        return self._pending

    def values(self) -> list[pa.Array]:
        """Every value counted so far, at least once."""
        return [values for values, _ in self._pending]

    def retype(self, kind: pa.DataType) -> None:
        self._pending = [(cast(values, kind), counts) for values, counts in self._pending]

    def told(self) -> tuple[int, list[list[Any]]]:
        """After `merge`: the number of distinct values, and the most frequent with their counts where any repeats."""
        if not self._pending:
            return 0, []
        values, counts = self._pending[0]
        if values.null_count:
            kept = values.is_valid()
            values, counts = values.filter(kept), counts.filter(kept)
        top = heapq.nlargest(TOP_VALUES, enumerate(counts.to_pylist()), key=itemgetter(1))
        if not top or top[0][1] < 2:
            return len(values), []
        return len(values), _top(values.take(pa.array([i for i, _ in top])), [count for _, count in top])

    def merge(self) -> bool:
        """Bring all counts together. False when the values are too many or too large."""
        if len(self._pending) < 2:
            return True
        kind = self._pending[0][0].type
        found = pa.chunked_array([v for v, _ in self._pending], kind).combine_chunks().dictionary_encode("encode")
        values = found.dictionary
        if self._are_too_many(values):
            return False
        totals = [0] * len(values)
        counts = (n for _, some in self._pending for n in some.to_pylist())
        for i, n in zip(found.indices.to_pylist(), counts, strict=True):  # Arrow's group_by takes 30 ms to load
            totals[i] += n
        self._pending = [(values, pa.array(totals, pa.int64()))]
        self._rows = len(values)
        return True

    def _are_too_many(self, values: pa.Array) -> bool:
        self.is_full = len(values) - (values.null_count > 0) > self._most or values.nbytes > self._most_bytes
        return self.is_full


def _top(values: pa.Array, counts: Sequence[int]) -> list[list[Any]]:
    shown = cells(clip(values, CELL_CHARACTERS + 1))
    return [[_short(cell), count] for cell, count in zip(shown, counts, strict=True)]


def _short(cell: Any, most: int = CELL_CHARACTERS) -> Any:
    text = cell if isinstance(cell, str) else dumps(cell) if isinstance(cell, list | dict) else None
    return cell if text is None or len(text) <= most else text[: most - 1] + "…"


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_ordered(kind: pa.DataType) -> bool:
    types = pa.types
    return _is_number(kind) or _is_text(kind) or types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind)


def _is_countable(kind: pa.DataType) -> bool:
    return _is_ordered(kind) or pa.types.is_boolean(kind)
