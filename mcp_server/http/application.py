"""The Starlette application: ``/mcp``, ``/v1``, ``/healthz``, ``/readyz``, ``/metrics``.

On loopback only, or behind `SignIn`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import DEFAULT_MAX_REQUEST_BODY_SIZE, TransportSecuritySettings
from prometheus_client import CollectorRegistry
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from mcp_server.auth.scopes import SCOPES
from mcp_server.auth.verifier import Verifier
from mcp_server.auth_settings import AuthSettings
from mcp_server.http.cors import Cors
from mcp_server.http.departure import Departure
from mcp_server.http.health import healthz, readiness_endpoint
from mcp_server.http.known_hosts import KnownHosts
from mcp_server.http.loopback import LOOPBACK_NAMES, refuse_open_host
from mcp_server.http.metrics import metrics_endpoint
from mcp_server.http.problems import Problems
from mcp_server.http.reach import WebReach
from mcp_server.http.sign_in import SignIn, ToolScopes
from mcp_server.http.spans import CallersTrace
from mcp_server.http.v1 import v1_application
from mcp_server.settings import McpServerSettings

# clients compare an issuer to the letter (RFC 8414, 3.3): without this it would be given a slash at its end
_URL = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))


_CHECKED_BEFORE = TransportSecuritySettings(enable_dns_rebinding_protection=False)
"""`KnownHosts` looks at Host and Origin, for every path alike."""


def http_application(
    server: MCPServer[Any], reach: WebReach, departure: Departure, *, version: str, registry: CollectorRegistry
) -> Starlette:
    """The application; its lifespan runs the protocol's sessions, which a mounted application's own would not.

    Args:
        server: the protocol's.
        reach: what endpoints are given.
        departure: tells whether the server leaves.
        version: of the product.
        registry: what this process counts, for ``/metrics``.

    Raises:
        SettingsInvalid: the settings name a host other than loopback, and nobody signs in.
    """
    executor, settings, auth = reach.executor, reach.settings, reach.settings.auth
    refuse_open_host(settings.host, signs_in=auth is not None)
    protocol: ASGIApp = server.streamable_http_app(
        streamable_http_path="/mcp", transport_security=_CHECKED_BEFORE, host=settings.host
    )

    @asynccontextmanager
    async def lifespan(_application: Starlette) -> AsyncGenerator[None]:
        async with server.session_manager.run():
            yield

    routes: list[Route | Mount] = [
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readiness_endpoint(executor, departure), methods=["GET"]),
    ]
    middleware = [
        Middleware(Problems, path="/v1"),
        Middleware(KnownHosts, settings=_transport_security(settings), signs_in=auth is not None),
    ]
    if executor.settings.tracing.otlp_endpoint:
        middleware.append(Middleware(CallersTrace))
    if settings.allowed_origins:
        middleware.append(Middleware(Cors, origins=settings.allowed_origins))
    metadata_url: str | None = None
    if auth is not None:
        metadata_url = _metadata_url(auth)
        routes += _metadata_routes(auth)
        middleware += [_sign_in(auth, reach, metadata_url), Middleware(AuthContextMiddleware)]
        protocol = ToolScopes(
            protocol,
            metadata_url=metadata_url,
            max_bytes=DEFAULT_MAX_REQUEST_BODY_SIZE,
            turned_away=reach.calls.turned_away,
        )
    metrics = metrics_endpoint(executor, registry, metadata_url=metadata_url)
    routes.append(Route("/metrics", metrics, methods=["GET"]))
    routes.append(Mount("/v1", app=v1_application(reach, version=version, metadata_url=metadata_url)))
    return Starlette(routes=[*routes, Mount("/", app=protocol)], middleware=middleware, lifespan=lifespan)


def _sign_in(auth: AuthSettings, reach: WebReach, metadata_url: str | None) -> Middleware:
    executor, per_minute = reach.executor, auth.calls_per_minute

    async def turn(owner: str) -> float:
        return 0 if per_minute is None else await executor.take_turn(owner, per_minute=per_minute, burst=auth.burst)

    verifier = Verifier(auth, executor.settings.home)
    return Middleware(
        SignIn,
        verifier=verifier,
        metadata_url=metadata_url,
        turned_away=reach.calls.turned_away,
        turn=None if per_minute is None else turn,
    )


def _metadata_url(auth: AuthSettings) -> str | None:
    """Where clients learn how to sign in; nowhere, where they can only be given a token."""
    if not auth.issuers or auth.resource is None:
        return None
    return str(build_resource_metadata_url(_URL.validate_python(auth.resource)))


def _metadata_routes(auth: AuthSettings) -> list[Route]:
    """The protected resource metadata of RFC 9728."""
    if not auth.issuers or auth.resource is None:
        return []
    return create_protected_resource_routes(
        resource_url=_URL.validate_python(auth.resource),
        authorization_servers=[_URL.validate_python(each.issuer) for each in auth.issuers],
        scopes_supported=list(SCOPES),
        resource_name="awaitsql",
    )


def _transport_security(settings: McpServerSettings) -> TransportSecuritySettings:
    """Loopback names and what the configuration adds: a web page elsewhere must not reach a local server by DNS."""
    hosts = [*LOOPBACK_NAMES, *(f"{host}:*" for host in LOOPBACK_NAMES), *settings.allowed_hosts]
    if settings.auth is not None and settings.auth.resource is not None:
        hosts.append(urlsplit(settings.auth.resource).netloc)
    origins = [*(f"http://{host}:*" for host in LOOPBACK_NAMES), *settings.allowed_origins]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=list(dict.fromkeys(hosts)),
        allowed_origins=list(dict.fromkeys(origins)),
    )
