"""The columns of a result: their short type names, and the one type that holds what parts of different types hold.

Exactness comes first: what no common type can hold unchanged becomes text. Knows no files and no limits.
"""

# pyarrow ships no types: its schemas and arrays are unknown to the checker.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from executor.jobs import ResultColumn
from executor.results.cells import as_text, plain

TYPE_KEY = b"type"
"""Field metadata: the database's own name of a column's type."""

_MOST_DIGITS = 76
_INT_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}


def result_columns(schema: pa.Schema) -> tuple[ResultColumn, ...]:
    """The columns as callers see them, duplicates included."""
    return tuple(ResultColumn(field.name, type_name(field)) for field in schema)


def type_name(field: pa.Field) -> str:
    """The database's own name of the type where the adapter gave it, else a short one made from Arrow's."""
    told = (field.metadata or {}).get(TYPE_KEY)
    return told.decode("utf-8", "replace") if told else short_name(field.type)


def short_name(kind: pa.DataType) -> str:
    """A short name: ``int``, ``float``, ``decimal(38,9)``, ``text``, ``timestamptz``, ``list(int)`` and so on."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        known = {"arrow.uuid": "uuid", "arrow.json": "json", "arrow.bool8": "bool"}
        return known.get(kind.extension_name) or short_name(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return short_name(kind.value_type)
    if types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "timestamptz"
    if types.is_map(kind):
        return f"map({short_name(kind.key_type)},{short_name(kind.item_type)})"
    for is_it, name in _NAMES:
        if is_it(kind):
            return name
    inner: pa.DataType | None = getattr(kind, "value_type", None)
    return f"list({short_name(inner)})" if inner is not None else str(kind)


_NAMES = (
    (pa.types.is_null, "null"),
    (pa.types.is_boolean, "bool"),
    (pa.types.is_integer, "int"),
    (pa.types.is_floating, "float"),
    (pa.types.is_string, "text"),
    (pa.types.is_large_string, "text"),
    (pa.types.is_string_view, "text"),
    (pa.types.is_binary, "bytes"),
    (pa.types.is_large_binary, "bytes"),
    (pa.types.is_binary_view, "bytes"),
    (pa.types.is_fixed_size_binary, "bytes"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time"),
    (pa.types.is_duration, "interval"),
    (pa.types.is_interval, "interval"),
    (pa.types.is_struct, "struct"),
    (pa.types.is_union, "union"),
)


def union_type(left: pa.DataType, right: pa.DataType, *, wide_ints: bool) -> pa.DataType:
    """A type that holds every value of both unchanged.

    Args:
        left: one type.
        right: the other.
        wide_ints: whether either holds integers beyond ±2^53, which a float would round.
    """
    types = pa.types
    if left == right or types.is_null(right):
        return left
    if types.is_null(left):
        return right
    if types.is_integer(left) and types.is_integer(right):
        return _wider_int(left, right)
    if _is_number(left) and _is_number(right):
        if types.is_decimal(left) or types.is_decimal(right):
            return _wider_decimal(left, right)
        if types.is_floating(left) and types.is_floating(right):
            return pa.float64()
        return pa.string() if wide_ints else pa.float64()
    if {left, right} == {pa.binary(), pa.large_binary()}:
        return pa.large_binary()
    return pa.large_string() if pa.large_string() in (left, right) else pa.string()


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _wider_int(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    signed = [pa.types.is_signed_integer(t) for t in (left, right)]
    if all(signed) or not any(signed):
        return left if left.bit_width >= right.bit_width else right
    below = left if not signed[0] else right
    bits = max(below.bit_width * 2, left.bit_width, right.bit_width)
    return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}.get(bits) or pa.decimal128(20, 0)


def _wider_decimal(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    """Enough digits on both sides of the point; text for floats, whose decimal digits depend on who prints them."""
    before = after = 0
    for kind in (left, right):
        if pa.types.is_floating(kind):
            return pa.string()
        if pa.types.is_integer(kind):
            before = max(before, _INT_DIGITS[kind.bit_width])
        else:
            before, after = max(before, kind.precision - kind.scale), max(after, kind.scale)
    digits = before + after
    if digits > _MOST_DIGITS:
        return pa.string()
    return pa.decimal128(digits, after) if digits <= 38 else pa.decimal256(digits, after)


def union_schema(left: pa.Schema, right: pa.Schema, wide: Sequence[bool]) -> pa.Schema:
    """The union column by column, in order. A type name given by the adapter stays while it is true of all parts."""
    fields: list[pa.Field] = []
    for i, (a, b) in enumerate(zip(left, right, strict=True)):
        kind = union_type(a.type, b.type, wide_ints=wide[i])
        told = {name for f in (a, b) if f.type == kind and (name := (f.metadata or {}).get(TYPE_KEY))}
        true_of_all = len(told) == 1 and all(f.type == kind or pa.types.is_null(f.type) for f in (a, b))
        fields.append(pa.field(a.name, kind, metadata={TYPE_KEY: told.pop()} if true_of_all else None))
    return pa.schema(fields)


def with_type_names(batch: pa.RecordBatch, declared: pa.Schema) -> pa.RecordBatch:
    """The batch with the adapter's type names from `declared`, for columns that have none and are of that type."""
    if len(declared) != batch.num_columns:
        return batch
    fields: list[pa.Field] = []
    for field, other in zip(batch.schema, declared, strict=True):
        told = (other.metadata or {}).get(TYPE_KEY)
        lacks = told is not None and other.type == field.type and TYPE_KEY not in (field.metadata or {})
        fields.append(field.with_metadata({TYPE_KEY: told}) if lacks else field)
    return pa.RecordBatch.from_arrays(batch.columns, schema=pa.schema(fields)) if fields else batch


def cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values in a type that `union_type` gave for them; as text they read like their cells."""
    if array.type == kind:
        return array
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = as_text(array)
        return text if text.type == kind else text.cast(kind)
    return array.cast(kind)


def cast_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch of one part in the union's schema."""
    if batch.schema.equals(schema, check_metadata=False) or not len(schema):
        return batch
    arrays = [cast(column, field.type) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def storable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch as it is kept: encodings unfolded, so that parts of one column compare and widen alike."""
    kinds = [f.type for f in batch.schema]
    if not any(map(_is_encoded, kinds)):
        return batch
    arrays: list[pa.Array] = []
    fields: list[pa.Field] = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if not _is_encoded(field.type):
            arrays.append(column)
            fields.append(field)
            continue
        unfolded = plain(column)
        told = (field.metadata or {}).get(TYPE_KEY) or type_name(field).encode()
        arrays.append(unfolded)
        fields.append(pa.field(field.name, unfolded.type, metadata={TYPE_KEY: told}))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _is_encoded(kind: pa.DataType) -> bool:
    types = pa.types
    return (
        isinstance(kind, pa.BaseExtensionType)
        or types.is_dictionary(kind)
        or types.is_run_end_encoded(kind)
        or types.is_string_view(kind)
        or types.is_binary_view(kind)
    )
