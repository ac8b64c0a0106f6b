"""Who may be meant and who may ask: Host and Origin headers, for everything but health and metadata."""

from __future__ import annotations

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

_OPEN = ("/healthz", "/readyz", "/.well-known/")
"""Asked by address, or from any page: they tell nothing of any caller."""

_SIGNED_IN = ("/metrics",)
"""Asked by address, too, by whoever has a token for it, which no web page has."""


class KnownHosts:
    """Middleware: a web page elsewhere must not reach this server, by another name for its address or directly."""

    def __init__(self, app: ASGIApp, *, settings: TransportSecuritySettings, signs_in: bool) -> None:
        self._app = app
        self._open = _OPEN + (_SIGNED_IN if signs_in else ())
        self._rules = TransportSecurityMiddleware(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] == "http" and not scope["path"].startswith(self._open):
            refusal = await self._rules.validate_request(Request(scope))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
