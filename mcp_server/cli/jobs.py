"""The commands ``awaitsql jobs``: what was submitted, its rows, its questions."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from mcp_server.commands.options import HERE, NOWHERE, Format, Json, There, Where

jobs_app = App(name="jobs")


@jobs_app.command(name="list")
def jobs_list(*, where: Where = HERE, there: There = NOWHERE, limit: int = 20, json: Json = False) -> int:
    """The newest jobs.

    Parameters:
        limit: how many.
        json: for a program.
    """
    if there.is_meant(where):
        from mcp_server.commands.jobs_there import run_list_there  # noqa: PLC0415 - a command loads what it needs

        return run_list_there(there, limit=limit, as_json=json)
    from mcp_server.commands.jobs import run_list  # noqa: PLC0415 - a command loads what it needs

    return run_list(where, limit=limit, as_json=json)


@jobs_app.command(name="show")
def jobs_show(
    job_id: str, *, where: Where = HERE, there: There = NOWHERE, wait: float = 0.0, json: Json = False
) -> int:
    """One job: state, progress, error or the first rows.

    Parameters:
        job_id: the handle.
        wait: seconds to wait for its end; starts a worker for it where none is running.
        json: for a program.
    """
    if there.is_meant(where):
        from mcp_server.commands.jobs_there import run_show_there  # noqa: PLC0415 - a command loads what it needs

        return run_show_there(job_id, there, wait_s=wait, as_json=json)
    from mcp_server.commands.jobs import run_show  # noqa: PLC0415 - a command loads what it needs

    return run_show(job_id, where, wait_s=wait, as_json=json)


@jobs_app.command(name="rows")
def jobs_rows(
    job_id: str,
    *,
    where: Where = HERE,
    there: There = NOWHERE,
    cursor: str | None = None,
    limit: int = 100,
    format: Format = "table",  # noqa: A002 - the word users know
    output: Path | None = None,
    json: Json = False,
) -> int:
    """A page of a job's rows, or all of them in another format.

    Parameters:
        job_id: the handle.
        cursor: next_cursor of the page before.
        limit: rows a page.
        format: table prints a page; csv, json, parquet and arrow write the whole result.
        output: a file for the rows instead of standard output.
        json: the page for a program.
    """
    if there.is_meant(where):
        from mcp_server.commands.jobs_there import run_rows_there  # noqa: PLC0415 - a command loads what it needs

        return run_rows_there(job_id, there, cursor=cursor, limit=limit, format=format, output=output, as_json=json)
    from mcp_server.commands.jobs import run_rows  # noqa: PLC0415 - a command loads what it needs

    return run_rows(job_id, where, cursor=cursor, limit=limit, format=format, output=output, as_json=json)


@jobs_app.command(name="answer")
def jobs_answer(
    job_id: str,
    answer: str | None = None,
    /,
    *,
    where: Where = HERE,
    there: There = NOWHERE,
    wait: float = 10.0,
    json: Json = False,
) -> int:
    """Tell a waiting job what it asks.

    Parameters:
        job_id: the handle.
        answer: yes, no, a text, or an object as JSON; left out, you are asked, which counts as a person's answer.
        wait: seconds to wait for its end afterwards.
        json: for a program.
    """
    if there.is_meant(where):
        from mcp_server.commands.jobs_there import run_answer_there  # noqa: PLC0415 - a command loads what it needs

        return run_answer_there(job_id, answer, there, wait_s=wait, as_json=json)
    from mcp_server.commands.jobs import run_answer  # noqa: PLC0415 - a command loads what it needs

    return run_answer(job_id, answer, where, wait_s=wait, as_json=json)


@jobs_app.command(name="cancel")
def jobs_cancel(job_id: str, *, where: Where = HERE, there: There = NOWHERE, json: Json = False) -> int:
    """Cancel a job, down to the database.

    Parameters:
        job_id: the handle.
        json: for a program.
    """
    if there.is_meant(where):
        from mcp_server.commands.jobs_there import run_cancel_there  # noqa: PLC0415 - a command loads what it needs

        return run_cancel_there(job_id, there, as_json=json)
    from mcp_server.commands.jobs import run_cancel  # noqa: PLC0415 - a command loads what it needs

    return run_cancel(job_id, where, as_json=json)
