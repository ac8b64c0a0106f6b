"""Tokens of a configuration's own, for servers that tests sign in to: as ``awaitsql token create`` makes them."""

from __future__ import annotations

import time
from pathlib import Path

from mcp_server.auth.scopes import SCOPES
from mcp_server.auth.tokens import TokenFile
from mcp_server.principal import AttributeValue
from mcp_server.settings import load_settings


def own_token(
    config: Path,
    name: str,
    *,
    roles: tuple[str, ...] = (),
    scopes: tuple[str, ...] = SCOPES,
    **attributes: AttributeValue,
) -> str:
    """The text of a new token; a command for each would take longer than most tests."""
    settings = load_settings(config=config, databases=[], environ={})
    made = TokenFile(settings.executor.home).create(
        name, roles=roles, attributes=tuple(attributes.items()), scopes=scopes, now=time.time()
    )
    return made[1]
