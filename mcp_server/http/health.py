"""``/healthz``: whether a query could run here, for whatever watches the process. Names nothing configured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from executor import ExecutorError

if TYPE_CHECKING:  # the type only: what is used is handed in
    from executor import Executor


def health_endpoint(executor: Executor) -> Callable[[Request], Awaitable[Response]]:
    """200 with the workers alive; 503 when the broker is away, or nobody would take a job."""

    async def healthz(_request: Request) -> Response:
        try:
            workers = await executor.workers_alive()
        except ExecutorError as failed:
            return JSONResponse({"status": "unavailable", "code": str(failed.code)}, status_code=503)
        status = "ok" if workers else "no_workers"
        return JSONResponse({"status": status, "workers": workers}, status_code=200 if workers else 503)

    return healthz
