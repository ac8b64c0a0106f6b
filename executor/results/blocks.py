"""Arrow batches to one block of bytes, within a number of rows and a budget. Knows no files and no jobs."""

# pyarrow ships no types: its batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import pyarrow as pa

from executor.results import BlockFormat
from executor.results.export import export


def within(batches: Iterable[pa.RecordBatch], *, limit: int, max_bytes: int) -> list[pa.RecordBatch]:
    """The first rows of `batches`: at most `limit`, and as many as take `max_bytes` together, but at least one."""
    taken: list[pa.RecordBatch] = []
    left = max_bytes
    for batch in batches:
        fit = batch.num_rows if batch.nbytes <= left else left * batch.num_rows // batch.nbytes
        if not taken:
            fit = max(fit, 1)
        rows = min(fit, limit)
        if rows:
            some = batch.slice(0, rows)
            taken.append(some)
            left = max(0, left - some.nbytes)
            limit -= rows
        if rows < batch.num_rows or not limit:
            break
    return taken


def encoded(schema: pa.Schema, batches: Sequence[pa.RecordBatch], format: BlockFormat) -> bytes:  # noqa: A002 - the word users type
    """`batches`, all of `schema`, as one file."""
    out = io.BytesIO()
    export(schema, batches, format, out)
    return out.getvalue()
