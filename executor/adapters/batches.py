"""Batches of a result: their size, their fields' database types, and times that Python cannot hold.

Knows Arrow only; each adapter says what its database means by its values.
"""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from executor.adapters.base import BATCH_ROWS

Moment = int | Literal["infinity", "-infinity"]
"""A time on the axis of its column's unit, counted from 1970-01-01; or an end of the axis."""

_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_FIRST_DAY = -719_162  # 0001-01-01, the first that Python's datetime knows
_LAST_DAY = 2_932_896  # 9999-12-31


def typed_field(name: str, kind: pa.DataType, database_type: str) -> pa.Field:
    """A field that carries the database's own short word for its type, in metadata key ``type``."""
    return pa.field(name, kind, metadata={b"type": database_type.encode()})


def split(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in even slices of at most `BATCH_ROWS` rows (no copy); an empty one gives nothing."""
    parts = -(-batch.num_rows // BATCH_ROWS)
    for i in range(parts):
        first, last = batch.num_rows * i // parts, batch.num_rows * (i + 1) // parts
        yield batch.slice(first, last - first)


def without_columns(num_rows: int) -> pa.RecordBatch:
    """A batch of `num_rows` rows and no column."""
    return pa.RecordBatch.from_arrays([pa.nulls(num_rows)], names=["nothing"]).select([])


def readable_times(column: pa.Array, read: Callable[[int], Moment]) -> pa.Array:
    """The column itself if every cell is a time that Python knows, else the same cells as text, exactly.

    Text is what a cell of such a column shows (``2024-02-29``, ``2024-02-29T12:00:00.5Z``), so that a time reads the
    same whatever stands beside it, and goes beyond: ``infinity``, ``-infinity``, ``0044-03-15 BC``, ``12024-01-01``,
    ``24:00:00``.

    Args:
        column: of a date, time or timestamp type; other columns come back as they are.
        read: what the database means by a stored number of days (date32) or units (timestamp).
    """
    kind = column.type
    if pa.types.is_date32(kind):
        raw, first, last, unit = column.view(pa.int32()), _FIRST_DAY, _LAST_DAY, ""
    elif pa.types.is_timestamp(kind):
        unit = kind.unit
        raw, first, last = column.view(pa.int64()), _FIRST_DAY * _DAY[unit], (_LAST_DAY + 1) * _DAY[unit] - 1
    elif pa.types.is_time64(kind):
        unit = kind.unit
        raw, first, last = column.view(pa.int64()), 0, _DAY[unit] - 1
    else:
        return column
    ends = pc.min_max(raw).as_py()
    if ends["min"] is None or (ends["min"] >= first and ends["max"] <= last):
        return column
    if pa.types.is_time64(kind):
        return pa.array([None if v is None else clock_text(v, unit) for v in raw.to_pylist()], pa.string())
    zone = "Z" if pa.types.is_timestamp(kind) and kind.tz else ""
    return pa.array([None if v is None else _written(read(v), unit, zone) for v in raw.to_pylist()], pa.string())


def _written(moment: Moment, unit: str, zone: str) -> str:
    if isinstance(moment, str):
        return moment
    day, rest = divmod(moment, _DAY[unit]) if unit else (moment, None)
    year, month, day_of_month = _civil(day)
    era = "" if year > 0 else " BC"
    date = f"{year if year > 0 else 1 - year:04d}-{month:02d}-{day_of_month:02d}"
    return f"{date}{era}" if rest is None else f"{date}T{clock_text(rest, unit)}{zone}{era}"


def clock_text(units: int, unit: str) -> str:
    """``12:00:00``, ``24:00:00``, ``838:59:59.5``: a time of day or a positive duration, counted in `unit`."""
    per_second = _DAY[unit] // 86_400
    seconds, part = divmod(units, per_second)
    digits = len(str(per_second)) - 1
    fraction = f".{part:0{digits}d}".rstrip("0") if part else ""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"


def _civil(day: int) -> tuple[int, int, int]:
    """Year (0 is 1 BC), month and day of a count of days since 1970-01-01, in the Gregorian calendar without end.

    Source: https://howardhinnant.github.io/date_algorithms.html (civil_from_days)
    """
    era, day_of_era = divmod(day + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1
