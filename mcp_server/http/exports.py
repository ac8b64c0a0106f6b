"""``/v1/jobs/{job_id}/export`` makes a link, ``/v1/exports/{token}`` is what it leads to: a whole result as a file."""

from __future__ import annotations

from email.utils import formatdate
from typing import Annotated

import anyio.to_thread
from pydantic import Field
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from mcp_server.auth.scopes import EXPORT
from mcp_server.exports import CUT, SUFFIX, ExportFormat
from mcp_server.held import held_job
from mcp_server.http.asking import Asked, asked
from mcp_server.http.operations import Answer, Operation
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


class ExportAsked(Asked):
    """As which file."""

    format: Annotated[ExportFormat, Field(description="json: JSON lines.")] = "csv"


def export_operations(reach: WebReach) -> list[Operation]:
    """Links to whole results, and the files behind them, over `reach`."""

    async def export(request: Request) -> Response:
        principal = reach.caller_of(request)
        told = asked(request, ExportAsked)
        job = await held_job(reach, principal, request.path_params["job_id"])
        offer = await reach.downloads.offer(job, told.format)
        is_cut = job.summary is not None and job.summary.truncated is not None
        content = ExportLink(
            job_id=job.id,
            url=offer.path,
            format=told.format,
            rows=job.rows,
            bytes=offer.bytes,
            expires_at=iso(offer.expires_at) or "",
            warnings=[CUT] if is_cut else [],
            next_step="GET the url; it needs no sign-in, and takes HEAD and Range.",
        )
        return json_answer(content.model_dump(mode="json"), 201, {"Location": offer.path})

    async def download(request: Request) -> Response:
        job, format_, path = await reach.downloads.opened(request.path_params["token"])
        name = f"{job.id}.{SUFFIX[format_]}"
        headers = {
            **NOT_KEPT,
            "X-Content-Type-Options": "nosniff",
            # of the rows, which never change, and not of the file: a download goes on after it was made again
            "ETag": f'"{name}"',
            "Last-Modified": formatdate(job.finished_at, usegmt=True),
        }
        stat = await anyio.to_thread.run_sync(path.stat)
        return FileResponse(path, headers=headers, media_type=_MEDIA_TYPE[format_], filename=name, stat_result=stat)

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
