"""Where the rows of finished jobs are kept: write streams, pages, summaries, exports. Knows no database and no queue.

This module holds the seam only and loads no Arrow library, so that a server that never reads a page starts fast.
`executor.results.stored` is the store, over one of two places.
"""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

from executor.jobs import Limits, ResultColumn, ResultSummary
from executor.patience import Patience

if TYPE_CHECKING:
    import pyarrow as pa

ExportFormat = Literal["csv", "json", "parquet", "arrow"]
"""What `ResultStore.export` writes; ``json`` is JSON lines, one object a row."""

BlockFormat = Literal["csv", "arrow_stream"]
"""What `ResultStore.block` gives; ``arrow_stream`` is Arrow's IPC stream, not compressed, so that every reader can."""

BLOCK_BYTES = 8_000_000
"""What the rows of a block take at most, as Arrow holds them in memory."""

PAGE_BYTES = 32_000
"""What the rows of a page or preview take at most, as UTF-8 JSON."""

PREVIEW_ROWS = 1_000
"""The most rows a preview holds."""


def may_be_cut(preview: Sequence[Sequence[object]]) -> bool:
    """Whether `preview` may be a row that alone was too large for it: only such a row has its cells cut.

    Cells are cut to half until their row fits, and a letter takes at most six times what another does: what was cut
    still takes more than an eighth of `PAGE_BYTES`.
    """
    return len(preview) == 1 and len(json.dumps(preview, ensure_ascii=False).encode("utf-8", "surrogatepass")) > (
        PAGE_BYTES // 8
    )


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A bounded slice of a stored result.

    Attributes:
        columns: of the rows in this page, in their order.
        rows: arrays of JSON-ready cells, see `executor.results.cells`.
        offset: the position of the first row in the result, from 0.
        next_offset: where the next page begins; None when the result ends here for good.
        complete: False while the result is still being written, so that rows may come after `next_offset`.
        cut_cells: how many cells of this page are shown cut because their row alone was too large for a page.
    """

    columns: tuple[ResultColumn, ...]
    rows: list[list[Any]]
    offset: int
    next_offset: int | None
    complete: bool = True
    cut_cells: int = 0


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A bounded slice of a stored result as the bytes of a file.

    Attributes:
        data: with every value whole.
        rows: how many are in it.
        offset: the position of the first row in the result, from 0.
        next_offset: where the next block begins; None when the result ends here for good.
        complete: False while the result is still being written.
    """

    data: bytes
    rows: int
    offset: int
    next_offset: int | None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class StoredAttempt:
    """What one attempt of a job has in the store: bytes, and the time of its last write."""

    job_id: str
    attempt: int
    bytes: int
    written_at: float


class ResultWriter(AbstractContextManager["ResultWriter"], Protocol):
    """The rows of one attempt on their way into the store. One thread writes; any thread may read the counters.

    What an earlier writer of the attempt left goes when its first part comes, or its end. Left, no more is written.
    """

    @property
    def rows(self) -> int:
        """Rows kept so far."""
        ...

    @property
    def bytes(self) -> int:
        """Bytes kept so far, as Arrow holds them in memory."""
        ...

    @property
    def patience(self) -> Patience:
        """How long the place where rows are kept is being waited for, and was in all."""
        ...

    @property
    def first_page(self) -> list[list[Any]]:
        """After `finish`: the first rows, at most `PREVIEW_ROWS` and `PAGE_BYTES`."""
        ...

    def start(self, schema: pa.Schema) -> None:
        """Tell the columns before the first row, so that a result without rows has them. Optional."""
        ...

    def write(self, batch: pa.RecordBatch) -> bool:
        """Keep what fits of `batch`. False once a limit is reached: the caller stops reading.

        Raises:
            ResultFailed: ``store_full``, ``store_unavailable``.
        """
        ...

    def finish(self) -> ResultSummary:
        """Publish the result: from here on it is complete, and readable after any crash.

        Raises:
            ResultFailed: ``store_full``, ``store_unavailable``.
        """
        ...


class ResultStore(Protocol):
    """Keeps results by job and attempt. Writers and readers may be different processes on different machines."""

    def writer(self, job_id: str, attempt: int, *, limits: Limits, cap_rows: bool = True) -> ResultWriter:
        """A write stream. Leaving it by an exception keeps the parts written, but the result is never complete.

        Args:
            job_id: the job's handle.
            attempt: from 1; results of different attempts never mix.
            limits: `max_bytes` always holds.
            cap_rows: whether `max_rows` holds too.
        """
        ...

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
        """At most `limit` rows from `offset`, at most `max_bytes` of JSON, in time that does not grow with the result.

        Args:
            job_id: the job's handle.
            attempt: the attempt whose rows are asked for.
            offset: of the first row, from 0.
            limit: rows, at least 1.
            columns: names of the columns to return, in this order; a name that stands for several gives them all.
            max_bytes: of the rows as UTF-8 JSON; one row is always returned, its cells cut where it alone is larger.
            complete: whether the job has succeeded. False reads what is readable now, which may be nothing.

        Raises:
            ResultFailed: ``result_expired`` when `complete` and the rows are gone; ``invalid_cursor`` for a place or
                a column that the result does not have; ``store_unavailable``.
        """
        ...

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
        """As `page`, for programs: values whole and typed, up to `max_bytes` of Arrow, or one row that is larger.

        A result that is still being written may give a later block a wider type.

        Raises:
            ResultFailed: as `page`.
        """
        ...

    def whole(self, job_id: str, attempt: int) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """A complete result: its schema, and all its rows, each batch of that schema and read when it is asked for.

        Raises:
            ResultFailed: ``result_expired``, ``store_unavailable``; both also while reading.
        """
        ...

    def export(self, job_id: str, attempt: int, format: ExportFormat, out: BinaryIO) -> None:  # noqa: A002 - the word users type
        """Write a complete result to `out`, part by part.

        Raises:
            ResultFailed: ``result_expired``, ``store_unavailable``; ``store_full`` when `out` has no room.
        """
        ...

    def current(self, job_id: str) -> tuple[int, ResultSummary] | None:
        """The attempt that was published last, with its summary; None when there is none. Needs no job row."""
        ...

    def delete(self, job_id: str, attempt: int | None = None) -> None:
        """Remove one attempt of a job, or every one of them. Nothing to remove is no error.

        Raises:
            ResultFailed: ``store_unavailable``.
        """
        ...

    def inventory(self) -> list[StoredAttempt]:
        """Everything that is kept, an entry for each attempt, in no order.

        Raises:
            ResultFailed: ``store_unavailable``.
        """
        ...

    def now(self) -> float:
        """The time by the clock that `StoredAttempt.written_at` is of, which need not be this machine's; Unix seconds.

        Raises:
            ResultFailed: ``store_unavailable``.
        """
        ...

    def free_bytes(self) -> int | None:
        """How much more there is room for; None where there is no telling."""
        ...
