r"""SQLite's values -> Arrow columns. A column's type is decided by its values and may widen from batch to batch.

int64 and double stand as they are; whole numbers beside doubles become doubles only while each is exact (up to 2^53);
anything else mixed becomes text, in which a number and a blob read as they do in a column of their own (``0.5``,
``\x00ff``). Once text, a column stays it.
"""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import math
from collections.abc import Sequence

import pyarrow as pa

from executor.adapters.batches import typed_field, without_columns

Cell = int | float | str | bytes | None

_EXACT = 2**53
_WORDS: dict[pa.DataType, str] = {
    pa.null(): "null",
    pa.int64(): "integer",
    pa.float64(): "real",
    pa.string(): "text",
    pa.binary(): "blob",
}
_ARROW: dict[type, pa.DataType] = {int: pa.int64(), float: pa.float64(), str: pa.string(), bytes: pa.binary()}


class WideningColumn:
    """One column of one result, remembering how wide it had to become."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._type: pa.DataType = pa.null()
        self._holds_large = False

    def array(self, cells: Sequence[Cell]) -> tuple[pa.Field, pa.Array]:
        """The cells as an array of the narrowest type that holds them and all before, and its field."""
        found = set(map(type, cells)) - {type(None)}
        if int in found and (float in found or self._type == pa.float64()):
            self._holds_large |= any(type(c) is int and abs(c) > _EXACT for c in cells)
        elif int in found and not self._holds_large:
            self._holds_large = any(type(c) is int and abs(c) > _EXACT for c in cells)
        for kind in found:
            self._type = self._widened(_ARROW[kind])
        if self._type == pa.string() and found - {str}:
            cells = [_text(c) for c in cells]
        elif self._type == pa.float64() and int in found:
            cells = [None if c is None else float(c) for c in cells]
        return typed_field(self._name, self._type, _WORDS[self._type]), pa.array(cells, self._type)

    def _widened(self, other: pa.DataType) -> pa.DataType:
        if self._type == other or self._type == pa.null():
            return other
        if {self._type, other} == {pa.int64(), pa.float64()} and not self._holds_large:
            return pa.float64()
        return pa.string()


class WideningRows:
    """Rows of one result -> batches."""

    def __init__(self, names: Sequence[str]) -> None:
        self._columns = [WideningColumn(name) for name in names]

    def batch(self, rows: Sequence[Sequence[Cell]]) -> pa.RecordBatch:
        """One batch of all `rows`."""
        if not self._columns:
            return without_columns(len(rows))
        cells = zip(*rows, strict=True) if rows else ((),) * len(self._columns)
        made = [column.array(values) for column, values in zip(self._columns, cells, strict=True)]
        return pa.RecordBatch.from_arrays([a for _, a in made], schema=pa.schema([f for f, _ in made]))


def _text(cell: Cell) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bytes):
        return f"\\x{cell.hex()}"
    if isinstance(cell, float) and math.isinf(cell):
        return "Infinity" if cell > 0 else "-Infinity"
    return str(pa.scalar(cell).cast(pa.string()).as_py())
