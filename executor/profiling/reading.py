"""Runs the statements of a profile, one session each, and keeps a bounded piece of what they give. Knows no figures."""

# pyarrow ships no types: its tables and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import time
from collections.abc import Callable

import pyarrow as pa

from executor.adapters.base import Adapter
from executor.results.columns import cast_batch, storable, union_schema
from executor.running import RunningJob


class Reading:
    """Reads for one job, on one source.

    Args:
        adapter: the source's.
        job: told of each session, so that it can be cancelled.
        tell: beats for the job, before a statement that runs on a server.
        timeout_s: of one statement.
        ends_at: of `time.monotonic`: no statement runs longer.
    """

    def __init__(
        self, adapter: Adapter, job: RunningJob, tell: Callable[[RunningJob], None], *, timeout_s: float, ends_at: float
    ) -> None:
        self._adapter = adapter
        self._job = job
        self._tell = tell
        self._timeout_s = timeout_s
        self._ends_at = ends_at

    @property
    def left_s(self) -> float:
        """Seconds before the job has to be over."""
        return self._ends_at - time.monotonic()

    def rows(self, sql: str, *, most_rows: int, most_bytes: int) -> tuple[pa.Table, bool]:
        """The first rows of `sql`, and whether that is all of them.

        Raises: whatever the driver raises; `StoppedFromOutside`.
        """
        with self._adapter.session(timeout_s=min(self._timeout_s, max(self.left_s, 0.1))) as session:
            try:
                self._job.attach(session)
                if self._job.query_id is not None:
                    self._tell(self._job)
                    self._job.check()
                found = session.run(sql)
                batches: list[pa.RecordBatch] = []
                rows = size = 0
                whole = True
                for batch in found.batches:
                    self._job.check()
                    batches.append(storable(batch.slice(0, most_rows - rows)))
                    rows, size = rows + batches[-1].num_rows, size + batch.nbytes
                    if rows >= most_rows or size >= most_bytes:
                        whole = False
                        session.cancel()
                        break
                return _joined(found.schema, batches), whole
            finally:
                self._job.detach()

    def number(self, sql: str) -> list[int | None]:
        """The cells of the one row of `sql`, whole numbers. Raises as `rows`."""
        table, _ = self.rows(sql, most_rows=2, most_bytes=1_000_000)
        first = [column[0].as_py() if len(column) else None for column in table.columns]
        return [None if cell is None else int(cell) for cell in first]


def _joined(schema: pa.Schema, batches: list[pa.RecordBatch]) -> pa.Table:
    """The batches as one table whose columns hold the values of all of them."""
    if not batches:
        return pa.Table.from_batches([], schema)
    union = batches[0].schema
    for batch in batches[1:]:
        if not batch.schema.equals(union, check_metadata=False):
            union = union_schema(union, batch.schema, [False] * len(union))
    return pa.Table.from_batches([cast_batch(batch, union) for batch in batches], union)
