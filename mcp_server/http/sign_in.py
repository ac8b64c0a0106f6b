"""Signing in over HTTP: every request but the open ones carries a bearer token (RFC 6750) with the scope it needs.

Refusals say how to get in (``WWW-Authenticate`` with the address of the metadata of RFC 9728 and the scope that is
needed), never what is behind. Knows paths and headers; what a token is worth is `mcp_server.auth`'s to say.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.authentication import AuthCredentials
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from executor import ErrorCode
from mcp_server.auth.scopes import READ, SCOPES, scope_of
from mcp_server.auth.signed_in import IssuerAway, SignedIn, SignInRefused
from mcp_server.auth.verifier import Verifier
from mcp_server.http.problems import HttpCode
from mcp_server.principal import Principal

log = logging.getLogger(__name__)

OPEN_PATHS = ("/healthz", "/readyz", "/.well-known/", "/v1/openapi.json", "/v1/exports/")
"""Served to everybody: they tell nothing of any caller, or carry their own signature in the address."""

_RETRY_S = 10

Turn = Callable[[str], Awaitable[float]]
"""Takes a turn of an owner; how many seconds to wait where there is none now, else 0."""

TurnedAway = Callable[[str], None]
"""Is told the code of each request that is let no further."""


class SignedInToken(AccessToken):
    """What the protocol's library hands on of a token: without its text, and with the principal it stands for."""

    principal: Principal


def signed_in_principal(connection: HTTPConnection) -> Principal:
    """Who makes this request.

    Raises:
        LookupError: the request did not pass `SignIn`, which lets no other through.
    """
    user = connection.scope.get("user")
    if not isinstance(user, AuthenticatedUser) or not isinstance(user.access_token, SignedInToken):
        raise LookupError("nobody is signed in")
    return user.access_token.principal


def calling_principal() -> Principal:
    """Who sent the protocol's message that is being answered: its library carries that along with each message.

    Raises:
        LookupError: as `signed_in_principal`.
    """
    token = get_access_token()
    if not isinstance(token, SignedInToken):
        raise LookupError("nobody is signed in")
    return token.principal


def has_scope(connection: HTTPConnection, scope: str) -> bool:
    """Whether the request's token may be used for `scope`; always, where nobody signs in."""
    credentials = connection.scope.get("auth")
    return not isinstance(credentials, AuthCredentials) or scope in credentials.scopes


class SignIn:
    """Middleware: puts the caller into the request, or answers 401, 503 or 429."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        verifier: Verifier,
        metadata_url: str | None,
        turned_away: TurnedAway,
        turn: Turn | None = None,
    ) -> None:
        self._app = app
        self._turned_away = turned_away
        self._verifier = verifier
        self._metadata_url = metadata_url
        self._turn = turn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http" or scope["path"].startswith(OPEN_PATHS):
            await self._app(scope, receive, send)
            return
        kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        try:
            if kind.lower() != "bearer":
                await self._refuse(scope, receive, send)
                return
            caller = await self._verifier.sign_in(token.strip())
        except SignInRefused as refused:
            log.info("sign_in_refused", extra={"why": str(refused)})
            await self._refuse(scope, receive, send, error="invalid_token", why=str(refused))
            return
        except IssuerAway:
            log.warning("issuer_away")
            self._turned_away(HttpCode.SIGN_IN_UNAVAILABLE)
            body = {"error": "temporarily_unavailable", "error_description": "The issuer's keys cannot be had now."}
            await JSONResponse(body, 503, {"Retry-After": str(_RETRY_S)})(scope, receive, send)
            return
        owner = caller.principal.owner
        if self._turn is not None and (wait_s := await self._turn(owner)) > 0:
            log.info("rate_limited", extra={"principal": owner})
            self._turned_away(ErrorCode.RATE_LIMITED)
            await JSONResponse(_too_many(wait_s), 429, {"Retry-After": str(max(1, round(wait_s + 0.5)))})(
                scope, receive, send
            )
            return
        scope["auth"] = AuthCredentials(sorted(caller.scopes))
        scope["user"] = AuthenticatedUser(_handed_on(caller))
        await self._app(scope, receive, send)

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send, *, error: str | None = None, why: str | None = None
    ) -> None:
        self._turned_away(HttpCode.SIGN_IN_REQUIRED)
        body = {"error": error or "invalid_token", "error_description": why or "Sign in first."}
        header = challenge(self._metadata_url, error=error, why=why, scope=" ".join(SCOPES))
        await JSONResponse(body, 401, {"WWW-Authenticate": header})(scope, receive, send)


class ToolScopes:
    """Middleware around ``/mcp``: a token without the scope that a call needs is answered 403, before the call."""

    def __init__(self, app: ASGIApp, *, metadata_url: str | None, max_bytes: int, turned_away: TurnedAway) -> None:
        self._app = app
        self._turned_away = turned_away
        self._metadata_url = metadata_url
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        messages, body = await _read(receive, self._max_bytes)
        missing = sorted({need for need in _needed(body) if not has_scope(HTTPConnection(scope), need)})
        if missing:
            self._turned_away(HttpCode.INSUFFICIENT_SCOPE)
            why = f"This needs the scope {' '.join(missing)}."
            header = challenge(self._metadata_url, error="insufficient_scope", why=why, scope=" ".join(missing))
            answer = {"error": "insufficient_scope", "error_description": why}
            await JSONResponse(answer, 403, {"WWW-Authenticate": header})(scope, receive, send)
            return
        waiting = iter(messages)

        async def again() -> Message:
            return next(waiting, None) or await receive()

        await self._app(scope, again, send)


def challenge(metadata_url: str | None, *, error: str | None, why: str | None, scope: str) -> str:
    """The value of ``WWW-Authenticate`` (RFC 6750, 3; RFC 9728, 5.1)."""
    told = {"error": error, "error_description": why, "scope": scope, "resource_metadata": metadata_url}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in told.items() if value)


def _handed_on(caller: SignedIn) -> SignedInToken:
    principal = caller.principal
    return SignedInToken(
        token="",
        client_id=principal.client,
        scopes=sorted(caller.scopes),
        expires_at=None if caller.expires_at is None else int(caller.expires_at),
        subject=principal.subject,
        claims={"iss": principal.issuer},
        principal=principal,
    )


def _too_many(wait_s: float) -> dict[str, str]:
    return {
        "error": str(ErrorCode.RATE_LIMITED),
        "error_description": f"Too many calls. Try again in {max(1, round(wait_s + 0.5))} s; jobs go on meanwhile.",
    }


async def _read(receive: Receive, max_bytes: int) -> tuple[list[Message], bytes]:
    """The messages of the body, and the body; of a larger one its beginning: the application refuses it."""
    messages: list[Message] = []
    size = 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body") or size > max_bytes:
            return messages, b"".join(m.get("body", b"") for m in messages)


def _needed(body: bytes) -> list[str]:
    """The scopes of all requests in the body. What cannot be read is refused by the application behind."""
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        return [READ]
    calls = told if isinstance(told, list) else [told]
    return [_scope(call) for call in calls] or [READ]


def _scope(call: Any) -> str:
    if not isinstance(call, dict):
        return READ
    parameters: Any = call.get("params")
    name = parameters.get("name") if isinstance(parameters, dict) else None
    return scope_of(str(call.get("method")), name if isinstance(name, str) else None)
