"""The columns of a PostgreSQL result: which the binary stream carries exactly, and which have to come as text.

A column whose type is not known to be exact in Arrow is cast to text by the server itself, so it reads as psql shows
it: intervals, ranges, enums, arrays, inet, money. Knows no connection.
"""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from executor.adapters.batches import Moment, readable_times, typed_field, without_columns

_NAME = b"POSTGRESQL:type"
_MODIFIER = b"POSTGRESQL:typmod"
_EXACT: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "name": pa.string(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
}
"""The type that each exact one must come as: another type of the same name (in a schema of its own) does not."""

_STORED: dict[str, pa.DataType] = {
    "numeric": pa.string(),
    "json": pa.string(),
    "jsonb": pa.string(),
    "uuid": pa.binary(16),
}
"""Exact too, behind an Arrow extension type whose storage this is."""

_TEXT = "{c}::text"
_OTHER_CASTS = {
    "oid": "{c}::int8",
    "inet": "CASE WHEN {c} IS NOT NULL THEN pg_catalog.format('%s', {c}) END",  # the cast adds /32, psql does not
}
_VOID = "void"
_UNNAMED = re.compile(r"unnamed<oid:(\d+)>\Z")
_NUMERIC_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}

_DAYS_AHEAD = 10_957  # PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01
_MICROSECONDS_AHEAD = _DAYS_AHEAD * 86_400_000_000


def unnamed_types(described: pa.Schema) -> set[int]:
    """The oids of types that the driver has no name for."""
    names = ((field.metadata or {}).get(_NAME, b"").decode() for field in described)
    return {int(found[1]) for name in names if (found := _UNNAMED.match(name))}


class PostgresColumns:
    """The columns of one statement, from its description.

    Args:
        described: the driver's schema of the prepared statement.
        names: what to call types the driver has no name for, by oid.
        repairs_text: whether text may hold bytes that are not UTF-8 (a database in SQL_ASCII).
    """

    def __init__(self, described: pa.Schema, names: Mapping[int, str], *, repairs_text: bool) -> None:
        self._fields = list(described)
        self._repairs_text = repairs_text
        self._names = [(field.metadata or {}).get(_NAME, b"").decode() for field in described]
        self._words = [_word(field, name, names) for field, name in zip(described, self._names, strict=True)]
        self._casts = [_cast(field, name) for field, name in zip(described, self._names, strict=True)]

    def stream(self, sql: str) -> tuple[str, int]:
        """`sql`, one SELECT, as it has to run, and how many characters stand before it there."""
        if not self._fields:  # the driver would run it outside COPY, where more than queries is let through
            before, after = "SELECT 1 FROM (", "\n) AS q"
        elif any(self._casts):
            labels = [f"c{i}" for i in range(len(self._fields))]
            told = [cast.format(c=c) if cast else c for c, cast in zip(labels, self._casts, strict=True)]
            before, after = f"SELECT {', '.join(told)} FROM (", f"\n) AS q({', '.join(labels)})"  # noqa: S608 # labels
        else:
            before, after = "", "\n"
        return before + sql.rstrip().removesuffix(";") + after, len(before)

    def schema(self) -> pa.Schema:
        """The schema of the result, unless a batch has to widen it."""
        return self._labelled(
            [
                _STORED_AS.get(name, pa.string()) if cast or name not in _EXACT else field.type
                for field, name, cast in zip(self._fields, self._names, self._casts, strict=True)
            ]
        )

    def batch(self, came: pa.RecordBatch) -> pa.RecordBatch:
        """`came` under the statement's own names, every cell exact."""
        if not self._fields:
            return without_columns(came.num_rows)
        arrays = [
            self._exact(column, "" if cast else name)
            for column, name, cast in zip(came.columns, self._names, self._casts, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._labelled([a.type for a in arrays]))

    def _exact(self, column: pa.Array, name: str) -> pa.Array:
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        if name == "uuid":
            return _uuid_texts(column)
        if name == "numeric":
            return _spelled_numerics(column)
        if name == _VOID:
            return pa.array([None if v is None else "" for v in column.to_pylist()], pa.string())
        if pa.types.is_string(column.type):
            return _repaired(column) if self._repairs_text else column
        return readable_times(column, _days_read if pa.types.is_date32(column.type) else _microseconds_read)

    def _labelled(self, kinds: Iterable[pa.DataType]) -> pa.Schema:
        return pa.schema(
            [typed_field(f.name, kind, word) for f, kind, word in zip(self._fields, kinds, self._words, strict=True)]
        )


_STORED_AS = {"oid": pa.int64()}


def _cast(field: pa.Field, name: str) -> str:
    """How the server has to cast column ``c``, or an empty string."""
    if _EXACT.get(name) == field.type or name == _VOID:
        return ""
    storage = getattr(field.type, "storage_type", None)
    if name in _STORED and storage == _STORED[name]:
        return ""
    return _OTHER_CASTS.get(name, _TEXT)


def _word(field: pa.Field, name: str, names: Mapping[int, str]) -> str:
    """A short name of the type: ``int4``, ``numeric(38,9)``, ``text[]``, ``interval``, ``mood``."""
    unnamed = _UNNAMED.match(name)
    if unnamed:
        return names.get(int(unnamed[1]), "unknown")
    modifier = int((field.metadata or {}).get(_MODIFIER, b"-1"))
    if name == "numeric" and modifier >= 4:
        scale = (modifier - 4) & 0x7FF
        return f"numeric({(modifier - 4) >> 16 & 0xFFFF},{scale - 2048 if scale >= 1024 else scale})"
    return f"{name[1:]}[]" if name.startswith("_") else name


def _uuid_texts(column: pa.Array) -> pa.Array:
    told: list[str | None] = []
    for value in column.to_pylist():
        if value is None:
            told.append(None)
        else:
            h = value.hex()
            told.append(f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}")
    return pa.array(told, pa.string())


def _spelled_numerics(column: pa.Array) -> pa.Array:
    """Numerics are exact as text; the driver spells NaN and the infinities otherwise than PostgreSQL does."""
    odd = pc.is_in(column, value_set=pa.array(list(_NUMERIC_WORDS)))
    if not pc.any(odd).as_py():
        return column
    return pa.array([_NUMERIC_WORDS.get(v, v) for v in column.to_pylist()], pa.string())


def _repaired(column: pa.Array) -> pa.Array:
    """The column with U+FFFD in place of each byte that is not UTF-8."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        cells = column.cast(pa.binary()).to_pylist()
        return pa.array([None if c is None else c.decode("utf-8", "replace") for c in cells], pa.string())
    return column


def _days_read(stored: int) -> Moment:
    return _read(stored, _DAYS_AHEAD, 32)


def _microseconds_read(stored: int) -> Moment:
    return _read(stored, _MICROSECONDS_AHEAD, 64)


def _read(stored: int, ahead: int, bits: int) -> Moment:
    """The driver adds the distance of the two epochs and lets it overflow; the server's own number can be had back."""
    half = 1 << (bits - 1)
    served = (stored - ahead + half) % (1 << bits) - half
    if served == half - 1:
        return "infinity"
    return "-infinity" if served == -half else served + ahead
