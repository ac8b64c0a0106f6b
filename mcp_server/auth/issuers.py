"""Access tokens of authorization servers: JWT by RFC 9068, verified by the issuer's published keys (RFC 7517).

What is checked: signature by an allowed algorithm, ``iss``, ``aud``, ``exp``, ``nbf``, and that there is a ``sub``.
Keys are fetched when a token first needs them, again every five minutes, and when a token names an unknown key (at
most every `_NEW_KEYS_S` seconds: whoever sends nonsense does not make us ask the issuer each time).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import anyio.to_thread
import httpx2
import jwt
from jwt import PyJWKClient

from mcp_server.auth.scopes import SCOPES
from mcp_server.auth.signed_in import IssuerAway, SignedIn, SignInRefused
from mcp_server.auth_settings import IssuerSettings, https_url
from mcp_server.principal import AttributeValue, Principal

_FETCH_S = 5.0
_NEW_KEYS_S = 10.0
_KEYS_KEPT_S = 300.0


class Issuer:
    """One authorization server. Asks it for keys only, never about a caller."""

    def __init__(self, settings: IssuerSettings, resource: str) -> None:
        self._settings = settings
        self._audience = list(settings.audience or (resource,))
        self._keys: PyJWKClient | None = None
        self._away_until = 0.0

    async def sign_in(self, token: str) -> SignedIn:
        """The caller that a token stands for.

        Raises:
            SignInRefused: the token is not good, with the reason.
            IssuerAway: its keys cannot be had now.
        """
        key = await self._key_of(token)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(self._settings.algorithms),
                audience=self._audience,
                issuer=self._settings.issuer,
                leeway=self._settings.leeway_s,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise SignInRefused(_why(error)) from error
        return SignedIn(self._principal(claims), self._scopes(claims), float(claims["exp"]))

    async def _key_of(self, token: str) -> jwt.PyJWK:
        if self._keys is None:
            self._keys = await self._find_keys()
        try:
            # it asks the issuer, if need be, with a client that blocks
            return await anyio.to_thread.run_sync(self._keys.get_signing_key_from_jwt, token)
        except jwt.PyJWKClientConnectionError as error:
            raise IssuerAway from error
        except (jwt.PyJWKClientError, jwt.PyJWKError) as error:
            raise SignInRefused("The token is signed with a key that its issuer does not publish.") from error
        except jwt.InvalidTokenError as error:
            raise SignInRefused(_why(error)) from error

    async def _find_keys(self) -> PyJWKClient:
        url = self._settings.jwks_url or await self._discovered()
        return PyJWKClient(url, lifespan=_KEYS_KEPT_S, timeout=_FETCH_S, cooldown_duration=_NEW_KEYS_S)

    async def _discovered(self) -> str:
        """The address of the keys, as the issuer's metadata tells (RFC 8414, OpenID Connect Discovery)."""
        if time.monotonic() < self._away_until:
            raise IssuerAway
        issuer = self._settings.issuer
        async with httpx2.AsyncClient(timeout=_FETCH_S) as client:
            for url in _metadata_urls(issuer):
                try:
                    answer = await client.get(url)
                    told: Any = answer.json() if answer.status_code == 200 else None
                except (httpx2.HTTPError, ValueError):
                    continue
                # a document that names another issuer is somebody else's (RFC 8414, 3.3)
                if isinstance(told, dict) and told.get("issuer") == issuer and isinstance(told.get("jwks_uri"), str):
                    with suppress(ValueError):
                        return https_url(told["jwks_uri"])
        self._away_until = time.monotonic() + _NEW_KEYS_S
        raise IssuerAway

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        client = claims.get("client_id") or claims.get("azp") or "unknown"
        found = {name: _attribute(_claim(claims, claim)) for name, claim in self._settings.attributes.items()}
        roles = _claim(claims, self._settings.roles_claim)
        return Principal(
            client=str(client),
            issuer=self._settings.issuer,
            subject=str(claims["sub"]),
            roles=frozenset(map(str, roles)) if isinstance(roles, list) else frozenset(str(roles or "").split()),
            attributes=tuple(sorted((name, value) for name, value in found.items() if value is not None)),
        )

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[str]:
        if not self._settings.scopes:
            return frozenset(SCOPES)
        told = claims.get("scope", claims.get("scp", ""))
        return frozenset(told if isinstance(told, list) else str(told).split())


def issuer_of(token: str) -> str:
    """Who a token says that it is from. Nothing of it is believed by this.

    Raises:
        SignInRefused: it is no JWT.
    """
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise SignInRefused("The token cannot be read.") from error
    return str(claims.get("iss", ""))


def _metadata_urls(issuer: str) -> list[str]:
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    told = [
        f"/.well-known/oauth-authorization-server{path}",
        f"/.well-known/openid-configuration{path}",
        f"{path}/.well-known/openid-configuration",
    ]
    return [urlunsplit((parts.scheme, parts.netloc, each, "", "")) for each in dict.fromkeys(told)]


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of that name; where there is none, the one found by going down the parts between dots."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _attribute(value: Any) -> AttributeValue | None:
    """A claim as an attribute; None for what is none (an object, an absent claim), so that it grants nothing."""
    if isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list) and all(isinstance(v, str | int) and not isinstance(v, bool) for v in value):
        return tuple(value)
    return None


def _why(error: jwt.InvalidTokenError) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "The token has expired."
        case jwt.ImmatureSignatureError():
            return "The token is not valid yet."
        case jwt.InvalidAudienceError():
            return "The token was made out to another server."
        case jwt.InvalidAlgorithmError():
            return "The token is signed by an algorithm that is not accepted here."
        case jwt.MissingRequiredClaimError():
            return f"The token has no {error.claim}."
        case _:
            return "The token is not valid."
