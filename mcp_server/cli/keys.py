"""The commands ``awaitsql keys``: what servers and workers sign with."""

from __future__ import annotations

from cyclopts import App

from mcp_server.commands.options import HERE, Json, Where

keys_app = App(name="keys")


@keys_app.command(name="list")
def keys_list(*, where: Where = HERE, json: Json = False) -> int:
    """The signing keys by their ids, and what each is good for.

    Parameters:
        json: for a program.
    """
    from mcp_server.commands.keys import run_list  # noqa: PLC0415 - a command loads what it needs

    return run_list(where, as_json=json)


@keys_app.command(name="rotate")
def keys_rotate(
    *, where: Where = HERE, after: float = 0.0, accepted_hours: float | None = None, json: Json = False
) -> int:
    """Sign with a new key. What the one before has signed stays good for a while: jobs run, links open.

    Parameters:
        after: seconds until the new key signs; where machines have copies of the file, as long as copying takes.
        accepted_hours: how long the one before is accepted from then on; without it, as long as results are kept + 24.
        json: for a program.
    """
    from mcp_server.commands.keys import run_rotate  # noqa: PLC0415 - a command loads what it needs

    return run_rotate(where, after_s=after, accepted_hours=accepted_hours, as_json=json)


@keys_app.command(name="remove")
def keys_remove(key_id: str, *, where: Where = HERE, json: Json = False) -> int:
    """Refuse all that a key has signed, now: for one that is known to others.

    Parameters:
        key_id: as the list shows it.
        json: for a program.
    """
    from mcp_server.commands.keys import run_remove  # noqa: PLC0415 - a command loads what it needs

    return run_remove(key_id, where, as_json=json)
