"""The commands ``awaitsql audit``: who did what."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from mcp_server.commands.options import HERE, Flag, Json, Many, Where

audit_app = App(name="audit")


@audit_app.command(name="verify")
def audit_verify(
    file: Path | None = None,
    *,
    where: Where = HERE,
    without_key: Flag = False,
    json: Json = False,
) -> int:
    """Look whether the audit is as it was written, and where it is not.

    Parameters:
        file: what audit export wrote; without it, the history itself.
        without_key: of a file, look at its hashes alone: anybody can, and whoever made a whole new file is not found.
        json: for a program.
    """
    from mcp_server.commands.audit import run_verify  # noqa: PLC0415 - a command loads what it needs

    return run_verify(file, where, has_key=not without_key, as_json=json)


@audit_app.command(name="export")
def audit_export(
    *,
    where: Where = HERE,
    since: str | None = None,
    until: str | None = None,
    owner: str | None = None,
    what: Many = (),
    job: str | None = None,
    output: Path | None = None,
) -> int:
    """Write the audit as lines of JSON that can be verified without the history.

    Parameters:
        since: a date or a time, in UTC without a zone.
        until: likewise; it does not count any more.
        owner: whose, as CLIENT/ISSUER/SUBJECT.
        what: only this kind: submitted, succeeded, failed, refused, token_created …; may be given several times.
        job: only this job's handle.
        output: a file instead of standard output.
    """
    from mcp_server.commands.audit import run_export  # noqa: PLC0415 - a command loads what it needs

    return run_export(where, since=since, until=until, owner=owner, what=what, job_id=job, output=output)
