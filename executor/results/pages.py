"""Arrow batches to the rows of one page: arrays of cells within a budget of bytes. Knows no files."""

# pyarrow ships no types: its batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from executor.results.cells import cells, clip, dumps

_STRIDE = 256
_CUT = "…"


class PageRows:
    """Collects rows until `limit` rows or `max_bytes` of JSON are reached. The first row always fits: it is cut."""

    def __init__(self, limit: int, max_bytes: int) -> None:
        self.rows: list[list[Any]] = []
        self.cut_cells = 0
        self._limit = limit
        self._left = max_bytes
        self._max_bytes = max_bytes

    def fill(self, batches: Iterable[pa.RecordBatch]) -> bool:
        """Take rows from `batches` while they fit. False when the page is full."""
        for batch in batches:
            for start in range(0, batch.num_rows, _STRIDE):
                wanted = min(_STRIDE, self._limit - len(self.rows))
                if wanted <= 0 or not self._take(batch.slice(start, wanted)):
                    return False
        return len(self.rows) < self._limit

    def _take(self, batch: pa.RecordBatch) -> bool:
        if not batch.num_columns:
            found: Iterable[tuple[Any, ...]] = (() for _ in range(batch.num_rows))
        else:
            length = self._max_bytes + 1  # longer cells are never shown whole: what is behind need not be converted
            small = batch.nbytes <= self._max_bytes
            columns = (cells(column if small else clip(column, length)) for column in batch.columns)
            found = zip(*columns, strict=True)
        for cells_of_row in found:
            row = list(cells_of_row)
            size = _size(row) + 1
            if size > self._left:
                if self.rows:
                    return False
                self._cut(row)
                size = self._left
            self.rows.append(row)
            self._left -= size
        return True

    def _cut(self, row: list[Any]) -> None:
        """Shorten the longest cells of a row that is a page of its own and still too large."""
        most = max(16, self._max_bytes // (6 * max(1, len(row))) - 8)  # a character takes at most 6 bytes in JSON
        for i, cell in enumerate(row):
            text = cell if isinstance(cell, str) else dumps(cell) if isinstance(cell, list | dict) else ""
            if len(text) > most:
                row[i] = text[: most - 1] + _CUT
                self.cut_cells += 1


def _size(row: list[Any]) -> int:
    text = dumps(row)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
