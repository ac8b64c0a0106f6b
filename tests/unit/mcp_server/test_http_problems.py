"""Every code has a status, and no next step is in the tools' words."""

from __future__ import annotations

import pytest

from executor import ErrorCode, JobNotFound
from mcp_server.errors import NEXT_STEP, CallCode
from mcp_server.http.problems import STATUS, HttpCode, HttpRefused, problem_of
from mcp_server.http.steps import in_http
from mcp_server.sql import RefusalCode

TOOLS = ("get_job", "get_rows", "list_jobs", "list_sources", "describe_tables", "query again", "tool")


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == {*ErrorCode, *RefusalCode, *CallCode, *HttpCode}
    assert all(400 <= status < 600 for status in STATUS.values())


@pytest.mark.parametrize("step", NEXT_STEP.values())
def test_a_next_step_names_requests_and_no_tools(step: str) -> None:
    assert not any(tool in in_http(step) for tool in TOOLS)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            'get_job(job_id="A-B", wait_seconds=30). The job goes on',
            "GET /v1/jobs/A-B?wait_seconds=30. The job goes on",
        ),
        ('get_rows(job_id="A-B", cursor="x") reads on.', "GET /v1/jobs/A-B/rows?cursor=x reads on."),
        ("Call list_jobs() to see your jobs.", "GET /v1/jobs to see your jobs."),
        ("Wait a little and call query again.", "Wait a little and POST /v1/jobs again."),
        ("Filter and group.", "Filter and group."),
    ],
)
def test_a_call_is_told_as_a_request(said: str, words: str) -> None:
    assert in_http(said) == words


def test_a_problem_says_what_the_error_says() -> None:
    told = problem_of(JobNotFound(ErrorCode.JOB_NOT_FOUND, "There is no job.", hint="list_jobs shows your jobs."))

    assert (told.status, told.code, told.detail) == (404, "job_not_found", "There is no job.")
    assert told.type == "urn:awaitsql:error:job_not_found"
    assert told.hint == "GET /v1/jobs shows your jobs."
    assert problem_of(HttpRefused(HttpCode.NOT_ACCEPTABLE, "No.", hint="text/csv")).hint == "text/csv"
