"""``awaitsql token``: tokens for teams without an authorization server. Nothing here can show a token's text again."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from executor import SettingsInvalid
from mcp_server.auth.scopes import METRICS, SCOPES
from mcp_server.auth.tokens import Token, TokenFile
from mcp_server.commands.acting import put_on_record
from mcp_server.commands.exits import Exit
from mcp_server.commands.options import Where
from mcp_server.principal import AttributeValue

_DAY_S = 86_400
_HOUR_S = 3_600
_RECORDED = ("id", "name", "roles", "scopes", "expires")


def run_create(
    name: str,
    where: Where,
    *,
    roles: Sequence[str],
    attributes: Sequence[str],
    scopes: Sequence[str],
    days: float | None,
    as_json: bool,
) -> int:
    """Makes a token and prints its text, once: to standard output alone, so that a script can keep it."""
    if not name.strip():
        raise SettingsInvalid(message="A token needs a name: whose it is.", hint="awaitsql token create ada")
    if days is not None and days <= 0:
        raise SettingsInvalid(
            message="--days is a number of days above 0.", hint="Leave it out for a token without end."
        )
    known = (*SCOPES, METRICS)
    unknown = [scope for scope in scopes if scope not in known]
    if unknown:
        raise SettingsInvalid(message=f"There is no scope {unknown[0]}.", hint=f"Scopes: {', '.join(known)}.")
    now = time.time()
    token, text = _file(where).create(
        name.strip(),
        roles=tuple(roles),
        attributes=tuple(map(_attribute, attributes)),
        scopes=tuple(scopes) or SCOPES,
        now=now,
        expires_at=None if days is None else now + days * _DAY_S,
    )
    return _shown_once(token, text, now=now, as_json=as_json)


def run_tokens(where: Where, *, as_json: bool) -> int:
    """All tokens, without their texts."""
    now = time.time()
    tokens = [_told(token, now) for token in _file(where).tokens()]
    if as_json:
        sys.stdout.write(json.dumps({"tokens": tokens}) + "\n")
        return Exit.DONE
    if not tokens:
        Console(stderr=True).print("no tokens yet: awaitsql token create NAME")
        return Exit.DONE
    table = Table(show_edge=False, header_style="bold")
    for column in ("token", "name", "state", "roles", "scopes", "expires"):
        table.add_column(column)
    for told in tokens:
        shown = [told["id"], told["name"], told["state"], ", ".join(told["roles"]), ", ".join(told["scopes"])]
        table.add_row(*shown, told["expires"] or "never")
    Console(highlight=False).print(table)
    return Exit.DONE


def run_revoke(token_id: str, where: Where, *, as_json: bool) -> int:
    """Ends a token: from the next request on it lets nobody in."""
    now = time.time()
    token = _file(where).revoke(token_id, now=now)
    if token is None:
        raise SettingsInvalid(message=f"There is no token {token_id[:40]}.", hint="awaitsql token list shows them.")
    if as_json:
        sys.stdout.write(json.dumps(_told(token, now)) + "\n")
    else:
        Console(stderr=True, highlight=False).print(f"Token {token.id} of {token.name} is revoked.")
    return Exit.DONE


def run_rotate(name: str, where: Where, *, overlap_hours: float, as_json: bool) -> int:
    """Makes a token like the newest of `name` and prints its text, once; the ones before end after the overlap."""
    if overlap_hours < 0:
        raise SettingsInvalid(message="--overlap-hours is not below 0.", hint="0 ends the old tokens now.")
    now = time.time()
    made = _file(where).rotate(name.strip(), now=now, overlap_s=overlap_hours * _HOUR_S)
    if made is None:
        raise SettingsInvalid(
            message=f"There is no token of {name[:40]} in force.", hint="awaitsql token list shows them."
        )
    return _shown_once(*made, now=now, as_json=as_json)


def _shown_once(token: Token, text: str, *, now: float, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps({**_told(token, now), "token": text}) + "\n")
        return Exit.DONE
    console = Console(stderr=True, highlight=False)
    console.print(f"Token {token.id} of {token.name}; it is shown this once. Clients send: Authorization: Bearer TOKEN")
    sys.stdout.write(text + "\n")
    return Exit.DONE


def _file(where: Where) -> TokenFile:
    settings = where.settings().executor

    def told(what: str, token: Token) -> None:
        known = _told(token, time.time())
        put_on_record(
            settings, what, token={name: known[name] for name in ("id", "name", "roles", "scopes", "expires")}
        )

    return TokenFile(settings.home, on_change=told)


def _attribute(text: str) -> tuple[str, AttributeValue]:
    """``name=value``, the value read as JSON where it is a number, true, false or a list, else as it stands."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise SettingsInvalid(message=f"--attribute {text}: write NAME=VALUE.", hint="--attribute tenant=7")
    try:
        read = json.loads(value)
    except ValueError:
        return name, value
    if isinstance(read, list):
        return name, tuple(v if isinstance(v, int) and not isinstance(v, bool) else str(v) for v in read)
    return name, read if isinstance(read, int | float | bool) else value


def _told(token: Token, now: float) -> dict[str, Any]:
    state = "revoked" if token.revoked_at is not None else "in force" if token.is_in_force(now) else "expired"
    return {
        "id": token.id,
        "name": token.name,
        "state": state,
        "roles": list(token.roles),
        "attributes": dict(token.attributes),
        "scopes": list(token.scopes),
        "created": _iso(token.created_at),
        "expires": None if token.expires_at is None else _iso(token.expires_at),
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
