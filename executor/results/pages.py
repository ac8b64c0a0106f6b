"""Arrow batches to the rows of one page: arrays of cells within a budget of bytes. Knows no files."""

# pyarrow ships no types: its batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from executor.results.cells import cells, clip, dumps

_STRIDE = 256
_SHORTEST = 16
_CUT = "…"


class PageRows:
    """Collects rows until `limit` rows or `max_bytes` of JSON are reached. The first row always fits: it is cut."""

    def __init__(self, limit: int, max_bytes: int) -> None:
        self.rows: list[list[Any]] = []
        self.cut_cells = 0
        self._limit = limit
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._stride = _STRIDE

    def fill(self, batches: Iterable[pa.RecordBatch]) -> bool:
        """Take rows from `batches` while they fit. False when the page is full."""
        for batch in batches:
            start = 0
            while start < batch.num_rows:
                some = batch.slice(start, min(self._stride, self._limit - len(self.rows)))
                if not some.num_rows or not self._take(_rows(some, self._max_bytes)):
                    return False
                start += some.num_rows
                self._stride *= 2  # few rows at first: most of a large stride would be converted for nothing
        return len(self.rows) < self._limit

    def _take(self, found: list[list[Any]]) -> bool:
        size = _size(found)
        if size <= self._left:
            self.rows += found
            self._left -= size
            return True
        for row in found:
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
        """Shorten the long cells of a row that is a page of its own and still too large."""
        texts = [c if isinstance(c, str) else dumps(c) if isinstance(c, list | dict) else "" for c in row]
        most = self._max_bytes
        while most > _SHORTEST and _size(row) > self._left:
            most //= 2
            row[:] = [t[: most - 1] + _CUT if len(t) > most else c for t, c in zip(texts, row, strict=True)]
        self.cut_cells += sum(len(t) > most for t in texts)


def _rows(batch: pa.RecordBatch, longest: int) -> list[list[Any]]:
    """The rows of a batch, cells that no page can show whole already cut short of being converted whole."""
    if not batch.num_columns:
        return [[] for _ in range(batch.num_rows)]
    small = batch.nbytes <= longest
    columns = (cells(column if small else clip(column, longest + 1)) for column in batch.columns)
    return [list(row) for row in zip(*columns, strict=True)]


def _size(value: list[Any]) -> int:
    """Bytes as JSON."""
    text = dumps(value)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
