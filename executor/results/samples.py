"""A column's values by a sample of its rows: about how many are distinct, and about how often the frequent ones come.

Each row is taken with the same chance, a power of one half, whatever the order of the rows; when the sample grows too
large, half of it is let go and the chance halved. The number of distinct values is estimated as in Haas and Stokes,
"Estimating the number of classes in a finite population" (1998), estimator Duj1, which PostgreSQL's ANALYZE uses, too:
n distinct values in r of N rows, f of them once, make r·n / (r - f + f·r/N). It is close where values come about
equally often, so frequent ones are set aside first and counted as they are, as their Duj2a does. Otherwise it is too
low, though never lower than what the sample shows: by a fifth for values drawn at random, to a quarter of 60,000 words
as frequent as words are. A sketch that sees every row (HyperLogLog) would be closer and cost as much as the rest of
the summary: Arrow hashes no values for others. Knows no files.
"""

# pyarrow ships no types: its arrays and kernels are unknown to the checker.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import random

import pyarrow as pa
import pyarrow.compute as pc

from executor.results.columns import cast

MOST_ROWS = 20_000
"""Rows of the largest sample, twice those of the smallest: a value in one of a hundred rows is seen a hundred times or
more, and its count is up to 10 % off (one standard deviation)."""

_FEWEST_ROWS = 512
_ROWS_AT_ONCE = 65_536
_MOST_BYTES = 1_000_000
_SEEN_OFTEN = 20
"""Values that the sample shows so often are frequent. The others are not told of: counts of them would be guesses, more
than 22 % off."""


class Sample:
    """Rows of one column, of type `kind`; `share` of the full memory is its own. Nulls are not counted."""

    def __init__(self, kind: pa.DataType, share: float) -> None:
        self._kind = kind
        self._most_rows = max(_FEWEST_ROWS, int(MOST_ROWS * share))
        self._most_bytes = int(_MOST_BYTES * share)
        self._kept: list[pa.Array] = []
        self._rows = self._bytes = 0
        self._halvings = 0
        self._seen = 0
        # the same rows have the same summary each time
        self._chance = random.Random(1)  # noqa: S311 - nothing secret

    def add(self, column: pa.Array) -> None:
        """Take the next values."""
        self._seen += len(column) - column.null_count
        # before the rows are copied: most of a large batch would be let go at once
        while self._rows + (len(column) - column.null_count >> self._halvings) > self._most_rows:
            self._halve()
        values = self._thinned(column, self._halvings).drop_null()
        self._kept.append(values)
        self._rows += len(values)
        self._bytes += values.nbytes
        while self._bytes > self._most_bytes and self._rows > 1:
            self._halve()

    def add_counted(self, values: pa.Array, counts: pa.Array) -> None:
        """Take values that come `counts` times each."""
        runs = pa.RunEndEncodedArray.from_arrays(pc.cumulative_sum(counts), values)
        for start in range(0, len(runs), _ROWS_AT_ONCE):
            self.add(pc.run_end_decode(runs.slice(start, _ROWS_AT_ONCE)))

    def retype(self, kind: pa.DataType) -> None:
        """Go on with values of the wider type `kind`."""
        self._kind = kind
        self._kept = [cast(values, kind) for values in self._kept]

    @property
    def rows(self) -> int:
        """Rows in the sample."""
        return self._rows

    @property
    def is_whole(self) -> bool:
        """Whether every row is in the sample."""
        return self._halvings == 0

    def values(self) -> pa.Array:
        """The sample's values."""
        return pa.concat_arrays(self._kept) if self._kept else pa.array([], self._kind)

    def told(self, most: int) -> tuple[int, pa.Array, list[int]]:
        """About how many values are distinct, and the `most` frequent with about how often they come."""
        counted = pc.value_counts(self.values())
        values, counts = counted.field(0), counted.field(1)
        often = pc.select_k_unstable(counts, most, [("", "descending")])
        least = 2 if self.is_whole else _SEEN_OFTEN
        often = often.filter(pc.greater_equal(counts.take(often), least))
        scale = self._seen / max(self._rows, 1)
        found = [round(count * scale) for count in counts.take(often).to_pylist()]
        return self._distinct(counts), values.take(often), found

    def _distinct(self, counts: pa.Array) -> int:
        rare = counts.filter(pc.less(counts, _SEEN_OFTEN))
        if not len(rare):
            return len(counts)
        rows = pc.sum(rare).as_py()
        once = pc.sum(pc.equal(rare, 1)).as_py()
        estimate = rows * len(rare) / (rows - once + once * self._rows / self._seen)
        return min(len(counts) - len(rare) + max(round(estimate), len(rare)), self._seen)

    def _halve(self) -> None:
        self._halvings += 1
        self._kept = [self._thinned(self.values(), 1)]
        self._rows, self._bytes = len(self._kept[0]), self._kept[0].nbytes

    def _thinned(self, column: pa.Array, halvings: int) -> pa.Array:
        """Each value with a chance of one half, `halvings` times over."""
        size = len(column)
        if not halvings or not size:
            return column
        bits = self._chance.getrandbits(size)
        for _ in range(halvings - 1):
            bits &= self._chance.getrandbits(size)
        packed = pa.py_buffer(bits.to_bytes((size + 7) // 8, "little"))
        return column.filter(pa.Array.from_buffers(pa.bool_(), size, [None, packed]))
