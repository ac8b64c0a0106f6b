"""Whole results behind signed links: made for a caller who may read them, opened by whoever holds the link.

Who may have a result is looked at twice. When a link is made, the caller's job was held to what they may read now; when
it is followed, the job must still be theirs, and the policies the ones that the link was made under.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from starlette.requests import Request

from executor import Job
from mcp_server.exports import ExportFormat, exported
from mcp_server.http.links import LINK_S, Link, LinkExpired, LinkInvalid, Links
from mcp_server.http.problems import HttpCode, HttpRefused
from mcp_server.settings import McpServerSettings
from mcp_server.tools.access import ToolContext
from mcp_server.tools.export import Delivered, Delivery
from mcp_server.wire import iso

if TYPE_CHECKING:  # the type only: what is used is handed in
    from executor import Executor

_AT_ONCE = 2
"""Exports that are being written at the same time; others wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A link to a file that is there.

    Attributes:
        path: the link, below this server's address.
        bytes: of the file.
        expires_at: Unix seconds.
    """

    path: str
    bytes: int
    expires_at: int


class Downloads:
    """The files behind links.

    Args:
        executor: where the rows are.
        links: signs and opens the links.
    """

    def __init__(self, executor: Executor, links: Links) -> None:
        self._executor = executor
        self._links = links
        self._folder = executor.settings.home / "downloads"
        self._at_once = anyio.Semaphore(_AT_ONCE)

    async def offer(self, job: Job, format: ExportFormat) -> Offer:  # noqa: A002 - the word users know
        """A link to all rows of `job`, which its owner was just found to be allowed to read; good for `LINK_S` seconds.

        Raises:
            ExecutorError: as `Executor.export`.
        """
        size = (await anyio.to_thread.run_sync((await self._file_of(job, format)).stat)).st_size
        expires_at = int(time.time() + LINK_S)
        return Offer(path=self._path(job, format, expires_at), bytes=size, expires_at=expires_at)

    def urls(self, job: Job) -> dict[str, str]:
        """A link for each format, below this server's address. Their files are written when they are asked for.

        They are good for `LINK_S` to twice that, and the same during `LINK_S`: whoever is told that nothing of a job
        has changed still holds good ones.
        """
        expires_at = int((time.time() // LINK_S + 2) * LINK_S)
        return {form: self._path(job, form, expires_at) for form in get_args(ExportFormat)}

    async def opened(self, token: str) -> tuple[Job, ExportFormat, Path]:
        """The job of a link, and its file: another server may have made it, or it was tidied away.

        Raises:
            HttpRefused: ``invalid_link``, ``link_expired``.
            ExecutorError: the job is not there any more, or as `Executor.export`.
        """
        try:
            link = self._links.opened(token, now=time.time())
        except LinkInvalid as error:
            raise HttpRefused(HttpCode.INVALID_LINK, "This is no link of this server.") from error
        except LinkExpired as error:
            raise HttpRefused(HttpCode.LINK_EXPIRED, "The link no longer holds.") from error
        job = await self._executor.get(link.job_id, owner=link.owner)
        if any(origin.source not in self._executor.settings.sources for origin in job.origins):
            raise HttpRefused(HttpCode.LINK_EXPIRED, "The link no longer holds: its source is gone.")
        return job, link.format, await self._file_of(job, link.format)

    async def _file_of(self, job: Job, format: ExportFormat) -> Path:  # noqa: A002 - the word users know
        async with self._at_once:
            return await exported(
                self._executor, job, format=format, folder=self._folder, kept_s=2 * LINK_S, again=False
            )

    def _path(self, job: Job, format: ExportFormat, expires_at: int) -> str:  # noqa: A002 - the word users know
        return f"/v1/exports/{self._links.token(Link(job.id, job.owner, format, expires_at))}"


def linked_delivery(downloads: Downloads, settings: McpServerSettings) -> Delivery:
    """Behind links of `downloads`, for clients elsewhere."""

    async def deliver(job: Job, format: ExportFormat, context: ToolContext) -> Delivered:  # noqa: A002 - users' word
        offer = await downloads.offer(job, format)
        return Delivered(
            place={"url": _address(context, settings) + offer.path, "expires_at": iso(offer.expires_at) or ""},
            bytes=offer.bytes,
            next_step="Give the user the url, whole. Whoever has it may fetch the file until it expires.",
        )

    return deliver


def _address(context: ToolContext, settings: McpServerSettings) -> str:
    """This server's address as its clients know it: as the configuration says, else as the request came."""
    if settings.auth is not None and settings.auth.resource is not None:
        return settings.auth.resource.rstrip("/").removesuffix("/mcp")
    request = context.request_context.request
    if not isinstance(request, Request):
        raise LookupError("the call did not come over HTTP")
    place = urlsplit(str(request.url))
    return f"{place.scheme}://{place.netloc}"
