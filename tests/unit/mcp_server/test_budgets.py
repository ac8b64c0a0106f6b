"""No answer is larger than its tool's budget: over results as they are stored, of any shape, in words of any length."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor import ErrorCode, ExecutorError, Job, JobKind, JobState, Limits, Touch, new_job_id
from executor.results import ResultStore
from executor.results.opening import open_results
from executor.settings import ExecutorSettings
from mcp_server.bounds import cut_json, json_length
from mcp_server.errors import CallCode, CallRefused, error_content
from mcp_server.sources import sources_that_fit
from mcp_server.tools.budgets import ERROR_CHARS, most_chars
from mcp_server.wire import job_lines, job_view

NOW = 1_800_000_000.0
LETTERS = ["a", "é", "漢", "\U0001f600", "e\u0301\u0301\u0301", "\u202e", "\x01", '"', "\\", "\n"]
"""One, two, three and four bytes, combining, turned round, and what JSON escapes."""

SHORT = pa.array(["\U0001f600 é", None, "short"] * 4)
"""What most cells of a wide result hold here."""

words = st.builds(
    lambda letters, times: "".join(letters) * times,
    st.lists(st.sampled_from(LETTERS), min_size=1, max_size=6),
    st.sampled_from([1, 3, 40, 700, 4_000]),
)
cells: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): words,
    pa.binary(): st.binary(max_size=20).map(lambda some: some * 100),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=True, allow_infinity=True),
    pa.decimal128(38, 9): st.decimals(-(10**28), 10**28, places=9, allow_nan=False),
    pa.bool_(): st.booleans(),
    pa.list_(pa.string()): st.lists(words, max_size=5),
    pa.struct([("a", pa.list_(pa.int64())), ("b", pa.string())]): st.fixed_dictionaries(
        {"a": st.lists(st.integers(0, 2**62), max_size=200), "b": words}
    ),
    pa.null(): st.none(),
}


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """Rows of one shape: few or many columns of any types, each of a few values that come again and again."""
    count, rows = draw(st.sampled_from([(1, 60), (2, 0), (8, 12), (60, 12), (1_600, 1), (1_600, 12)]))
    kinds = draw(st.lists(st.sampled_from(list(cells)), min_size=1, max_size=4))
    named = draw(st.lists(words, min_size=1, max_size=4))
    columns: list[pa.Array[Any]] = []
    for n in range(count):
        if n < len(kinds):
            kind = kinds[n]
            some = draw(st.lists(st.none() | cells[kind], min_size=1, max_size=4))
            columns.append(pa.array([some[row % len(some)] for row in range(rows)], kind))
        else:
            columns.append(columns[n % len(kinds)] if count < 100 else SHORT.slice(0, rows))
    names = [f"{named[n % len(named)]}{n}" for n in range(count)]
    return pa.RecordBatch.from_arrays(columns, names=names)


def stored(store: ResultStore, batch: pa.RecordBatch, **changes: Any) -> Job:
    """A job that succeeded with the rows of `batch`, as the store told of them."""
    limits = Limits(max_rows=50)
    handle = new_job_id()
    with store.writer(handle, 1, limits=limits) as writer:
        writer.start(batch.schema)
        writer.write(batch)
        summary = writer.finish()
        preview = json.loads(json.dumps(writer.first_page))
    return job(
        JobState.SUCCEEDED,
        id=handle,
        summary=summary,
        preview=preview,
        rows=summary.row_count,
        limits=limits,
        finished_at=NOW,
        expires_at=NOW + 86_400,
        **changes,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ResultStore:
    home = tmp_path_factory.mktemp("home")
    return open_results(ExecutorSettings(state_dir=home, results_dir=home / "results"))


def job(state: JobState, **changes: Any) -> Job:
    made = Job(
        id=new_job_id(),
        kind=JobKind.QUERY,
        owner="local/local/local",
        source="s" * 63,
        state=state,
        stage="executing" if state is JobState.RUNNING else "",
        attempt=1,
        shown_sql="SELECT 1",
        submitted_at=NOW - 3,
        limits=Limits(),
        workers_alive=0,
        seen_at=NOW,
    )
    return replace(made, **changes)


of_any = {
    "question": words,
    "expensive": words,
    "slow_store": st.floats(0, 1e9),
    "broker_memory": st.integers(0, 100),
    "estimate": st.just({"cost": "about 123,456,789,012", "rows": "about 123,456,789,012"}),
    "shared": st.sampled_from(["joined", "stored"]),
}
notes = st.fixed_dictionaries({}, optional=of_any)
notes_with_plan = st.fixed_dictionaries({}, optional={**of_any, "plan": st.lists(words, max_size=40)})
"""A plan is of a dry run, which has no rows."""

touches = st.lists(
    st.builds(
        lambda table, masked, filtered, times: Touch(
            table=table,
            filtered=filtered,
            masked=tuple(f"{name[:50]}{n}" for n in range(times) for name in masked),
            denied=(),
        ),
        words,
        st.lists(words, max_size=3),
        st.booleans(),
        st.sampled_from([0, 1, 500]),
    ),
    max_size=12,
)
slow = settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))


@slow
@given(batch=batches(), sql=words, proof=touches, more=notes, chars=st.sampled_from([0, 500, 8_000]))
def test_a_result_of_any_shape_stays_within_its_budget(store, batch, sql, proof, more, chars) -> None:
    some = stored(store, batch, shown_sql=sql, proof=tuple(proof), notes=more)
    for share in (1, 5, 20):
        content = job_view(some, max_chars=chars // share, share=share).content()
        rows = json_length(content.get("rows", []))
        assert rows <= max(chars // share, 2)
        assert json_length(content) - rows <= most_chars("get_job", preview_chars=0, jobs=share) / share


@slow
@given(
    message=words,
    hint=words,
    sql=words,
    more=notes_with_plan,
    said=st.lists(words, max_size=30),
    code=st.sampled_from([ErrorCode.STATEMENT_FAILED, ErrorCode.SOURCE_UNAVAILABLE]),
    state=st.sampled_from([JobState.FAILED, JobState.RUNNING, JobState.QUEUED]),
)
def test_a_job_without_rows_stays_within_its_budget_whatever_is_said_of_it(
    message, hint, sql, more, said, code, state
) -> None:
    error = ExecutorError.of(code, message, hint=hint, position=3) if state is JobState.FAILED else None
    some = job(state, error=error, shown_sql=sql, notes=more)
    for share in (1, 20):
        content = job_view(some, max_chars=8_000, warnings=said, share=share).content()
        assert json_length(content) <= most_chars("query", preview_chars=0, jobs=share) / share
    assert error is None or json_length({"error": error_content(error)}) <= ERROR_CHARS
    refused = CallRefused(CallCode.UNKNOWN_SOURCE, message, hint=hint)
    assert json_length({"error": error_content(refused)}) <= ERROR_CHARS


@slow
@given(sqls=st.lists(words, min_size=1, max_size=5), count=st.sampled_from([1, 20, 100]))
def test_a_list_of_jobs_stays_within_its_budget_and_shows_all_as_long_as_it_can(sqls, count) -> None:
    jobs = [job(JobState.QUEUED, shown_sql=sqls[n % len(sqls)]) for n in range(count)]
    lines = job_lines(jobs)
    assert json_length({"jobs": lines}) <= most_chars("list_jobs", preview_chars=0)
    assert [line["job_id"] for line in lines] == [one.id for one in jobs]


@slow
@given(said=st.lists(words, min_size=1, max_size=4), count=st.sampled_from([1, 30, 400]))
def test_a_list_of_sources_stays_within_its_budget(said, count) -> None:
    told = [
        {
            "name": f"source_{n}",
            "kind": "sqlite",
            "dialect": "sqlite",
            "description": said[n % len(said)],
            "tables": 0,
            "ready": False,
            "error": {"code": "source_unavailable", "message": said[n % len(said)], "next_step": "Tell the user."},
        }
        for n in range(count)
    ]
    content = sources_that_fit(told)
    assert json_length(content) <= most_chars("list_sources", preview_chars=0)
    assert len(content["sources"]) + content.get("more_sources", 0) == count
    assert [one["name"] for one in content["sources"]] == [one["name"] for one in told[: len(content["sources"])]]


@given(text=words, limit=st.integers(8, 3_000))
def test_a_cut_text_is_as_long_as_it_may_be_and_no_longer(text: str, limit: int) -> None:
    cut = cut_json(text, limit)
    assert json_length(cut) <= limit
    if json_length(text) <= limit:
        assert cut == text
    else:
        assert text.startswith(cut.partition("…")[0])
        assert json_length(cut) > limit - 13


def test_a_tool_without_a_budget_is_an_error() -> None:
    with pytest.raises(KeyError):
        most_chars("nothing", preview_chars=0)
