"""The shape of ``[mcp_server.auth]``: who may vouch for callers over HTTP. Pure: verifies nothing.

Without the table callers over HTTP are the local principal, and only loopback is served.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures by a private key. Those by a shared secret are not here: whoever verifies them could make them."""


def https_url(url: str) -> str:
    """The URL itself. Raises `ValueError` for one over which keys could be changed on their way."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and parts.hostname and _is_loopback(parts.hostname):
        return url
    raise ValueError("must be an https:// URL (http:// for loopback only)")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


HttpsUrl = Annotated[str, AfterValidator(https_url)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IssuerSettings(_Table):
    """One authorization server whose access tokens (JWT, RFC 9068) are accepted."""

    issuer: HttpsUrl = Field(description="As it stands in the tokens' iss, to the letter.")
    audience: tuple[str, ...] = Field(
        default=(), description="Values of aud of which a token must have one; this server's resource if not said."
    )
    jwks_url: HttpsUrl | None = Field(
        default=None, description="Where its keys are; found through its metadata (RFC 8414) if not said."
    )
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256", "ES256"), min_length=1)
    leeway_s: float = Field(default=30, ge=0, le=300, description="What its clock may differ from ours.")
    roles_claim: str = Field(default="roles", min_length=1, description="The claim that holds a caller's roles.")
    attributes: dict[str, str] = Field(
        default_factory=dict, description="Attributes of the principal, and the claim that each is read from."
    )
    scopes: bool = Field(
        default=True, description="false: its tokens carry no scopes of ours; whoever it vouches for may use all tools."
    )


class AuthSettings(_Table):
    """How callers over HTTP sign in."""

    resource: HttpsUrl | None = Field(
        default=None, description="The URL by which clients reach /mcp; tokens are made out to it (RFC 8707)."
    )
    tokens: bool = Field(default=True, description="Whether tokens made by awaitsql token create are accepted.")
    calls_per_minute: float | None = Field(default=None, gt=0, description="Of each principal, over all servers.")
    burst: int = Field(default=30, ge=1, description="Calls that may come at once before calls_per_minute holds.")
    issuers: tuple[IssuerSettings, ...] = ()

    @model_validator(mode="after")
    def _somebody_vouches(self) -> AuthSettings:
        if not self.issuers and not self.tokens:
            raise ValueError("nobody could sign in: name an issuer, or set tokens = true")
        if self.issuers and self.resource is None:
            raise ValueError("resource is missing: the URL of /mcp, which tokens are made out to")
        names = [issuer.issuer for issuer in self.issuers]
        if len(set(names)) < len(names):
            raise ValueError("an issuer stands here twice")
        return self
