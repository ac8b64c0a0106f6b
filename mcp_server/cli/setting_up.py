"""The commands of a first day: demo, install, doctor, profile."""

from __future__ import annotations

from mcp_server.commands.options import HERE, Flag, Json, Many, Where


def demo(*, db: Many = ()) -> int:
    """Show the whole path on the demo shop, or on your own file: a real client, a quick, a slow and a refused query.

    Parameters:
        db: your own database instead of the demo shop.
    """
    from mcp_server.commands.demo import run_demo  # noqa: PLC0415 - a command loads what it needs

    return run_demo(db)


def install(
    client: str,
    *,
    where: Where = HERE,
    name: str = "awaitsql",
    yes: Flag = False,
    remove: Flag = False,
) -> int:
    """Write this server into a client's own configuration, after showing the change.

    Parameters:
        client: claude-code, claude-desktop, cursor, gemini, vscode or windsurf.
        name: what the client calls the server.
        yes: write without asking.
        remove: take the entry out instead.
    """
    from mcp_server.commands.install import run_install  # noqa: PLC0415 - a command loads what it needs

    return run_install(client, where, name=name, yes=yes, remove=remove)


def doctor(*, where: Where = HERE, deep: Flag = False, json: Json = False) -> int:
    """Look at everything a run needs, and say what is wrong and what to type.

    Parameters:
        deep: run a statement on each worker and source, look at the broker, clocks, disks, connections and secrets.
        json: for a program.
    """
    from mcp_server.commands.doctor import run_doctor  # noqa: PLC0415 - a command loads what it needs

    return run_doctor(where, deep=deep, as_json=json)


def profile(
    source: str | None = None,
    *,
    where: Where = HERE,
    anew: Flag = False,
    json: Json = False,
) -> int:
    """Read what a source's tables hold, for cards and searches: shares of nulls, values, examples, undeclared keys.

    Parameters:
        source: which source, where there are several.
        anew: read tables again that have not changed.
        json: the profile for a program.
    """
    from mcp_server.commands.profile import run_profile  # noqa: PLC0415 - a command loads what it needs

    return run_profile(where, source=source, anew=anew, as_json=json)
