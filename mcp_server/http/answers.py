"""A job as the answer of an endpoint: status, tag, when to come back, and links for whom they are."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from executor import ExecutorError, Job
from mcp_server.auth.scopes import EXPORT
from mcp_server.http.operations import Answer
from mcp_server.http.presence import unless_gone
from mcp_server.http.reach import WebReach
from mcp_server.http.sign_in import has_scope
from mcp_server.http.views import WebJobView, json_answer, path_of, poll_after, tag_of, web_view
from mcp_server.queries import await_rows
from mcp_server.waiting import wait_for

VIEW = {"application/json": WebJobView}
AGAIN = {"Retry-After": "Seconds after which there may be news."}
WAIT = "Seconds to wait for the end, at most 45."

TAKEN = {
    200: Answer(description="It is finished.", content=VIEW, headers={"Location": "The job."}),
    202: Answer(description="It goes on.", content=VIEW, headers={"Location": "The job.", **AGAIN}),
}
"""What a request that makes a job is answered with."""

_SEEN = {"Cache-Control": "private, no-cache"}


async def new_job(
    reach: WebReach, request: Request, job: Job, *, wait_s: float, warnings: Sequence[str], has_key: bool = False
) -> Response:
    """The job that was just taken, with its rows where they come within `wait_s` seconds.

    Who hangs up meanwhile has it stopped, unless it `has_key`: whoever has that comes back with it.

    Raises:
        ClientGone: nobody waits any more.
    """
    said = list(warnings)
    owner = job.owner
    wait = (
        wait_for(reach.executor, job, owner=owner, timeout_s=wait_s)
        if has_key
        else await_rows(reach, job, owner=owner, wait_s=wait_s)
    )
    try:
        job = await unless_gone(request, wait)
    except ExecutorError as failed:
        said.append(f"The job is stored, but could not be looked at since: {failed.message}")
    content, headers = _told(reach, request, job, max_chars=reach.settings.preview_chars, warnings=said)
    return json_answer(content, 200 if job.is_finished else 202, {**headers, "Location": path_of(job)})


def known_job(reach: WebReach, request: Request, job: Job, *, max_chars: int, warnings: Sequence[str]) -> Response:
    """The job as it is; 304 where the request's ``If-None-Match`` says that the caller knows it like that."""
    content, headers = _told(reach, request, job, max_chars=max_chars, warnings=warnings)
    tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if "*" in tags or headers["ETag"].removeprefix("W/") in tags:
        return Response(status_code=304, headers=headers)
    return json_answer(content, 200, headers)


def _told(
    reach: WebReach, request: Request, job: Job, *, max_chars: int, warnings: Sequence[str]
) -> tuple[dict[str, object], dict[str, str]]:
    # whoever has a link needs nothing else: only who may export is told one
    links = reach.downloads.urls(job) if job.summary is not None and has_scope(request, EXPORT) else None
    content = web_view(job, max_chars=max_chars, warnings=warnings, downloads=links).content()
    return content, {**_SEEN, "ETag": tag_of(content), **poll_after(job)}
