"""A column's summary beside the exact one: the same while values are few, near it and marked where they are many."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from executor.results.statistics import MOST_DISTINCT, ColumnStatistics

ROWS = 300_000

KINDS: dict[str, tuple[pa.DataType, Callable[[int], object]]] = {
    "integers": (pa.int64(), lambda i: i * 1_000_003 - 5),
    "floats": (pa.float64(), lambda i: i / 7),
    "texts": (pa.string(), lambda i: f"näme {i}"),
    "long texts": (pa.string(), lambda i: f"{i:0200}"),
    "times": (pa.timestamp("us", "UTC"), lambda i: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=i)),
    "decimals": (pa.decimal128(20, 2), lambda i: Decimal(i) / 100),
}


def spread(rows: int, values: int) -> list[int]:
    """Each value about equally often, in no order."""
    chance = random.Random(5)
    return [chance.randrange(values) for _ in range(rows)]


def skewed(rows: int, values: int) -> list[int]:
    """The i-th value about 1 / i as often as the first."""
    return random.Random(6).choices(range(values), [1 / (i + 1) for i in range(values)], k=rows)


def summary_of(numbers: list[int], kind: str, *, size: int = 60_000) -> dict:
    type_, make = KINDS[kind]
    made = {n: make(n) for n in set(numbers)}
    column = pa.array([made[n] for n in numbers], type_)
    statistics = ColumnStatistics(type_)
    for start in range(0, len(column), size):
        statistics.add(column.slice(start, size))
    return statistics.stats()


def off_by(told: int, exact: int) -> float:
    return abs(told - exact) / exact


@pytest.mark.parametrize("kind", KINDS)
def test_of_values_that_are_all_different_the_number_of_rows_is_told(kind):
    told = summary_of(random.Random(7).sample(range(ROWS), ROWS), kind)
    assert told["distinct"] == ROWS
    assert told["top"] == []
    assert "sample of" in told["approximate"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("values", [12_000, 60_000, 250_000])
@pytest.mark.parametrize("order", ["mixed", "sorted"])
def test_values_that_come_about_equally_often_are_counted_to_a_third(kind, values, order):
    numbers = spread(ROWS, values)
    told = summary_of(sorted(numbers) if order == "sorted" else numbers, kind)
    assert off_by(told["distinct"], len(set(numbers))) < 1 / 3
    assert "sample of" in told["approximate"]


@pytest.mark.parametrize("kind", KINDS)
def test_of_skewed_values_the_frequent_ones_are_told_to_25_percent_and_the_number_within_its_bounds(kind):
    numbers = skewed(ROWS, 200_000)
    exact = Counter(numbers)
    told = summary_of(numbers, kind)
    # never fewer than what the sample shows, and at most a few too many
    assert len(exact) / (20 if kind == "long texts" else 5) < told["distinct"] < len(exact) * 1.05
    assert len(told["top"]) == 5
    for (_, count), (_, often) in zip(told["top"], exact.most_common(5), strict=True):
        assert off_by(count, often) < 0.25


def test_a_value_that_is_frequent_is_found_among_very_many_that_are_rare():
    numbers = [n if n % 20 else -1 for n in random.Random(8).sample(range(ROWS), ROWS)]
    told = summary_of(numbers, "texts")
    [[value, count]] = told["top"]
    assert value == "näme -1"
    assert off_by(count, ROWS // 20) < 0.25


@pytest.mark.parametrize("size", [700, 60_000])
def test_as_many_values_as_are_counted_are_told_exactly(size):
    numbers = [n % MOST_DISTINCT for n in range(4 * MOST_DISTINCT)] + [3] * 70 + [4] * 50
    told = summary_of(numbers, "integers", size=size)
    assert told["distinct"] == MOST_DISTINCT
    assert told["top"][:2] == [[3_000_004, 74], [4_000_007, 54]]
    assert "approximate" not in told


@pytest.mark.parametrize("size", [700, 60_000])
def test_many_values_that_come_late_are_told_of_with_those_before(size):
    """Until then the values are few and counted; that they came often is not forgotten."""
    numbers = [n % 3 for n in range(200_000)] + list(range(3, 100_003))
    told = summary_of(numbers, "texts", size=size)
    assert sorted(value for value, _ in told["top"]) == ["näme 0", "näme 1", "näme 2"]
    assert all(off_by(count, 66_667) < 0.1 for _, count in told["top"])
    assert told["distinct"] > MOST_DISTINCT
    assert "approximate" in told


def test_nulls_are_not_counted_and_a_sample_goes_on_in_a_wider_type():
    statistics = ColumnStatistics(pa.int32())
    half = [None if n % 2 else n for n in range(100_000)]
    statistics.add(pa.array(half, pa.int32()))
    statistics.retype(pa.int64())
    statistics.add(pa.array([n and n + 100_000 for n in half], pa.int64()))
    told = statistics.stats()
    assert told["nulls"] == 100_000
    assert off_by(told["distinct"], 100_000) < 0.01
    assert (told["min"], told["max"]) == (0, 199_998)


@pytest.mark.parametrize("kind", KINDS)
def test_the_ends_are_exact_however_many_values_there_are(kind):
    numbers = [*random.Random(9).sample(range(1, ROWS), ROWS - 1), 0, ROWS]
    told = summary_of(numbers, kind, size=5_000)
    few = summary_of([0, ROWS], kind)
    if kind == "texts":  # by their letters
        few = summary_of([int(n) for n in (min(map(str, numbers)), max(map(str, numbers)))], kind)
    assert (told["min"], told["max"]) == (few["min"], few["max"])


def test_a_sample_of_one_of_many_columns_is_smaller():
    rows = []
    for columns in (1, 400):
        statistics = ColumnStatistics(pa.int64(), columns=columns)
        statistics.add(pa.array(range(100_000), pa.int64()))
        rows.append(int(statistics.stats()["approximate"].split()[-2].replace(",", "")))
    assert rows[1] < rows[0] / 5
