"""``awaitsql jobs --server``: the caller's jobs on a server elsewhere."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from executor import InputRequest, ResultColumn
from mcp_server.answers import answer_in_words
from mcp_server.commands.answering import typed_answer
from mcp_server.commands.exits import Exit
from mcp_server.commands.jobs import print_jobs
from mcp_server.commands.query_there import rows_written, say_failed
from mcp_server.commands.rows import RowFormat, print_table, refuse_binary_terminal
from mcp_server.commands.server import FINISHED, Server, There, exit_of_view, followed, run_there, words


def run_list_there(there: There, *, limit: int, as_json: bool) -> int:
    """The newest jobs, a line each."""

    async def work(server: Server) -> int:
        told = await server.ask("GET", "/v1/jobs", params={"limit": limit})
        if as_json:
            _say(told)
            return Exit.DONE
        print_jobs(
            [
                (
                    job["job_id"],
                    job.get("error") or job["state"],
                    job["source"],
                    job.get("row_count") or 0,
                    datetime.strptime(job["submitted_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp(),
                    job["sql"],
                )
                for job in told["jobs"]
            ]
        )
        return Exit.DONE

    return run_there(there, work, as_json=as_json)


def run_show_there(job_id: str, there: There, *, wait_s: float, as_json: bool) -> int:
    """One job, after waiting for its end up to `wait_s` seconds."""

    async def work(server: Server) -> int:
        console = Console(stderr=True, highlight=False)
        view = await server.job(job_id)
        if wait_s > 0:
            view = await followed(server, view, wait_s=wait_s, console=console)
        if as_json:
            _say(view)
        else:
            console.print(f"[bold]{view['job_id']}[/] on {view['source']}: {words(view)}")
            console.print(view.get("sql", ""), markup=False)
            if view.get("error") is not None:
                say_failed(view, console)
            elif view.get("asks") is not None:
                console.print(view["asks"]["message"], markup=False)
                console.print(f"  awaitsql jobs answer {view['job_id']}", markup=False)
            elif view.get("row_count") is not None:
                console.print(await rows_written(server, view, format="table", output=None, rows_shown=20))
        return Exit.DONE if view["state"] == "cancelled" else exit_of_view(view)

    return run_there(there, work, as_json=as_json)


def run_rows_there(
    job_id: str,
    there: There,
    *,
    cursor: str | None,
    limit: int,
    format: RowFormat,  # noqa: A002 - the word users know
    output: Path | None,
    as_json: bool,
) -> int:
    """A page of rows as a table or JSON, or the whole result in another format."""
    refuse_binary_terminal(format, output)

    async def work(server: Server) -> int:
        console = Console(stderr=True, highlight=False)
        view = await server.job(job_id, rows=False)
        if format != "table" and not as_json:
            console.print(await rows_written(server, view, format=format, output=output), markup=False)
            return Exit.DONE
        asked = {"limit": limit} | ({} if cursor is None else {"cursor": cursor})
        page = await server.ask("GET", f"/v1/jobs/{view['job_id']}/rows", params=asked)
        if as_json:
            _say(page)
            return Exit.DONE
        print_table([ResultColumn(**column) for column in page["columns"]], page["rows"])
        if page.get("next_cursor"):
            console.print(f"more: --cursor {page['next_cursor']}", markup=False, soft_wrap=True)
        return Exit.DONE

    return run_there(there, work, as_json=as_json)


def run_answer_there(job_id: str, answer: str | None, there: There, *, wait_s: float, as_json: bool) -> int:
    """Tells a waiting job there what it asks; then follows it a while."""

    async def work(server: Server) -> int:
        console = Console(stderr=True, highlight=False)
        view = await server.job(job_id, rows=False)
        if view.get("asks") is None:
            console.print(f"{view['job_id']} asks nothing; it is {words(view)}", markup=False)
            return exit_of_view(view)
        view = await answered(server, view, answer, console)
        view = await followed(server, view, wait_s=wait_s, console=console)
        if as_json:
            _say(view)
        elif view.get("error") is not None:
            say_failed(view, console)
        else:
            console.print(f"{view['job_id']} {words(view)}", markup=False)
        return exit_of_view(view)

    return run_there(there, work, as_json=as_json)


async def answered(server: Server, view: dict[str, Any], answer: str | None, console: Console) -> dict[str, Any]:
    """The waiting job after it was told `answer`, or what is typed at the terminal.

    Raises:
        SettingsInvalid: nobody sits there.
        ServerRefused: the answer does not fit.
    """
    asks = view["asks"]
    request = InputRequest("", "", asks["message"], asks["answer"])
    told = typed_answer(request.message, request.schema, console) if answer is None else answer
    said = answer_in_words(request, told or None)
    body = {"answer": dict(said.content) if said.action == "accept" else None}
    return await server.ask("POST", f"/v1/jobs/{view['job_id']}/answer", json=body)


def run_cancel_there(job_id: str, there: There, *, as_json: bool) -> int:
    """Cancels the job and waits a little for its end."""

    async def work(server: Server) -> int:
        view = await server.cancelled(job_id)
        if as_json:
            _say(view)
        else:
            Console(highlight=False).print(f"{view['job_id']} {words(view)}", markup=False)
        return Exit.DONE if view["state"] in FINISHED else Exit.UNFINISHED

    return run_there(there, work, as_json=as_json)


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
