"""Python values, as any DB-API driver gives them -> Arrow columns, typed by their values and widened as they come.

What no Arrow type holds exactly beside the others becomes text. Knows no database.
"""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa

from executor.adapters.batches import typed_field, without_columns
from executor.results.cells import as_text

_EXACT = 2**53
_DIGITS = 76


class GenericColumn:
    """One column of one result, remembering how wide it had to become."""

    def __init__(self, name: str, word: str) -> None:
        self._name = name
        self._word = word
        self._type: pa.DataType = pa.null()
        self._holds_large = False

    def array(self, cells: Sequence[Any]) -> tuple[pa.Field, pa.Array]:
        """The cells as an array of a type that holds them and all before, and its field."""
        plain = [_plain(cell) for cell in cells]
        self._holds_large |= any(type(cell) is int and abs(cell) > _EXACT for cell in plain)
        try:
            found = pa.array(plain)
            self._type = self._widened(found.type)
            if found.type != self._type:
                found = as_text(found).cast(self._type) if self._type == pa.string() else found.cast(self._type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            self._type = pa.string()
            found = pa.array([_text(cell) for cell in plain], pa.string())
        return typed_field(self._name, self._type, self._word), found

    def _widened(self, other: pa.DataType) -> pa.DataType:
        mine = self._type
        if mine == other or pa.types.is_null(other):
            return mine
        if pa.types.is_null(mine):
            return other
        if {mine, other} == {pa.int64(), pa.float64()} and not self._holds_large:
            return pa.float64()
        if pa.types.is_decimal(mine) and pa.types.is_decimal(other):
            scale = max(mine.scale, other.scale)
            digits = max(mine.precision - mine.scale, other.precision - other.scale) + scale
            if digits <= _DIGITS:
                return pa.decimal128(digits, scale) if digits <= 38 else pa.decimal256(digits, scale)
        if pa.types.is_timestamp(mine) and pa.types.is_timestamp(other) and mine.tz and other.tz:
            return pa.timestamp("us", "UTC")
        return pa.string()


class GenericRows:
    """Rows of one result -> batches."""

    def __init__(self, columns: Sequence[tuple[str, str]]) -> None:
        self._columns = [GenericColumn(name, word) for name, word in columns]

    def batch(self, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
        """One batch of all `rows`."""
        if not self._columns:
            return without_columns(len(rows))
        cells = zip(*rows, strict=True) if rows else ((),) * len(self._columns)
        made = [column.array(values) for column, values in zip(self._columns, cells, strict=True)]
        return pa.RecordBatch.from_arrays([a for _, a in made], schema=pa.schema([f for f, _ in made]))


def _plain(cell: Any) -> Any:
    """The cell as one of Arrow's own sorts."""
    if cell is None or isinstance(cell, bool | int | float | str | bytes | Decimal | time):
        return cell
    if isinstance(cell, datetime | date):
        return cell
    if isinstance(cell, bytearray | memoryview):
        return bytes(cell)
    if isinstance(cell, UUID | timedelta):
        return str(cell)
    if isinstance(cell, dict | list | tuple):
        return json.dumps(cell, ensure_ascii=False, default=str)
    return str(cell)


def _text(cell: Any) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, bytes):
        return f"\\x{cell.hex()}"
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    return f"{cell:f}" if isinstance(cell, Decimal) and cell.is_finite() else str(cell)
