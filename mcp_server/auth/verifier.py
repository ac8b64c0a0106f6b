"""The one place where a bearer token becomes a caller, whoever made it."""

from __future__ import annotations

import time
from pathlib import Path

from mcp_server.auth.issuers import Issuer, issuer_of
from mcp_server.auth.signed_in import SignedIn, SignInRefused
from mcp_server.auth.tokens import PREFIX, TokenFile
from mcp_server.auth_settings import AuthSettings

_LONGEST = 16_384
"""Characters of a token that is looked at."""


class Verifier:
    """Verifies tokens of the configured issuers and, where the settings let them in, our own."""

    def __init__(self, settings: AuthSettings, home: Path) -> None:
        self._tokens = TokenFile(home) if settings.tokens else None
        self._issuers = {each.issuer: Issuer(each, settings.resource or "") for each in settings.issuers}

    async def sign_in(self, token: str) -> SignedIn:
        """The caller that a token stands for.

        Raises:
            SignInRefused: it does not let anybody in.
            IssuerAway: it cannot be judged now.
        """
        if len(token) > _LONGEST:
            raise SignInRefused("The token is too long.")
        if self._tokens is not None and token.startswith(PREFIX):
            return self._tokens.sign_in(token, now=time.time())
        issuer = self._issuers.get(issuer_of(token)) if self._issuers else None
        if issuer is None:
            raise SignInRefused("Nobody that this server trusts has made the token.")
        return await issuer.sign_in(token)
