"""A whole result as one file: CSV, JSON lines, Parquet or Arrow, batch by batch. Knows no folders.

Names that stand for several columns get a number (``id``, ``id_2``), because most readers of these files refuse or
drop the second one.
"""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from executor.results import BlockFormat, ExportFormat
from executor.results.cells import as_text, beyond_exact, cells, dumps

_ESCAPED = r'["\\\x00-\x1f]'


def export(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    format: ExportFormat | BlockFormat,  # noqa: A002 - the word users type
    out: BinaryIO,
) -> None:
    """Write `batches`, all of `schema`, to `out`. Leaves `out` open.

    CSV: UTF-8, a header, text quoted, null as nothing (an empty text is ``""``). JSON: one object a row, cells as in
    `executor.results.cells`. Parquet and Arrow keep types, zstd; Parquet gets what it cannot hold as text. An Arrow
    stream is not compressed.
    """
    named = pa.schema([field.with_name(name) for field, name in zip(schema, unique_names(schema.names), strict=True)])
    write = {"csv": _csv, "json": _json, "parquet": _parquet, "arrow": _arrow, "arrow_stream": _stream}[format]
    write(named, (_renamed(batch, named) for batch in batches), out)


def unique_names(names: Iterable[str]) -> list[str]:
    """The names in order, those that come again with a number behind them."""
    given = list(names)
    taken = set(given)
    seen: set[str] = set()
    unique: list[str] = []
    for name in given:
        found, number = name, 1
        while found in seen or (number > 1 and found in taken):
            number += 1
            found = f"{name}_{number}"
        seen.add(found)
        unique.append(found)
    return unique


def _renamed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(batch.columns, schema=schema) if batch.num_columns else batch


def _csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch], out: BinaryIO) -> None:
    import pyarrow.csv as pa_csv  # noqa: PLC0415 - loaded by exports only

    out.write((",".join(_quoted(name) for name in schema.names) + "\n").encode())
    if not len(schema):
        out.writelines(b"\n" * batch.num_rows for batch in batches)
        return
    shown = pa.schema([pa.field(f.name, f.type if _is_csv_plain(f.type) else pa.large_string()) for f in schema])
    options = pa_csv.WriteOptions(include_header=False, quoting_style="needed")
    with pa_csv.CSVWriter(pa.PythonFile(out, "w"), shown, write_options=options) as writer:
        for batch in batches:
            arrays = [
                column if _is_csv_plain(column.type) else as_text(column).cast(pa.large_string())
                for column in batch.columns
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=shown))


def _is_csv_plain(kind: pa.DataType) -> bool:
    """Whether Arrow's own CSV text is what a cell shows."""
    types = pa.types
    return types.is_integer(kind) or types.is_boolean(kind) or types.is_string(kind) or types.is_large_string(kind)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _json(schema: pa.Schema, batches: Iterable[pa.RecordBatch], out: BinaryIO) -> None:
    if not len(schema):
        out.writelines(b"{}\n" * batch.num_rows for batch in batches)
        return
    keys = [dumps(name) + ":" for name in schema.names]
    before = ["{" + keys[0], *("," + key for key in keys[1:])]
    for batch in batches:
        if not batch.num_rows:
            continue
        pieces = [piece for pair in zip(before, map(_json_values, batch.columns), strict=True) for piece in pair]
        lines = pc.binary_join_element_wise(*pieces, "}\n", "")
        data = lines.buffers()[2]  # the lines lie behind each other, as the file wants them
        out.write(data.slice(0, pc.sum(pc.binary_length(lines)).as_py()))


def _json_values(column: pa.Array) -> pa.Array:
    """Each value as JSON text; ``null`` for null."""
    kind = column.type
    if _is_bare(column):
        text = column.cast(pa.string())
    elif not _is_texty(kind):
        return pa.array([dumps(cell) for cell in cells(column)], pa.string())
    else:
        text = as_text(column).cast(pa.string())
        if pc.any(pc.match_substring_regex(text, _ESCAPED)).as_py():
            text = pa.array([None if t is None else dumps(t) for t in text.to_pylist()], pa.string())
        else:
            text = pc.binary_join_element_wise('"', text, '"', "")
    return text.fill_null("null") if text.null_count else text


def _is_texty(kind: pa.DataType) -> bool:
    """Whether every cell of this type is a string or null."""
    types = pa.types
    number = types.is_integer(kind) or types.is_floating(kind) or (types.is_decimal(kind) and kind.scale == 0)
    return not (number or types.is_nested(kind) or types.is_null(kind))


def _is_bare(column: pa.Array) -> bool:
    """Whether Arrow's text of every value is JSON without quotes."""
    kind = column.type
    if pa.types.is_integer(kind):
        return kind.bit_width < 64 or not beyond_exact(column)
    if pa.types.is_floating(kind):
        return pc.all(pc.is_finite(column)).as_py() is not False
    if pa.types.is_decimal(kind) and kind.scale == 0:
        return not beyond_exact(column)
    return pa.types.is_boolean(kind)


def _parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], out: BinaryIO) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 - loaded by exports only

    held = pa.schema([f if _fits_parquet(f.type) else pa.field(f.name, pa.string()) for f in schema])
    with pq.ParquetWriter(pa.PythonFile(out, "w"), held, compression="zstd") as writer:
        for batch in batches:
            arrays = [c if _fits_parquet(c.type) else as_text(c).cast(pa.string()) for c in batch.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=held) if arrays else batch)


def _fits_parquet(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_interval(kind) or types.is_union(kind) or types.is_float16(kind):
        return False
    if types.is_struct(kind) and not kind.num_fields:
        return False
    inner = [kind.field(i).type for i in range(kind.num_fields)] if types.is_nested(kind) else []
    return all(_fits_parquet(t) for t in inner)


def _arrow(schema: pa.Schema, batches: Iterable[pa.RecordBatch], out: BinaryIO) -> None:
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 1), unify_dictionaries=True)
    with pa.ipc.new_file(pa.PythonFile(out, "w"), schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _stream(schema: pa.Schema, batches: Iterable[pa.RecordBatch], out: BinaryIO) -> None:
    with pa.ipc.new_stream(pa.PythonFile(out, "w"), schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
