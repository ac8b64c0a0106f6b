"""A job as /v1 shows it: its tag, its token, when to ask again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from executor import ErrorCode, Job, JobKind, JobState, Limits, StatementFailed
from mcp_server.http.views import poll_after, tag_of, web_view

JOB = Job(
    id="AAAAA-AAAAA-AAAAA-AAAAA-A",
    kind=JobKind.QUERY,
    owner="local/local/local",
    source="shop",
    state=JobState.RUNNING,
    stage="executing",
    attempt=1,
    shown_sql="SELECT 1",
    submitted_at=1_000.0,
    limits=Limits(),
    seen_at=1_001.0,
)
ASKS = StatementFailed(ErrorCode.NEEDS_CONFIRMATION, "Dear.")


def tag(job: Job) -> str:
    return tag_of(web_view(job, max_chars=0).content())


def test_a_tag_changes_with_the_job_and_not_with_the_clock() -> None:
    assert tag(replace(JOB, seen_at=1_009.0)) == tag(JOB)
    assert tag(replace(JOB, rows=1)) != tag(JOB)
    assert tag(replace(JOB, stage="fetching")) != tag(JOB)


@pytest.mark.parametrize(("confirm_by", "token"), [("client", "t0ken"), ("human", None)])
def test_the_token_is_told_where_a_client_may_confirm(confirm_by: str, token: str | None) -> None:
    notes = {"confirmation": "t0ken", "confirm_by": confirm_by}
    view = web_view(replace(JOB, state=JobState.FAILED, error=ASKS, notes=notes), max_chars=0)

    assert view.content().get("confirm") == token
    assert ("t0ken" in view.model_dump_json()) is (token is not None)


def test_whoever_polls_is_told_when_to_come_back() -> None:
    queued = replace(JOB, state=JobState.QUEUED, place=3)

    assert poll_after(JOB) == {"Retry-After": "1"}
    assert poll_after(replace(queued, starts_in_s=12.4)) == {"Retry-After": "12"}
    assert poll_after(replace(queued, starts_in_s=500.0)) == {"Retry-After": "30"}
    assert poll_after(replace(JOB, state=JobState.CANCELLED)) == {}
