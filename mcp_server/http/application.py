"""The Starlette application: the protocol at ``/mcp``, health at ``/healthz``. Loopback only, until callers sign in."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from mcp_server.http.health import health_endpoint
from mcp_server.http.loopback import LOOPBACK_NAMES, refuse_open_host
from mcp_server.settings import McpServerSettings

if TYPE_CHECKING:  # the type only: what is used is handed in
    from executor import Executor


def http_application(server: MCPServer[Any], executor: Executor, settings: McpServerSettings) -> Starlette:
    """The application; its lifespan runs the protocol's sessions, which a mounted application's own would not.

    Raises:
        SettingsInvalid: `settings` name a host other than loopback.
    """
    refuse_open_host(settings.host)
    protocol = server.streamable_http_app(
        streamable_http_path="/mcp", transport_security=_transport_security(settings), host=settings.host
    )

    @asynccontextmanager
    async def lifespan(_application: Starlette) -> AsyncGenerator[None]:
        async with server.session_manager.run():
            yield

    return Starlette(
        routes=[
            Route("/healthz", health_endpoint(executor), methods=["GET"]),
            Mount("/", app=protocol),
        ],
        lifespan=lifespan,
    )


def _transport_security(settings: McpServerSettings) -> TransportSecuritySettings:
    """Loopback names and what the configuration adds: a web page elsewhere must not reach a local server by DNS."""
    hosts = [*LOOPBACK_NAMES, *(f"{host}:*" for host in LOOPBACK_NAMES), *settings.allowed_hosts]
    origins = [*(f"http://{host}:*" for host in LOOPBACK_NAMES), *settings.allowed_origins]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=list(dict.fromkeys(hosts)),
        allowed_origins=list(dict.fromkeys(origins)),
    )
