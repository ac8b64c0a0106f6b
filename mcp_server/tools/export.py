"""The tool ``export``: a job's whole result as a file, on this machine or behind a link. Makes no job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from mcp_types import CallToolResult

from executor import Job
from mcp_server.errors import answer
from mcp_server.exports import CUT, ExportFormat, exported
from mcp_server.held import held_job
from mcp_server.tools.access import Access, ToolContext
from mcp_server.tools.arguments import Arguments
from mcp_server.tools.checked import READS, CheckedTool, checked_tool

if TYPE_CHECKING:  # the type only: what is used is handed in
    from executor import Executor


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """Where a file is to be had.

    Attributes:
        place: the fields that say it: ``path``, or ``url`` and ``expires_at``.
        bytes: of the file.
        next_step: what to do with the place.
    """

    place: dict[str, str]
    bytes: int
    next_step: str


Delivery = Callable[[Job, ExportFormat, ToolContext], Awaitable[Delivered]]
"""Writes the caller's job as a file, and says where that client finds it. Raises as `Executor.export`."""


class ExportArguments(Arguments):
    """See the tool's description."""

    job_id: str
    format: ExportFormat = "csv"


def local_delivery(executor: Executor, folder: Path) -> Delivery:
    """Into files in `folder`, for clients on this machine."""

    async def deliver(job: Job, format: ExportFormat, _context: ToolContext) -> Delivered:  # noqa: A002 - users' word
        path = await exported(executor, job, format=format, folder=folder)
        size = (await anyio.to_thread.run_sync(path.stat)).st_size
        return Delivered(place={"path": str(path)}, bytes=size, next_step="Tell the user where the file is.")

    return deliver


def export_tool(access: Access, delivery: Delivery) -> CheckedTool:
    """``export`` over `access`, delivered as `delivery` does."""

    async def export(arguments: ExportArguments, context: ToolContext) -> CallToolResult:
        job = await held_job(access, access.principal_of(context), arguments.job_id)
        delivered = await delivery(job, arguments.format, context)
        told: dict[str, Any] = {
            "job_id": job.id,
            **delivered.place,
            "format": arguments.format,
            "rows": job.rows,
            "bytes": delivered.bytes,
        }
        if job.summary is not None and job.summary.truncated is not None:
            told["warnings"] = [CUT]
        return answer({**told, "next_step": delivered.next_step})

    return checked_tool(
        "export",
        ExportArguments,
        export,
        calls=access.calls,
        description="A job's whole result as a file: its path or a link. json: JSON lines.",
        annotations=READS,
    )
