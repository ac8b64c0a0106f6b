"""Which web pages a browser lets ask this server and read its answers (CORS): the configured ones, and no other.

The same origins pass `KnownHosts`, which stands before this and refuses the rest. No cookie is ever involved: a page
signs its caller in by a bearer token, so answers are not made for browsers' credentials.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_PATHS = ("/mcp", "/v1")

_SENT = (
    "Authorization",
    "If-None-Match",
    "If-Range",
    "Last-Event-ID",
    "Mcp-Method",
    "Mcp-Name",
    "MCP-Protocol-Version",
    "Mcp-Session-Id",
    "Range",
    "traceparent",
    "tracestate",
)
"""What clients of ``/mcp`` and ``/v1`` say in headers, beside what every page may send."""

_READ = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Link",
    "Location",
    "MCP-Protocol-Version",
    "Mcp-Session-Id",
    "Retry-After",
    "WWW-Authenticate",
)
"""What they read in headers, beside what every page may read."""

_ANY_PORT = ":*"


class Cors(CORSMiddleware):
    """Middleware for ``/mcp`` and ``/v1``; the open paths look after themselves.

    Args:
        app: what it stands before.
        origins: ``scheme://host``, with a port or ``:*`` where it is not the scheme's own.
    """

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        any_port = [re.escape(origin.removesuffix(_ANY_PORT)) for origin in origins if origin.endswith(_ANY_PORT)]
        super().__init__(
            app,
            allow_origins=[origin for origin in origins if not origin.endswith(_ANY_PORT)],
            allow_origin_regex=rf"(?:{'|'.join(any_port)}):\d+" if any_port else None,
            allow_methods=("GET", "HEAD", "POST", "DELETE"),
            allow_headers=_SENT,
            expose_headers=_READ,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] == "http" and scope["path"].startswith(_PATHS):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)
