"""The result store over any place: ``<root>/<job>/<attempt>/part-N-ROWS.arrow``, ``<root>/<job>/<attempt>.arrow``.

The latter is the manifest, and alone holds a small result (see `executor.results.manifest`).

Killed at any moment, what is left is understood: a part is there whole or not at all, a result without a manifest is
not complete. Knows no job rows and no principals.
"""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import re
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from executor.errors import ErrorCode, ResultFailed
from executor.jobs import Limits, ResultSummary
from executor.results import (
    BLOCK_BYTES,
    PAGE_BYTES,
    BlockFormat,
    ExportFormat,
    StoredAttempt,
    StoredBlock,
    StoredPage,
    manifest,
)
from executor.results.columns import cast_batch, result_columns, union_schema
from executor.results.pages import PageRows
from executor.results.parts import BROKEN, SUFFIX, Part, list_parts, part_schema, read_rows, row_starts
from executor.results.places import FULL, Place, store_full, unavailable
from executor.results.writing import StoredWriter
from executor.timers import Timers

_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class StoredResults:
    """A `executor.results.ResultStore` over one place. Holds nothing open; may be shared by threads."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._timers = Timers()

    def writer(self, job_id: str, attempt: int, *, limits: Limits, cap_rows: bool = True) -> StoredWriter:
        """A write stream; see `ResultStore.writer`. What an earlier one of the attempt left counts no more then."""
        _attempt(job_id, attempt)
        return StoredWriter(self._place, job_id, attempt, limits, self._timers, cap_rows=cap_rows)

    def page(
        self,
        job_id: str,
        attempt: int,
        *,
        offset: int,
        limit: int,
        columns: Sequence[str] | None = None,
        max_bytes: int = PAGE_BYTES,
        complete: bool,
    ) -> StoredPage:
        """A bounded slice; see `ResultStore.page`.

        Raises:
            ResultFailed: ``result_expired``, ``invalid_cursor``.
        """
        asked = _checked(offset, limit, columns, max_bytes)
        folder = _attempt(job_id, attempt)
        found = manifest.load(self._place, folder)
        if found is None and complete:
            raise _expired()
        try:
            if found is None:
                return _page_while_running(self._place, folder, asked)
            return _page(self._place, folder, found.parts, found.schema, asked, complete=True)
        except BROKEN as error:
            raise _expired() from error

    def block(
        self,
        job_id: str,
        attempt: int,
        format: BlockFormat,  # noqa: A002 - the word users type
        *,
        offset: int,
        limit: int,
        columns: Sequence[str] | None = None,
        max_bytes: int = BLOCK_BYTES,
        complete: bool,
    ) -> StoredBlock:
        """A bounded slice as bytes; see `ResultStore.block`. Raises as `page`."""
        from executor.results.blocks import encoded, within  # noqa: PLC0415 - loaded by those who want bytes only

        asked = _checked(offset, limit, columns, max_bytes)
        folder = _attempt(job_id, attempt)
        found = manifest.load(self._place, folder)
        if found is None and complete:
            raise _expired()
        try:
            if found is None:
                parts, schema = _readable_now(self._place, folder, asked)
            else:
                parts, schema = found.parts, found.schema
            chosen = _positions(schema, columns)
            batches = _batches_from(self._place, folder, parts, schema, asked)
            taken = within(batches, limit=limit, max_bytes=max_bytes)
        except BROKEN as error:
            raise _expired() from error
        end = offset + sum(batch.num_rows for batch in taken)
        is_last = found is not None and end >= row_starts(parts)[-1]
        shown = pa.schema([schema.field(i) for i in chosen])
        return StoredBlock(
            data=encoded(shown, taken, format),
            rows=end - offset,
            offset=offset,
            next_offset=None if is_last else end,
            complete=found is not None,
        )

    def whole(self, job_id: str, attempt: int) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """A complete result; see `ResultStore.whole`.

        Raises:
            ResultFailed: ``result_expired``, ``store_unavailable``.
        """
        folder = _attempt(job_id, attempt)
        found = manifest.load(self._place, folder)
        if found is None:
            raise _expired()
        return found.schema, _all_batches(self._place, folder, found)

    def export(self, job_id: str, attempt: int, format: ExportFormat, out: BinaryIO) -> None:  # noqa: A002 - the word users type
        """Write a complete result to `out`; see `ResultStore.export`.

        Raises:
            ResultFailed: ``result_expired``, ``store_full``.
        """
        from executor.results.export import export  # noqa: PLC0415 - loaded by exports only

        schema, batches = self.whole(job_id, attempt)
        try:
            export(schema, batches, format, out)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise store_full() from error

    def current(self, job_id: str) -> tuple[int, ResultSummary] | None:
        """The last attempt that is complete, with its summary; None when there is none.

        A worker that was lost may end late: what counts is the attempt, not when it was written.
        """
        names = [name.removesuffix(SUFFIX) for name in self._place.names(_job(job_id)) if name.endswith(SUFFIX)]
        for attempt in sorted((int(name) for name in names if name.isdecimal()), reverse=True):
            found = manifest.load(self._place, _attempt(job_id, attempt))
            if found is not None:
                return attempt, found.summary
        return None

    def delete(self, job_id: str, attempt: int | None = None) -> None:
        """Remove one attempt of a job, or all of them; see `ResultStore.delete`."""
        if attempt is None:
            self._place.remove(_job(job_id))
        else:
            folder = _attempt(job_id, attempt)
            self._place.drop(manifest.path_of(folder))
            self._place.remove(folder)

    def inventory(self) -> list[StoredAttempt]:
        """What is kept; see `ResultStore.inventory`. Files that are no result's are not told of."""
        found: dict[tuple[str, int], StoredAttempt] = {}
        for file in self._place.kept():
            job_id, _, rest = file.path.partition("/")
            attempt, _, name = rest.rpartition("/")
            if not attempt and name.endswith(SUFFIX):
                attempt = name.removesuffix(SUFFIX)
            if not _JOB_ID.fullmatch(job_id) or not attempt.isdecimal():
                continue
            key = (job_id, int(attempt))
            known = found.get(key, StoredAttempt(*key, 0, 0.0))
            found[key] = StoredAttempt(
                *key,
                bytes=known.bytes + file.bytes,
                written_at=max(known.written_at, file.written_at),
            )
        return list(found.values())

    def trial(self, job_id: str, content: bytes) -> tuple[float, float]:
        """Writes `content` as a result's part would be, reads it back and removes it: the seconds of the first two.

        Raises:
            ResultFailed: ``store_full``, ``store_unavailable``; the latter too where other bytes came back.
        """
        folder = _attempt(job_id, 1)
        try:
            began = time.monotonic()
            self._place.begin(folder)
            self._place.put(f"{folder}/trial", content)
            written = time.monotonic()
            found = self._place.read(f"{folder}/trial")
            read = time.monotonic()
        finally:
            self._place.remove(_job(job_id))
        if found != content:
            raise unavailable("what was written did not come back")
        return written - began, read - written

    def now(self) -> float:
        """The time of the place's own clock; see `ResultStore.now`."""
        return self._place.now()

    def free_bytes(self) -> int | None:
        """How much more there is room for; see `ResultStore.free_bytes`."""
        return self._place.free_bytes()


def _job(job_id: str) -> str:
    if not _JOB_ID.fullmatch(job_id):
        raise ValueError("a job id has letters, digits, - and _ only")  # a path must never come from outside
    return job_id


def _attempt(job_id: str, attempt: int) -> str:
    return f"{_job(job_id)}/{int(attempt)}"


def _expired() -> ResultFailed:
    return ResultFailed(
        ErrorCode.RESULT_EXPIRED,
        "The rows of this job are no longer kept.",
        hint="Run the query again to get them.",
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The bounds of the page that was asked for."""

    offset: int
    limit: int
    columns: Sequence[str] | None
    max_bytes: int


def _checked(offset: int, limit: int, columns: Sequence[str] | None, max_bytes: int) -> _Asked:
    if offset < 0 or limit < 1:
        raise ResultFailed(ErrorCode.INVALID_CURSOR, "A page begins at row 0 or later and has at least one row.")
    return _Asked(offset, limit, columns, max_bytes)


def _readable_now(place: Place, folder: str, asked: _Asked) -> tuple[list[Part], pa.Schema]:
    """The parts of a result that is being written, and the schema that holds those of the page; none of either yet."""
    parts = list_parts(place, folder)
    if not parts:
        return [], pa.schema([])
    starts = row_starts(parts)
    first = min(bisect_right(starts, asked.offset), len(parts)) - 1
    last = min(bisect_right(starts, asked.offset + asked.limit - 1), len(parts)) - 1
    schema, wide = part_schema(place, folder, parts[first])
    for part in parts[first + 1 : last + 1]:
        other, more = part_schema(place, folder, part)
        wide = [a or b for a, b in zip(wide, more, strict=True)]
        schema = union_schema(schema, other, wide)
    return parts, schema


def _page_while_running(place: Place, folder: str, asked: _Asked) -> StoredPage:
    parts, schema = _readable_now(place, folder, asked)
    if not parts:
        return StoredPage((), [], asked.offset, asked.offset, complete=False)
    return _page(place, folder, parts, schema, asked, complete=False)


def _batches_from(
    place: Place, folder: str, parts: Sequence[Part], schema: pa.Schema, asked: _Asked
) -> Iterator[pa.RecordBatch]:
    """The batches from the page's first row on, of the columns asked for, each read when it is wanted."""
    starts = row_starts(parts)
    chosen = _positions(schema, asked.columns)
    fields = sorted(set(chosen)) if asked.columns else None
    read_schema = schema if fields is None else pa.schema([schema.field(i) for i in fields])
    order = None if fields is None else [fields.index(i) for i in chosen]
    for index in range(bisect_right(starts, asked.offset) - 1, len(parts)):
        for batch in read_rows(place, folder, parts[index], max(0, asked.offset - starts[index]), fields):
            cast = cast_batch(batch, read_schema)
            yield cast if order is None else cast.select(order)


def _page(
    place: Place, folder: str, parts: Sequence[Part], schema: pa.Schema, asked: _Asked, *, complete: bool
) -> StoredPage:
    page = PageRows(asked.limit, asked.max_bytes)
    page.fill(_batches_from(place, folder, parts, schema, asked))
    end = asked.offset + len(page.rows)
    chosen = _positions(schema, asked.columns)
    return StoredPage(
        columns=result_columns(pa.schema([schema.field(i) for i in chosen])),
        rows=page.rows,
        offset=asked.offset,
        next_offset=end if not complete or end < row_starts(parts)[-1] else None,
        complete=complete,
        cut_cells=page.cut_cells,
    )


def _positions(schema: pa.Schema, columns: Sequence[str] | None) -> list[int]:
    if not columns:
        return list(range(len(schema)))
    chosen: list[int] = []
    for name in columns:
        found: list[int] = schema.get_all_field_indices(name)
        if not found:
            raise ResultFailed(
                ErrorCode.INVALID_CURSOR,
                f"This result has no column {name!r}.",
                hint="Its columns: " + ", ".join(list(schema.names)[:50]),
            )
        chosen += [i for i in found if i not in chosen]
    return chosen


def _all_batches(place: Place, folder: str, found: manifest.Manifest) -> Iterator[pa.RecordBatch]:
    for part in found.parts:
        try:
            yield from (cast_batch(batch, found.schema) for batch in read_rows(place, folder, part, 0))
        except BROKEN as error:
            raise _expired() from error
