"""The trace that a request belongs to, by its ``traceparent`` header, and the span of a request to ``/v1``.

Named after OpenTelemetry's conventions for HTTP servers, but for paths: they hold handles, and signed links.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_W3C = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("awaitsql")


class CallersTrace:
    """Middleware: spans made for a request belong to its caller's trace. A trace context in ``_meta`` comes before."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = context.attach(_W3C.extract(Headers(scope=scope)))
        try:
            await self._app(scope, receive, send)
        finally:
            context.detach(token)


class RequestSpan:
    """What the answer to a request says, on its span."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def tell(self, response: Response) -> Response:
        """`response`, whose status the span is told. What a caller did wrong is no error of the server's."""
        self._span.set_attribute("http.response.status_code", response.status_code)
        if response.status_code >= 500:
            self._span.set_attribute("error.type", str(response.status_code))
            self._span.set_status(Status(StatusCode.ERROR))
        return response


@contextmanager
def request_span(request: Request, route: str) -> Generator[RequestSpan]:
    """Around the work of an answer, up to its first byte; `route` is its path, with the names of its parameters."""
    with _TRACER.start_as_current_span(
        f"{request.method} {route}",
        kind=SpanKind.SERVER,
        attributes={"http.request.method": request.method, "http.route": route, "url.scheme": request.url.scheme},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield RequestSpan(span)
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise
