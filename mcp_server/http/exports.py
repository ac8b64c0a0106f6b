"""``/v1/jobs/{job_id}/export`` makes a link, ``/v1/exports/{token}`` is what it leads to: a whole result as a file."""

from __future__ import annotations

import time
from email.utils import formatdate
from pathlib import Path
from typing import Annotated

import anyio
import anyio.to_thread
from pydantic import Field
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from executor import Job
from mcp_server.auth.scopes import EXPORT
from mcp_server.exports import SUFFIX, ExportFormat, exported
from mcp_server.held import held_job
from mcp_server.http.asking import Asked, asked
from mcp_server.http.links import LINK_S, Link, LinkExpired, LinkInvalid
from mcp_server.http.operations import Answer, Operation
from mcp_server.http.problems import HttpCode, HttpRefused
from mcp_server.http.reach import WebReach
from mcp_server.http.shapes import ExportLink
from mcp_server.http.views import NOT_KEPT, json_answer
from mcp_server.wire import iso

_MEDIA_TYPE: dict[ExportFormat, str] = {
    "csv": "text/csv",
    "json": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
}
_AT_ONCE = 2
"""Exports that are being written at the same time; others wait."""


class ExportAsked(Asked):
    """As which file."""

    format: Annotated[ExportFormat, Field(description="json: JSON lines.")] = "csv"


def export_operations(reach: WebReach) -> list[Operation]:
    """Links to whole results, and the files behind them, over `reach`."""
    folder = reach.executor.settings.home / "downloads"
    at_once = anyio.Semaphore(_AT_ONCE)

    async def file_of(job: Job, format: ExportFormat) -> Path:  # noqa: A002 - the word users know
        async with at_once:
            return await exported(reach.executor, job, format=format, folder=folder, kept_s=2 * LINK_S, again=False)

    async def export(request: Request) -> Response:
        principal = reach.caller_of(request)
        told = asked(request, ExportAsked)
        job = await held_job(reach, principal, request.path_params["job_id"])
        path = await file_of(job, told.format)
        link = Link(job.id, principal.owner, told.format, int(time.time() + LINK_S))
        url = f"/v1/exports/{reach.links.token(link)}"
        is_cut = job.summary is not None and job.summary.truncated is not None
        cut = ["The result was cut, so the file does not hold every row that the statement gives."]
        content = ExportLink(
            job_id=job.id,
            url=url,
            format=told.format,
            rows=job.rows,
            bytes=(await anyio.to_thread.run_sync(path.stat)).st_size,
            expires_at=iso(link.expires_at) or "",
            warnings=cut if is_cut else [],
            next_step="GET the url; it needs no sign-in, and takes HEAD and Range.",
        )
        return json_answer(content.model_dump(mode="json"), 201, {"Location": url})

    async def download(request: Request) -> Response:
        try:
            link = reach.links.opened(request.path_params["token"], now=time.time())
        except LinkInvalid as error:
            raise HttpRefused(HttpCode.INVALID_LINK, "This is no link of this server.") from error
        except LinkExpired as error:
            raise HttpRefused(HttpCode.LINK_EXPIRED, "The link no longer holds.") from error
        # the file may be another server's, or gone by now: it is made again from the result
        job = await reach.executor.get(link.job_id, owner=link.owner)
        path = await file_of(job, link.format)
        name = f"{job.id}.{SUFFIX[link.format]}"
        headers = {
            **NOT_KEPT,
            "X-Content-Type-Options": "nosniff",
            # of the rows, which never change, and not of the file: a download goes on after it was made again
            "ETag": f'"{name}"',
            "Last-Modified": formatdate(job.finished_at, usegmt=True),
        }
        stat = await anyio.to_thread.run_sync(path.stat)
        return FileResponse(path, headers=headers, media_type=_MEDIA_TYPE[link.format], filename=name, stat_result=stat)

    file = dict.fromkeys(_MEDIA_TYPE.values())
    return [
        Operation(
            name="export_job",
            method="POST",
            path="/jobs/{job_id}/export",
            summary="A link to the whole result as a file, good for fifteen minutes.",
            scope=EXPORT,
            endpoint=export,
            query=ExportAsked,
            answers={
                201: Answer(
                    description="The link.",
                    content={"application/json": ExportLink},
                    headers={"Location": "The link, too."},
                )
            },
        ),
        Operation(
            name="download_export",
            method="GET",
            path="/exports/{token}",
            summary="The file that a link leads to. Whoever has the link may fetch it.",
            scope=None,
            endpoint=download,
            headers={"Range": "Part of the file."},
            answers={
                200: Answer(description="The file.", content=file),
                206: Answer(description="A part of it.", content={**file, "multipart/byteranges": None}),
            },
        ),
    ]
