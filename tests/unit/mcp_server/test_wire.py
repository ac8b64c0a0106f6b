"""From a job to what a client is shown: which fields, how large, in which words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from executor import (
    ErrorCode,
    ExecutorError,
    Job,
    JobKind,
    JobState,
    Limits,
    ResultColumn,
    ResultPage,
    ResultSummary,
    Truncated,
    new_job_id,
)
from mcp_server.views import JobView
from mcp_server.wire import job_line, job_view, page_view

NOW = 1_800_000_000.0


def job(state: JobState = JobState.RUNNING, **changes: Any) -> Job:
    made = Job(
        id=new_job_id(),
        kind=JobKind.QUERY,
        owner="local/local/local",
        source="shop",
        state=state,
        stage="executing" if state is JobState.RUNNING else "",
        attempt=1,
        shown_sql="SELECT 1",
        submitted_at=NOW - 3,
        limits=Limits(),
        workers_alive=2,
        seen_at=NOW,
    )
    return replace(made, **changes)


def succeeded(
    columns: list[ResultColumn], rows: list[list[Any]], *, row_count: int | None = None, **changes: Any
) -> Job:
    summary = ResultSummary(
        columns=tuple(columns),
        row_count=len(rows) if row_count is None else row_count,
        bytes=1_000,
        truncated=changes.pop("truncated", None),
        stats=changes.pop("stats", ()),
    )
    return job(
        JobState.SUCCEEDED,
        summary=summary,
        preview=rows,
        rows=summary.row_count,
        finished_at=NOW,
        expires_at=NOW + 86_400,
        **changes,
    )


EIGHT = [
    ResultColumn("id", "int"),
    ResultColumn("t", "timestamp with time zone"),
    ResultColumn("amount", "decimal(38,9)"),
    ResultColumn("bucket", "int"),
    ResultColumn("name", "text"),
    ResultColumn("h", "text"),
    ResultColumn("city", "text"),
    ResultColumn("even", "bool"),
]
ALL_DIFFERENT = {"distinct": 1_000_000, "top": [], "approximate": "from a sample of 15,847 rows"}
EIGHT_STATS = [
    {"nulls": 0, "min": 1, "max": 1_000_000, **ALL_DIFFERENT},
    {"nulls": 0, "min": "2026-01-01T00:00:01+00:00", "max": "2026-01-12T13:46:40+00:00", **ALL_DIFFERENT},
    {"nulls": 0, "min": "1.500000000", "max": "1500000.000000000", **ALL_DIFFERENT},
    {"nulls": 0, "min": 0, "max": 99, "distinct": 100, "top": [[n, 10_000] for n in range(10)]},
    {"nulls": 12, "min": "name 1", "max": "name 999999", **ALL_DIFFERENT},
    {"nulls": 0, "min": "0000104cd168386a335ba6bf6e32219d", "max": "fffff", **ALL_DIFFERENT},
    {"nulls": 0, "min": "city 0", "max": "city 9", "distinct": 50, "top": [["city 1", 20_000], ["city 2", 20_000]]},
    {"nulls": 0, "distinct": 2, "top": [[False, 500_000], [True, 500_000]]},
]


def million(**changes: Any) -> Job:
    rows = [
        [n, f"2026-01-01T00:00:{n % 60:02}+00:00", f"{n * 1.5:.9f}", n % 100, f"name {n}", "a" * 32, "city 1", True]
        for n in range(1, 1_001)
    ]
    sql = (
        "SELECT g AS id, NOW() + g * INTERVAL '1 SECOND' AS t, g * 1.5 AS amount, g % 100 AS bucket, 'name ' || g AS "
        "name, MD5(CAST(g AS TEXT)) AS h, 'city ' || g % 50 AS city, g % 2 = 0 AS even FROM GENERATE_SERIES(1, 1000000)"
    )
    return succeeded(EIGHT, rows, row_count=1_000_000, stats=tuple(EIGHT_STATS), shown_sql=sql, **changes)


def shown(some: Job, max_chars: int = 8_000) -> dict[str, Any]:
    return job_view(some, max_chars=max_chars).content()


def test_a_million_rows_cost_a_preview_and_at_most_1500_characters_more() -> None:
    content = shown(million())
    rows = len(json.dumps(content["rows"]))
    assert 4_000 < rows <= 8_000
    assert len(json.dumps(content)) - rows <= 1_500
    assert content["row_count"] == 1_000_000
    assert content["summary"]["id"] == {"min": 1, "max": 1_000_000, "distinct": 1_000_000, "approximate": True}
    assert "approximate" not in content["summary"]["bucket"]
    assert content["summary"]["name"]["nulls"] == 12


def test_the_preview_is_as_small_as_it_is_asked_to_be() -> None:
    assert len(json.dumps(shown(million(), 500)["rows"])) <= 500
    assert shown(million(), 0)["rows"] == []


def test_a_long_cell_is_cut_and_a_warning_says_how_to_read_it_whole() -> None:
    content = shown(succeeded([ResultColumn("text", "text")], [["x" * 5_000], ["short"]]))
    [long], [short] = content["rows"]
    assert len(long) <= 200
    assert "5,000" in long
    assert short == "short"
    assert "get_rows" in content["warnings"][0]


def test_a_long_json_cell_is_cut_like_text() -> None:
    content = shown(succeeded([ResultColumn("doc", "json")], [[{"list": list(range(1_000))}], [{"a": 1}]]))
    assert isinstance(content["rows"][0][0], str)
    assert len(content["rows"][0][0]) <= 200
    assert content["rows"][1][0] == {"a": 1}


def test_a_result_of_two_thousand_columns_stays_small_and_says_so() -> None:
    columns = [ResultColumn(f"a_rather_long_column_name_{n}", "int") for n in range(2_000)]
    content = shown(succeeded(columns, [list(range(2_000))]))
    assert len(json.dumps(content)) < 16_000
    assert len(content["rows"][0]) == len(content["columns"]) < 2_000
    assert any("2000 columns" in warning for warning in content["warnings"])


def test_a_whole_small_result_needs_no_further_call() -> None:
    content = shown(succeeded([ResultColumn("n", "int")], [[5]]))
    assert content["rows"] == [[5]]
    assert content["truncated"] is None
    assert "summary" not in content
    assert "get_rows" not in content["next_step"]


def test_a_result_without_rows_says_so_with_an_empty_list() -> None:
    content = shown(succeeded([ResultColumn("n", "int")], []))
    assert content["rows"] == []
    assert content["row_count"] == 0


def test_a_result_larger_than_its_preview_names_the_call_that_pages_through_it() -> None:
    some = million()
    assert f'get_rows(job_id="{some.id}")' in shown(some)["next_step"]


def test_a_truncated_result_is_marked_and_warned_of() -> None:
    content = shown(million(truncated=Truncated("max_rows", 1_000)))
    assert content["truncated"] == {"reason": "max_rows", "limit": 1_000}
    assert any("max_rows" in warning for warning in content["warnings"])


def test_a_running_job_names_the_next_call_and_says_not_to_submit_again() -> None:
    some = job(rows=12_000, bytes=480_000)
    content = shown(some)
    assert content["state"] == "running"
    assert content["stage"] == "executing"
    assert content["progress"] == {"rows": 12_000, "bytes": 480_000, "elapsed_s": 3.0}
    assert f'get_job(job_id="{some.id}", wait_seconds=30)' in content["next_step"]
    assert "do not submit it again" in content["next_step"]
    assert "rows" not in content


def test_a_queued_job_says_its_position() -> None:
    assert shown(job(JobState.QUEUED, place=5))["stage"] == "queued, position 5"
    assert shown(job(JobState.QUEUED, place=5, starts_in_s=0.2))["stage"] == "queued, position 5, about 1 s"
    assert shown(job(JobState.QUEUED, place=5, starts_in_s=31))["stage"] == "queued, position 5, about 40 s"
    assert shown(job(JobState.QUEUED, place=5, starts_in_s=119))["stage"] == "queued, position 5, about 2 min"
    assert shown(job(JobState.QUEUED))["stage"] == "queued"


def test_a_queue_without_workers_says_what_to_start() -> None:
    told = shown(job(JobState.QUEUED, place=1, workers_alive=0))
    [warning] = told["warnings"]
    assert told["workers_alive"] == 0
    assert "awaitsql worker" in warning


def test_a_broker_that_fills_is_told_with_every_job() -> None:
    [warning] = shown(job(notes={"broker_memory": 80}))["warnings"]
    assert "80 %" in warning


def test_a_failed_job_is_an_error_with_its_code_and_position() -> None:
    failed = job(
        JobState.FAILED,
        error=ExecutorError.of(ErrorCode.STATEMENT_FAILED, "division by zero", hint="use nullif", position=8),
    )
    view = job_view(failed, max_chars=8_000)
    assert view.is_error
    assert view.content()["error"] == {
        "code": "statement_failed",
        "message": "division by zero",
        "hint": "use nullif",
        "position": 8,
    }
    assert view.content()["next_step"]


def test_a_cancelled_job_is_no_error_and_says_when_the_database_stopped() -> None:
    view = job_view(job(JobState.CANCELLED, notes={"stopped_after_ms": 12.4}), max_chars=8_000)
    assert not view.is_error
    assert "12 ms" in (view.stage or "")


def test_a_job_that_is_being_cancelled_says_so() -> None:
    assert shown(job(cancel_requested_at=NOW))["stage"] == "cancelling"


def test_a_long_statement_is_cut_unless_it_is_asked_for_whole() -> None:
    some = job(shown_sql="SELECT " + ", ".join(str(n) for n in range(2_000)))
    assert len(shown(some)["sql"]) <= 500
    whole = job_view(some, max_chars=0, sql_chars=100_000)
    assert whole.sql == some.shown_sql


def test_columns_of_the_same_name_both_have_a_summary() -> None:
    columns = [ResultColumn("n", "int"), ResultColumn("n", "int")]
    stats = ({"min": 1, "max": 20}, {"min": 3, "max": 40})
    content = shown(succeeded(columns, [[n, n] for n in range(20)], stats=stats))
    assert content["summary"] == {"n": {"min": 1, "max": 20}, "n (2)": {"min": 3, "max": 40}}


def test_fields_with_nothing_to_say_are_left_out_and_warnings_never() -> None:
    content = shown(job())
    assert {"question", "error", "download_urls", "summary", "columns"}.isdisjoint(content)
    assert content["warnings"] == []


def test_the_expiry_is_iso_8601() -> None:
    assert shown(million())["expires_at"] == "2027-01-16T08:00:00Z"


def test_a_line_of_the_list_has_one_line_of_sql() -> None:
    line = job_line(job(shown_sql="SELECT 1\n  FROM a" + " UNION SELECT 2" * 50)).content()
    assert len(line["sql"]) <= 100
    assert "\n" not in line["sql"]
    assert line["submitted_at"] == "2027-01-15T07:59:57Z"


def test_a_page_names_the_call_for_the_next_one() -> None:
    page = ResultPage((ResultColumn("n", "int"),), [[1]], 0, "CURSOR")
    content = page_view(page, job_id="J", shown=[[1]]).content()
    assert 'get_rows(job_id="J", cursor="CURSOR")' in content["next_step"]
    assert content["next_cursor"] == "CURSOR"


def test_the_last_page_has_no_cursor() -> None:
    content = page_view(ResultPage((), [], 5, None), job_id="J", shown=[]).content()
    assert "next_cursor" not in content
    assert "get_rows" not in content["next_step"]


def test_an_empty_page_of_a_running_job_names_the_call_that_waits() -> None:
    content = page_view(ResultPage((), [], 0, "C", complete=False), job_id="J", shown=[]).content()
    assert 'get_job(job_id="J"' in content["next_step"]


@pytest.mark.parametrize("state", list(JobState))
def test_every_state_has_a_view(state: JobState) -> None:
    assert shown(job(state))["state"] == state.value


def test_the_view_has_the_fields_its_document_names() -> None:
    fields = (
        "job_id state stage progress asks source sql question assumptions model conversation policy plan columns rows "
        "row_count truncated summary result_uri download_urls workers_alive warnings next_step shared expires_at error"
    )
    assert list(JobView.model_fields) == fields.split()


def test_the_view_says_how_old_shared_rows_are_and_that_a_run_was_joined() -> None:
    stored = job(JobState.SUCCEEDED, submitted_at=1_000.0, rows_at=988.0, notes={"shared": "stored"})
    assert shown(stored)["shared"].startswith("rows are 12 s old")
    assert "joined" in shown(job(JobState.RUNNING, notes={"shared": "joined"}))["shared"]
    assert "shared" not in shown(job(JobState.RUNNING))
