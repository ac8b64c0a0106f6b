"""The commands ``awaitsql token``: what callers over HTTP sign in with."""

from __future__ import annotations

from cyclopts import App

from mcp_server.commands.options import HERE, Json, Many, Where

token_app = App(name="token")


@token_app.command(name="create")
def token_create(
    name: str,
    *,
    where: Where = HERE,
    role: Many = (),
    attribute: Many = (),
    scope: Many = (),
    days: float | None = None,
    json: Json = False,
) -> int:
    """Make a token and print it, once.

    Parameters:
        name: whose it is; tokens of one name see each other's jobs.
        role: a role that policies grant by; may be given several times.
        attribute: NAME=VALUE for row filters and session settings; may be given several times.
        scope: awaitsql:read, awaitsql:query, awaitsql:export (these if none is named) or awaitsql:metrics.
        days: how long it holds; without it, until it is revoked.
        json: for a program.
    """
    from mcp_server.commands.tokens import run_create  # noqa: PLC0415 - a command loads what it needs

    return run_create(name, where, roles=role, attributes=attribute, scopes=scope, days=days, as_json=json)


@token_app.command(name="list")
def token_list(*, where: Where = HERE, json: Json = False) -> int:
    """All tokens, without their texts.

    Parameters:
        json: for a program.
    """
    from mcp_server.commands.tokens import run_tokens  # noqa: PLC0415 - a command loads what it needs

    return run_tokens(where, as_json=json)


@token_app.command(name="rotate")
def token_rotate(name: str, *, where: Where = HERE, overlap_hours: float = 24.0, json: Json = False) -> int:
    """Make a token like the newest one of a name, and print it, once; the ones before end after the overlap.

    Parameters:
        name: whose it is.
        overlap_hours: how long both let their holder in.
        json: for a program.
    """
    from mcp_server.commands.tokens import run_rotate  # noqa: PLC0415 - a command loads what it needs

    return run_rotate(name, where, overlap_hours=overlap_hours, as_json=json)


@token_app.command(name="revoke")
def token_revoke(token_id: str, *, where: Where = HERE, json: Json = False) -> int:
    """End a token: from the next request on it lets nobody in.

    Parameters:
        token_id: as the list shows it.
        json: for a program.
    """
    from mcp_server.commands.tokens import run_revoke  # noqa: PLC0415 - a command loads what it needs

    return run_revoke(token_id, where, as_json=json)
