"""A job as an endpoint shows it: the tools' view with HTTP's words, and a tag that changes when the job does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field
from starlette.responses import Response

from executor import Job, JobState
from mcp_server.http.steps import in_http
from mcp_server.views import JobView
from mcp_server.wire import job_view

_WHOLE_SQL_CHARS = 100_000
_SOON_S = 1
_LATER_S = 30

NOT_KEPT = {"Cache-Control": "private, no-store"}
"""Rows are nobody else's, and no cache's."""


class WebJobView(JobView):
    """One job. Fields with nothing to say are left out."""

    confirm: str | None = Field(default=None, description="To be sent back with the same sql, after a person's yes.")


def web_view(
    job: Job, *, max_chars: int, warnings: Sequence[str] = (), downloads: Mapping[str, str] | None = None
) -> WebJobView:
    """The view of `job` with at most `max_chars` characters of rows, its SQL whole, and `downloads` of a result."""
    view = job_view(job, max_chars=max_chars, sql_chars=_WHOLE_SQL_CHARS, warnings=warnings)
    changed: dict[str, Any] = {"warnings": [in_http(words) for words in view.warnings]}
    if view.next_step is not None:
        changed["next_step"] = in_http(view.next_step)
    if view.result_uri is not None:
        changed["result_uri"] = f"{path_of(job)}/rows"
        changed["download_urls"] = downloads
    if view.error is not None and view.error.hint is not None:
        changed["error"] = view.error.model_copy(update={"hint": in_http(view.error.hint)})
    if job.notes.get("confirmation") is not None and job.notes.get("confirm_by") != "human":
        changed["confirm"] = str(job.notes["confirmation"])
    # nothing of it is checked again: it was made here
    return WebJobView.model_construct(view.model_fields_set | changed.keys(), **{**dict(view), **changed})


def path_of(job: Job) -> str:
    """Where the job is found."""
    return f"/v1/jobs/{job.id}"


def tag_of(content: Mapping[str, Any]) -> str:
    """A weak entity tag of a job's view: another one as soon as anything but the clock has changed."""
    progress = {k: v for k, v in (content.get("progress") or {}).items() if k != "elapsed_s"}
    told = json.dumps({**content, "progress": progress}, sort_keys=True, separators=(",", ":"))
    return f'W/"{hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()}"'


def json_answer(content: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content` as JSON. Not to be cached, unless `headers` say otherwise."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Response(
        body.encode("utf-8", "replace"), status, {**NOT_KEPT, **(headers or {})}, media_type="application/json"
    )


def poll_after(job: Job) -> dict[str, str]:
    """``Retry-After`` of a job that is not finished: when there may be news."""
    if job.is_finished:
        return {}
    soon = job.starts_in_s if job.state is JobState.QUEUED and job.starts_in_s is not None else _SOON_S
    return {"Retry-After": str(min(max(round(soon), _SOON_S), _LATER_S))}
