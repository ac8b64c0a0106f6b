"""One part of a result: a small Arrow IPC file that appears whole.

A part's name carries its place and its rows (``part-3-65536.arrow``), so that a reader finds a row by listing the
folder, without opening anything. All batches of a part but the last hold the same number of rows, told in the
schema's metadata, so that a row's batch is known without reading the others. Knows no jobs and no limits.
"""

# pyarrow ships no types: its tables and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate

import pyarrow as pa

from executor.results.places import Place

SUFFIX = ".arrow"

BROKEN = (pa.ArrowException, OSError)
"""What the library raises for a file that is damaged, or not there."""

BATCH_ROWS = 8_192
BATCH_BYTES = 1_000_000
_COMPRESSED_FROM = 4_096
"""Bytes. A smaller batch is written as it is: making a compressor ready takes longer than all the rest."""

_NAME = re.compile(r"part-(\d+)-(\d+)" + re.escape(SUFFIX))
_ROWS_KEY = b"batch_rows"
_WIDE_KEY = b"wide_ints"


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is kept: its place from 0, its rows, and its file's bytes where they are at hand."""

    index: int
    rows: int
    held: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Its file's name."""
        return f"part-{self.index}-{self.rows}{SUFFIX}"


def row_starts(parts: Sequence[Part]) -> list[int]:
    """The row at which each part begins, and the row after the last."""
    return list(accumulate((part.rows for part in parts), initial=0))


def list_parts(place: Place, folder: str) -> list[Part]:
    """The parts that can be read now, from the first without a gap. Empty where there is no folder."""
    found = {int(m[1]): int(m[2]) for m in map(_NAME.fullmatch, place.names(folder)) if m}
    parts: list[Part] = []
    while len(parts) in found:
        parts.append(Part(len(parts), found[len(parts)]))
    return parts


def write_part(place: Place, folder: str, index: int, batch: pa.RecordBatch, wide: Sequence[bool]) -> Part:
    """Write `batch`, at least one row, as part `index` and make it visible.

    Args:
        place: where results are kept.
        folder: of the attempt.
        index: the part's place.
        batch: all rows of the part; cut into batches of the size readers like.
        wide: per column, whether it holds integers beyond ±2^53.

    Raises:
        ResultFailed: ``store_full``, ``store_unavailable``.
    """
    part = Part(index, batch.num_rows)
    place.put(f"{folder}/{part.name}", file_of(batch, wide, {}))
    return part


def file_of(batch: pa.RecordBatch, wide: Sequence[bool], also: dict[bytes, bytes]) -> pa.Buffer:
    """The bytes of a part's file; what it is `also` to tell goes into its schema's metadata."""
    rows, size = batch.num_rows, batch.nbytes
    step = max(1, min(BATCH_ROWS, rows * BATCH_BYTES // max(1, size)))
    told = {_ROWS_KEY: str(step).encode(), _WIDE_KEY: ",".join(str(i) for i, w in enumerate(wide) if w).encode()}
    sink = pa.BufferOutputStream(pa.system_memory_pool())
    compression = pa.Codec("zstd", 1) if size >= _COMPRESSED_FROM else None
    options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False, unify_dictionaries=True)
    with pa.ipc.new_file(sink, batch.schema.with_metadata({**told, **also}), options=options) as writer:
        for start in range(0, rows, step):
            writer.write_batch(batch.slice(start, step))
    return sink.getvalue()


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches of one schema as one; nothing is copied when it is one already."""
    if len(batches) == 1:
        return batches[0]
    if not batches[0].num_columns:
        rows = sum(b.num_rows for b in batches)
        return pa.record_batch([pa.nulls(rows)], names=["_"]).select([])
    return pa.concat_batches(batches, memory_pool=pa.system_memory_pool())


@contextmanager
def _opened(
    place: Place, folder: str, part: Part, fields: Sequence[int] | None = None
) -> Generator[pa.RecordBatchFileReader]:
    options = pa.ipc.IpcReadOptions(included_fields=None if fields is None else list(fields))
    held = part.held
    with place.opened(f"{folder}/{part.name}") if held is None else pa.BufferReader(pa.py_buffer(held)) as source:
        yield pa.ipc.open_file(source, options=options)


def part_schema(place: Place, folder: str, part: Part) -> tuple[pa.Schema, list[bool]]:
    """A part's own schema, and per column whether it holds integers beyond ±2^53."""
    with _opened(place, folder, part) as reader:
        schema = reader.schema
        told = (schema.metadata or {}).get(_WIDE_KEY, b"").decode()
        wide = {int(i) for i in told.split(",") if i}
        return schema.remove_metadata(), [i in wide for i in range(len(schema))]


def read_rows(
    place: Place, folder: str, part: Part, start: int, fields: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """The batches of a part from row `start` on, each read when it is asked for.

    Args:
        place: where results are kept.
        folder: of the attempt.
        part: which one.
        start: the first row wanted, from 0.
        fields: positions of the columns wanted, ascending; None for all.
    """
    with _opened(place, folder, part, fields) as reader:
        step = int((reader.schema.metadata or {})[_ROWS_KEY])
        for index in range(start // step, reader.num_record_batches):
            batch = reader.get_batch(index)
            skipped = max(0, start - index * step)
            yield batch.slice(skipped) if skipped else batch
