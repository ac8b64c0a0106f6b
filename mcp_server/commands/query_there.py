"""``awaitsql query --server``: one statement, run by a server elsewhere."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import anyio
from rich.console import Console

from executor import ResultColumn, SettingsInvalid
from mcp_server.commands.exits import caret
from mcp_server.commands.query import confirmed, refuse_beside_over
from mcp_server.commands.rows import TABLE_ROWS, RowFormat, print_table, refuse_binary_terminal
from mcp_server.commands.server import FINISHED, JobDict, Server, There, exit_of_view, followed, run_there
from mcp_server.whole_file import whole_file


def run_query_there(
    sql: str,
    there: There,
    *,
    source: str | None,
    format: RowFormat,  # noqa: A002 - the word users know
    output: Path | None,
    wait_s: float | None,
    max_rows: int | None,
    dialect: str | None,
    is_dry: bool,
    is_fresh: bool,
    over: tuple[str, ...],
    as_json: bool,
) -> int:
    """Has `sql` run and writes its rows; the same exit codes as where it runs here."""
    refuse_binary_terminal(format, output)
    if as_json and output is not None:
        raise SettingsInvalid(message="--json prints the job; --output writes its rows.", hint="Ask for one of them.")
    refuse_beside_over(over, source=source, max_rows=max_rows, dialect=dialect, dry_run=is_dry, fresh=is_fresh)
    console = Console(stderr=True, highlight=False)
    body: dict[str, Any] = {"sql": sql, "wait_seconds": min(wait_s or 1.0, 1.0)}
    if over:
        path, body["job_ids"] = "/v1/results/query", list(over)
    else:
        path = "/v1/jobs"
        given = {"source": source, "max_rows": max_rows, "dialect": dialect, "dry_run": is_dry, "fresh": is_fresh}
        body |= {name: value for name, value in given.items() if value is not None}

    async def work(server: Server) -> int:
        view = await _submitted(server, path, body, wait_s=wait_s, console=console)
        token = view.get("confirm")
        if token is not None and not as_json and confirmed(view["error"]["message"], console):
            view = await _submitted(server, path, {**body, "confirm": token}, wait_s=wait_s, console=console)
        if as_json:
            sys.stdout.write(json.dumps(view, ensure_ascii=False) + "\n")
        else:
            await _tell(server, view, console, format=format, output=output)
        return exit_of_view(view)

    return run_there(there, work, sql=sql, as_json=as_json)


async def _submitted(
    server: Server, path: str, body: dict[str, Any], *, wait_s: float | None, console: Console
) -> JobDict:
    view = await server.ask("POST", path, json=body)
    return await followed(server, view, wait_s=wait_s, console=console)


async def _tell(
    server: Server,
    view: JobDict,
    console: Console,
    *,
    format: RowFormat,  # noqa: A002 - the word users know
    output: Path | None,
) -> None:
    for warning in view["warnings"]:
        console.print(warning, markup=False)
    if view.get("error") is not None:
        say_failed(view, console)
    elif view["state"] == "cancelled":
        console.print("cancelled by somebody else")
    elif view["state"] not in FINISHED:
        console.print(f"still {view['state']}; its handle: {view['job_id']}", markup=False)
        console.print("  awaitsql jobs show HANDLE --wait 60, with the same --server, goes on with it.")
    elif view.get("plan") is not None or "row_count" not in view:
        out = Console(highlight=False)
        estimate = view["progress"].get("estimate") or {}
        out.print(view.get("sql", ""), markup=False, soft_wrap=True)
        out.print(f"rows touched: {estimate.get('cost', 'not known')}; rows of the result: {estimate.get('rows', '?')}")
        for line in view.get("plan") or ():
            out.print(f"  {line}", markup=False, soft_wrap=True)
    else:
        told = await rows_written(server, view, format=format, output=output)
        console.print(f"{told}, {view['progress']['elapsed_s']:.2f} s", markup=False)
        if view.get("shared"):
            console.print(view["shared"].replace("fresh=true", "--fresh"), markup=False)
        if view.get("truncated"):
            cut = view["truncated"]
            console.print(f"[yellow]cut at {cut['reason']} = {cut['limit']:,}[/]: there are more rows than were kept")


def say_failed(view: JobDict, console: Console) -> None:
    """Prints why a job failed, with a caret under the place where its SQL says."""
    error = view["error"]
    console.print(f"[bold red]{error['code']}[/]: ", end="")
    console.print(error["message"], markup=False)
    if error.get("position") is not None and view.get("sql"):
        console.print(caret(view["sql"], error["position"]), markup=False, soft_wrap=True)
    if error.get("hint"):
        console.print(f"  {error['hint']}", markup=False)


async def rows_written(
    server: Server,
    view: JobDict,
    *,
    format: RowFormat,  # noqa: A002 - the word users know
    output: Path | None,
    rows_shown: int = TABLE_ROWS,
) -> str:
    """Writes a succeeded job's rows; one line about what was written. A file appears whole or not at all."""
    count = view.get("row_count") or 0
    if format == "table":
        columns, rows = await _first_rows(server, view["job_id"], rows_shown)
        print_table(columns, rows)
        rest = count - len(rows)
        return f"{count:,} rows" + (f", {rest:,} not shown; --format csv --output FILE writes all" if rest else "")
    if output is None:
        await server.download(view["job_id"], format, sys.stdout.buffer)
        await asyncio.to_thread(sys.stdout.buffer.flush)
        return f"{count:,} rows"
    with whole_file(output) as out:
        await server.download(view["job_id"], format, out)
    size = (await anyio.Path(output).stat()).st_size
    return f"{count:,} rows in {output} ({size:,} bytes)"


async def _first_rows(server: Server, job_id: str, limit: int) -> tuple[list[ResultColumn], list[list[Any]]]:
    """The first rows, from as many pages as they take."""
    columns: list[ResultColumn] = []
    rows: list[list[Any]] = []
    cursor = ""
    while len(rows) < limit:
        asked = {"limit": limit - len(rows), "cursor": cursor}
        page = await server.ask("GET", f"/v1/jobs/{job_id}/rows", params=asked)
        columns = columns or [ResultColumn(**column) for column in page["columns"]]
        rows += page["rows"]
        cursor = page.get("next_cursor")
        if cursor is None or not page["rows"]:
            break
    return columns, rows
