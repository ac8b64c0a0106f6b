"""``/healthz``: whether this process lives. ``/readyz``: whether it should be sent requests. Neither names anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from executor import ExecutorError
from mcp_server.http.departure import Departure

if TYPE_CHECKING:  # the type only: what is used is handed in
    from executor import Executor

Endpoint = Callable[[Request], Awaitable[Response]]


async def healthz(_request: Request) -> Response:
    """200 while the process answers at all; started anew, one that does would be no better."""
    return JSONResponse({"status": "ok"})


def readiness_endpoint(executor: Executor, departure: Departure) -> Endpoint:
    """200 with the workers alive; 503 while the server leaves, the broker is away, or nobody would take a job."""

    async def readyz(_request: Request) -> Response:
        if departure.has_begun:
            return JSONResponse({"status": "leaving"}, status_code=503)
        try:
            workers = await executor.workers_alive()
        except ExecutorError as failed:
            return JSONResponse({"status": "unavailable", "code": str(failed.code)}, status_code=503)
        status = "ok" if workers else "no_workers"
        return JSONResponse({"status": status, "workers": workers}, status_code=200 if workers else 503)

    return readyz
