"""The outcome of a sign-in: a caller with scopes, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from mcp_server.principal import Principal


@dataclass(frozen=True, slots=True)
class SignedIn:
    """One caller whose token was verified.

    Attributes:
        principal: who it is.
        scopes: what the token may be used for.
        expires_at: until when the token holds, Unix seconds; None for ever.
    """

    principal: Principal
    scopes: frozenset[str]
    expires_at: float | None = None


class SignInRefused(Exception):
    """The token does not let anybody in. Its text may be told to whoever sent it: it names no other caller."""


class IssuerAway(Exception):
    """The token cannot be judged now: its issuer's keys cannot be had. It may be good."""
