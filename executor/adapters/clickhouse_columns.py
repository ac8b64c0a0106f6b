"""The columns of a ClickHouse result: their names and types as told before it runs, and batches made exact."""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from executor.adapters.batches import readable_times, typed_field
from executor.adapters.clickhouse_types import cast, parsed

_NAME_LENGTH = 120
_ARROW: dict[str, pa.DataType] = {
    "Bool": pa.bool_(), "Int8": pa.int8(), "Int16": pa.int16(), "Int32": pa.int32(), "Int64": pa.int64(),
    "UInt8": pa.uint8(), "UInt16": pa.uint16(), "UInt32": pa.uint32(), "UInt64": pa.uint64(),
    "Float32": pa.float32(), "Float64": pa.float64(), "Date": pa.date32(), "Date32": pa.date32(),
    "DateTime": pa.timestamp("s", "UTC"), "Nothing": pa.null(),
}  # fmt: skip
"""What a column is before its first rows have come; the others are called text until then."""


class ClickHouseColumns:
    """The columns of one statement, from what DESCRIBE says of it: names and types."""

    def __init__(self, described: Sequence[tuple[str, str]]) -> None:
        self._names = [name for name, _ in described]
        self._words = [word if len(word) <= _NAME_LENGTH else word.partition("(")[0] for _, word in described]
        self._kinds = [parsed(word) for _, word in described]
        self._labels = [f"c{i}" for i in range(len(described))]
        self._casts = [cast(kind, label) for kind, label in zip(self._kinds, self._labels, strict=True)]

    def exact(self, sql: str) -> str:
        """`sql`, one query, with what Arrow does not hold exactly cast by the database; itself where all is exact."""
        if self._casts == self._labels:
            return sql
        labels = ", ".join(self._labels)
        return f"SELECT {', '.join(self._casts)} FROM ({sql}\n) AS q({labels})"  # noqa: S608 # the guard's text

    def schema(self) -> pa.Schema:
        """The schema of the result as far as it is known before its rows."""
        return self._labelled([_ARROW.get(kind.name, pa.string()) for kind in self._kinds])

    def batch(self, came: pa.RecordBatch) -> pa.RecordBatch:
        """`came` under the statement's own names."""
        arrays = [_readable(column) for column in came.columns]
        return pa.RecordBatch.from_arrays(arrays, schema=self._labelled([a.type for a in arrays]))

    def _labelled(self, kinds: list[pa.DataType]) -> pa.Schema:
        return pa.schema(
            [typed_field(n, kind, word) for n, kind, word in zip(self._names, kinds, self._words, strict=True)]
        )


def _readable(column: pa.Array) -> pa.Array:
    """Strings as text where they are UTF-8, else as bytes; moments in UTC, whatever zone they are shown in."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz:
        column = column.view(pa.timestamp(kind.unit, "UTC"))
    texts = _with_texts(kind)
    if texts != kind:
        try:
            return column.cast(texts)
        except pa.ArrowInvalid:  # ClickHouse's strings are bytes
            return column
    return readable_times(column, int)


def _with_texts(kind: pa.DataType) -> pa.DataType:
    """The type with text in the place of bytes, within lists, tuples and maps too."""
    types = pa.types
    if types.is_binary(kind) or types.is_fixed_size_binary(kind):
        return pa.string()
    if types.is_large_binary(kind):
        return pa.large_string()
    if types.is_list(kind):
        return pa.list_(_field_with_texts(kind.value_field))
    if types.is_struct(kind):
        return pa.struct([_field_with_texts(field) for field in kind])
    if types.is_map(kind):
        return pa.map_(_field_with_texts(kind.key_field), _field_with_texts(kind.item_field))
    return kind


def _field_with_texts(field: pa.Field) -> pa.Field:
    return field.with_type(_with_texts(field.type))
