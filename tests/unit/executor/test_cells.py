"""Arrow values as JSON-ready cells and as text."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal

import pyarrow as pa
import pytest

from executor.results.cells import as_text, cells, interval_text
from executor.results.columns import short_name, union_type

UTC = pa.timestamp("us", "UTC")
STRUCT = pa.struct([("n", pa.int64()), ("when", pa.date32())])


@pytest.mark.parametrize(
    ("kind", "values", "shown"),
    [
        (pa.int64(), [1, -(2**53), 2**53 + 1, -(2**63), None], [1, -(2**53), str(2**53 + 1), str(-(2**63)), None]),
        (pa.uint64(), [2**64 - 1], [str(2**64 - 1)]),
        (pa.int8(), [-128, None], [-128, None]),
        (
            pa.float64(),
            [1.5, None, float("nan"), float("inf"), -float("inf")],
            [1.5, None, "NaN", "Infinity", "-Infinity"],
        ),
        (pa.float32(), [0.1, None], [0.1, None]),
        (
            pa.decimal128(38, 10),
            [Decimal("0.0000000001"), Decimal("-12.5"), None],
            ["0.0000000001", "-12.5000000000", None],
        ),
        (pa.decimal128(38, 0), [Decimal(-7), None, Decimal(2**53)], [-7, None, 2**53]),
        (pa.decimal128(38, 0), [Decimal(10**30), Decimal(7), None], [str(10**30), 7, None]),
        (pa.decimal128(5, -2), [Decimal(12300)], ["12300"]),
        (pa.bool_(), [True, False, None], [True, False, None]),
        (pa.string(), ["", "żółw", '{"a": 1}', None], ["", "żółw", '{"a": 1}', None]),
        (pa.binary(), [b"\xde\xad", b"", None], ["\\xdead", "\\x", None]),
        (pa.date32(), [dt.date(2024, 2, 29), None], ["2024-02-29", None]),
        (pa.time64("us"), [dt.time(12, 30), None], ["12:30:00", None]),
        (pa.time64("us"), [dt.time(12, 30, 0, 120_000), dt.time(1)], ["12:30:00.12", "01:00:00"]),
        (pa.null(), [None, None], [None, None]),
        (pa.list_(pa.int64()), [[1, None], None, [], [2**60]], [[1, None], None, [], [str(2**60)]]),
        (pa.list_(pa.int8(), 2), [[1, 2], None, [3, 4]], [[1, 2], None, [3, 4]]),
        (STRUCT, [{"n": 1, "when": dt.date(2024, 1, 1)}, None], [{"n": 1, "when": "2024-01-01"}, None]),
        (pa.map_(pa.string(), pa.int32()), [[("a", 1), ("b", None)], None], [{"a": 1, "b": None}, None]),
        (pa.map_(pa.string(), pa.int32()), [[("a", 1), ("a", 2)]], [[["a", 1], ["a", 2]]]),
        (pa.map_(pa.int32(), pa.int32()), [[(1, 2)]], [{"1": 2}]),
        (pa.dictionary(pa.int8(), pa.string()), ["x", None, "x"], ["x", None, "x"]),
        (pa.string_view(), ["x", None], ["x", None]),
    ],
    ids=str,
)
def test_a_value_becomes_the_cell_that_json_can_carry_without_loss(kind, values, shown):
    array = pa.array(values, kind)
    assert cells(array) == shown
    assert cells(array.slice(1)) == shown[1:]
    json.dumps(shown, allow_nan=False)


@pytest.mark.parametrize(
    ("kind", "number", "shown"),
    [
        (pa.timestamp("us"), 1_700_000_000_000_000, "2023-11-14T22:13:20"),
        (pa.timestamp("us"), 1_700_000_000_120_000, "2023-11-14T22:13:20.12"),
        (pa.timestamp("ns"), 1_700_000_000_000_000_001, "2023-11-14T22:13:20.000000001"),
        (UTC, 1_700_000_000_000_000, "2023-11-14T22:13:20Z"),
        (pa.timestamp("us", "+02:00"), 0, "1970-01-01T02:00:00+02:00"),
        (pa.timestamp("s", "America/St_Johns"), 1_720_000_000, "2024-07-03T07:16:40-02:30"),
        (UTC, 2**63 - 1, "infinity"),
        (UTC, -(2**63), "-infinity"),
        (UTC, -(2**63) + 1, "-infinity"),
        (pa.timestamp("us"), -62_200_000_000_000_000, "-0002-12-17T14:13:20"),
        (pa.timestamp("s"), 254_402_300_800, "10031-09-09T01:46:40"),
    ],
)
def test_a_timestamp_becomes_iso_8601_with_its_offset(kind, number, shown):
    array = pa.array([number, None, 0], pa.int64()).cast(kind)
    assert cells(array)[:2] == [shown, None]
    assert len(set(cells(array))) >= 2


@pytest.mark.parametrize(("days", "shown"), [(2**31 - 1, "infinity"), (-(2**31), "-infinity"), (0, "1970-01-01")])
def test_a_date_may_be_infinite(days, shown):
    assert cells(pa.array([days, 0], pa.int32()).cast(pa.date32())) == [shown, "1970-01-01"]


@pytest.mark.parametrize(
    ("months", "days", "nanoseconds", "shown"),
    [
        (0, 0, 0, "PT0S"),
        (14, 3, 0, "P1Y2M3D"),
        (0, 0, 3_661_500_000_000, "PT1H1M1.5S"),
        (-1, -2, 0, "-P1M2D"),
        (1, -2, 0, "P1M-2D"),
        (0, 1, -500_000_000, "P1DT-0.5S"),
    ],
)
def test_an_interval_keeps_its_parts_and_their_signs(months, days, nanoseconds, shown):
    assert interval_text(months, days, nanoseconds) == shown
    array = pa.array([pa.MonthDayNano([months, days, nanoseconds]), None], pa.month_day_nano_interval())
    assert cells(array) == [shown, None]


def test_a_duration_reads_like_an_interval():
    assert cells(pa.array([90_000, None], pa.duration("ms"))) == ["PT1M30S", None]


def test_a_uuid_reads_as_its_usual_text():
    value = uuid.UUID("0189d7e8-6f3a-7c4b-9a2e-0123456789ab")
    array = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([value.bytes, None], pa.binary(16)))
    assert cells(array) == [str(value), None]


def test_a_struct_with_two_fields_of_one_name_loses_neither():
    array = pa.StructArray.from_arrays([pa.array([1]), pa.array(["x"])], names=["a", "a"])
    assert cells(array) == [[1, "x"]]


def test_a_union_shows_each_value_by_its_own_type():
    array = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([2**60, 0]), pa.array([b"", b"\x01"])])
    assert cells(array) == [str(2**60), "\\x01"]


def test_text_of_a_value_is_what_its_cell_shows():
    for array in (
        pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None], UTC),
        pa.array([Decimal("1.50"), None]),
        pa.array([b"\x01", None]),
        pa.array([float("nan"), None]),
    ):
        assert as_text(array).to_pylist() == cells(array)
    assert as_text(pa.array([[1, 2], None])).to_pylist() == ["[1,2]", None]


@pytest.mark.parametrize(
    ("left", "right", "wide", "union"),
    [
        (pa.null(), pa.int64(), False, pa.int64()),
        (pa.int32(), pa.int64(), False, pa.int64()),
        (pa.uint8(), pa.int8(), False, pa.int16()),
        (pa.uint64(), pa.int64(), False, pa.decimal128(20, 0)),
        (pa.int64(), pa.float64(), False, pa.float64()),
        (pa.int64(), pa.float64(), True, pa.string()),
        (pa.decimal128(10, 2), pa.decimal128(12, 6), False, pa.decimal128(14, 6)),
        (pa.decimal128(10, 2), pa.int64(), False, pa.decimal128(22, 2)),
        (pa.decimal128(10, 2), pa.float64(), False, pa.string()),
        (pa.string(), pa.binary(), False, pa.string()),
        (pa.bool_(), pa.int64(), False, pa.string()),
        (pa.date32(), UTC, False, pa.string()),
    ],
)
def test_types_of_two_parts_widen_only_where_every_value_stays_exact(left, right, wide, union):
    assert union_type(left, right, wide_ints=wide) == union
    assert union_type(right, left, wide_ints=wide) == union


def test_a_type_has_a_short_name():
    kinds = [
        pa.int32(),
        pa.decimal128(38, 9),
        pa.large_string(),
        UTC,
        pa.list_(pa.int8()),
        pa.map_(pa.string(), pa.date32()),
    ]
    names = ["int", "decimal(38,9)", "text", "timestamptz", "list(int)", "map(text,date)"]
    assert [short_name(kind) for kind in kinds] == names
