"""``/metrics``: what this process counted, and what the broker tells of the whole configuration, for Prometheus.

Behind `SignIn` it wants a scope of its own, which no caller's token has unless it was asked for: how busy a server is,
and with what, is nobody's but its operator's. Names no principal, no SQL, nothing of anybody's rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from executor import ExecutorError, metrics_of
from mcp_server.auth.scopes import METRICS
from mcp_server.http.operations import scope_missing
from mcp_server.http.sign_in import has_scope

if TYPE_CHECKING:  # the type only: what is used is handed in
    from executor import Executor


class _Joined(Collector):
    """The metrics of several origins as one."""

    def __init__(self, *origins: Iterable[Metric]) -> None:
        self._origins = origins

    def collect(self) -> Iterator[Metric]:
        for origin in self._origins:
            yield from origin


def metrics_endpoint(
    executor: Executor, registry: CollectorRegistry, *, metadata_url: str | None
) -> Callable[[Request], Awaitable[Response]]:
    """Answers 200 also while the broker is away: then only ``awaitsql_broker_up`` tells of it, with 0.

    Args:
        executor: asked for the configuration's figures at each scrape.
        registry: of this process.
        metadata_url: where clients learn how to sign in.
    """

    async def metrics(request: Request) -> Response:
        if not has_scope(request, METRICS):
            return scope_missing(METRICS, metadata_url)
        try:
            figures = await executor.figures()
        except ExecutorError:
            figures = None
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        body = await asyncio.to_thread(encode, _Joined(metrics_of(figures), registry.collect()))
        return Response(body, media_type=media_type)

    return metrics
