"""Which cautions a finished job's view says, by what came."""

from __future__ import annotations

from typing import Any

import pytest

from executor import Caution, Job, JobKind, JobState, Limits, ResultColumn, ResultSummary, Touch, Truncated
from mcp_server.cautions import cautions_said
from mcp_server.wire import job_view

TIE = Caution("limit_tie", "A tie.", rows=3, tied=(1,))


def job(rows: list[list[Any]], *, count: int | None = None, **more: Any) -> Job:
    width = len(rows[0]) if rows else 2
    stats = tuple({"nulls": sum(row[i] is None for row in rows)} for i in range(width))
    columns = tuple(ResultColumn(f"c{i}", "int") for i in range(width))
    truncated = more.pop("truncated", None)
    return Job(
        id="J",
        kind=JobKind.QUERY,
        owner="o",
        source="s",
        state=JobState.SUCCEEDED,
        stage="",
        attempt=1,
        shown_sql="SELECT 1",
        submitted_at=0.0,
        limits=Limits(),
        summary=ResultSummary(columns, len(rows) if count is None else count, 0, truncated, stats),
        preview=rows,
        **more,
    )


def said(one: Job) -> list[str]:
    assert one.summary is not None
    return [line.partition(":")[0] for line in cautions_said(one, one.summary)]


@pytest.mark.parametrize(
    ("rows", "codes"),
    [
        ([], ["no_rows"]),
        ([[1, None], [2, None]], ["all_null"]),
        ([[None, None]], ["all_null"]),
        ([[0, None]], []),
        ([[1, None], [2, 3]], []),
    ],
)
def test_nothing_and_nothing_but_null_are_told(rows, codes):
    assert said(job(rows)) == codes


def test_a_column_that_the_policy_masks_may_be_null():
    masked = job([[1, None], [2, None]], proof=(Touch("main.t", masked=("c1",)),))
    assert said(masked) == []


@pytest.mark.parametrize(
    ("rows", "codes"),
    [
        ([[1, 9], [2, 8], [3, 8]], ["limit_tie"]),
        ([[1, 9], [2, 9], [3, 8]], []),
        ([[1, 8], [2, 8]], []),
    ],
)
def test_a_tie_is_told_where_the_last_rows_show_it(rows, codes):
    assert said(job(rows, cautions=(TIE,))) == codes


def test_a_tie_that_cannot_be_seen_is_not_told():
    assert said(job([[1, 8], [2, 8], [3, 8]], count=30, cautions=(TIE,))) == []
    by_name = Caution("limit_tie", "A tie.", rows=2, tied=("nothere",))
    assert said(job([[1, 8], [2, 8]], cautions=(by_name,))) == []


def test_what_depends_on_a_number_of_rows_waits_for_them():
    caution = Caution("limit_without_order", "No order.", rows=3)
    assert said(job([[1, 2]] * 2, cautions=(caution,))) == []
    assert said(job([[1, 2]] * 3, cautions=(caution,))) == ["limit_without_order"]


def test_a_view_says_each_once_with_its_code_in_front():
    always = Caution("cartesian_product", "No condition joins a and b.")
    view = job_view(job([[1, 2]], cautions=(always,), truncated=Truncated("max_rows", 1)), max_chars=100)
    assert view.warnings[0] == "cartesian_product: No condition joins a and b."
    assert [line.partition(":")[0] for line in view.warnings] == ["cartesian_product", "truncated"]
