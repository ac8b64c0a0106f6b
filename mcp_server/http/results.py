"""``/v1/results/query``: SQL over stored results, as a job like every other."""

from __future__ import annotations

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from executor import MOST_INPUTS
from mcp_server.auth.scopes import QUERY
from mcp_server.http.answers import TAKEN, WAIT, new_job
from mcp_server.http.asking import Sent, sent
from mcp_server.http.operations import Operation
from mcp_server.http.reach import WebReach
from mcp_server.queries import submitted_over_results
from mcp_server.waiting import clamped_wait


class NewJobOverResults(Sent):
    """A statement to run over results, and how."""

    sql: str = Field(
        description="One SELECT in DuckDB's dialect; the tables are r1, r2 … in the order of job_ids.",
        examples=["SELECT count(*) AS n FROM r1"],
    )
    job_ids: list[str] = Field(min_length=1, max_length=MOST_INPUTS, description="The handles of jobs of yours.")
    wait_seconds: float = Field(default=0, ge=0, description=WAIT)


def results_operation(reach: WebReach) -> Operation:
    """SQL over stored results, over `reach`."""

    async def query_result(request: Request) -> Response:
        principal = reach.caller_of(request)
        told = await sent(request, NewJobOverResults)
        wait_s, warnings = clamped_wait(told.wait_seconds)
        job = await submitted_over_results(reach, principal, told.sql, job_ids=told.job_ids)
        return await new_job(reach, request, job, wait_s=wait_s, warnings=warnings)

    return Operation(
        name="query_result",
        method="POST",
        path="/results/query",
        summary="Run one statement over results that are there; no database is asked.",
        scope=QUERY,
        endpoint=query_result,
        body=NewJobOverResults,
        answers=TAKEN,
    )
