"""The columns of a DuckDB result: which Arrow holds exactly, and which have to come as text. Knows no connection."""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType

from executor.adapters.batches import Moment, readable_times, typed_field

_EXACT = frozenset(
    ("boolean", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint",
     "hugeint", "float", "double", "decimal", "varchar", "blob", "uuid", "null", "sqlnull")
)  # fmt: skip
_TIMES = frozenset(
    ("date", "time", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone")
)
_NESTED = frozenset(("list", "array", "struct", "map"))
_NAME_LENGTH = 120


class DuckDBColumns:
    """The columns of one statement, from its description."""

    def __init__(self, names: Sequence[str], types: Sequence[DuckDBPyType]) -> None:
        self._names = list(names)
        self._words = [_word(t) for t in types]
        self._casts = ["" if str(t.id) in _TIMES or _is_exact(t) else _exact_form(t) for t in types]

    @property
    def has_casts(self) -> bool:
        """Whether a column, or something within one, has to be cast to text by DuckDB itself."""
        return any(self._casts)

    def cast(self, sql: str) -> str:
        """`sql`, one SELECT, with the inexact columns cast; names do not matter, order of rows stays."""
        labels = [f"c{i}" for i in range(len(self._names))]
        told = [f"{c}::{kind}" if kind else c for c, kind in zip(labels, self._casts, strict=True)]
        inner = sql.rstrip().removesuffix(";")
        return f"SELECT {', '.join(told)} FROM ({inner}\n) AS q({', '.join(labels)})"  # noqa: S608 # the guard's text

    def schema(self, came: pa.Schema) -> pa.Schema:
        """`came` with the statement's own names and DuckDB's words for the types."""
        return self._labelled([_zoned(field.type) for field in came])

    def batch(self, came: pa.RecordBatch) -> pa.RecordBatch:
        """`came` under its own names, times that Python cannot hold as text."""
        arrays = [_readable(column) for column in came.columns]
        return pa.RecordBatch.from_arrays(arrays, schema=self._labelled([a.type for a in arrays]))

    def _labelled(self, kinds: list[pa.DataType]) -> pa.Schema:
        return pa.schema(
            [typed_field(n, kind, word) for n, kind, word in zip(self._names, kinds, self._words, strict=True)]
        )


def _is_exact(kind: DuckDBPyType) -> bool:
    """Times inside lists and structs come as text: there, one that Python cannot hold could not be told apart."""
    word = str(kind.id)
    if word in _NESTED:
        return all(_is_exact(child) for _, child in kind.children if isinstance(child, DuckDBPyType))
    return word in _EXACT


def _exact_form(kind: DuckDBPyType) -> str:
    """The type, in DuckDB's words, with text in the place of what is not exact: lists stay lists, structs structs."""
    word = str(kind.id)
    if word not in _NESTED:
        return str(kind) if word in _EXACT else "VARCHAR"
    children = [(name, child) for name, child in kind.children if isinstance(child, DuckDBPyType)]
    forms = [_exact_form(child) for _, child in children]
    if word == "struct":
        names = ['"' + name.replace('"', '""') + '"' for name, _ in children]
        return f"STRUCT({', '.join(f'{n} {f}' for n, f in zip(names, forms, strict=True))})"
    if word == "map":
        return f"MAP({', '.join(forms)})"
    size = next((told for name, told in kind.children if name == "size"), "")
    return f"{forms[0]}[{size}]"


def _word(kind: DuckDBPyType) -> str:
    word = str(kind.id)
    if word == "enum":
        return word
    if word in _NESTED or word == "union":
        told = str(kind)
        return told if len(told) <= _NAME_LENGTH else word
    return str(kind).strip('"').lower()


def _zoned(kind: pa.DataType) -> pa.DataType:
    """DuckDB calls its UTC ``Etc/UTC``."""
    return pa.timestamp(kind.unit, "UTC") if pa.types.is_timestamp(kind) and kind.tz else kind


def _readable(column: pa.Array) -> pa.Array:
    kind = _zoned(column.type)
    column = column if kind == column.type else column.view(kind)
    return readable_times(column, _days_read if pa.types.is_date32(kind) else _units_read)


def _days_read(stored: int) -> Moment:
    return _ends_read(stored, 2**31 - 1)


def _units_read(stored: int) -> Moment:
    return _ends_read(stored, 2**63 - 1)


def _ends_read(stored: int, end: int) -> Moment:
    if stored == end:
        return "infinity"
    return "-infinity" if stored == -end else stored
