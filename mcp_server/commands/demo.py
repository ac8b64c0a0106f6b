"""``awaitsql demo``: a real MCP client asks a real server, and the reader sees what an assistant would.

The client is the MCP SDK's own, over stdio, against ``awaitsql serve`` as it would run behind any assistant.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from executor import ExecutorError
from mcp_server.commands.demo_model import model_at_hand
from mcp_server.commands.exits import Exit
from mcp_server.commands.follow import run_until_interrupted
from mcp_server.commands.options import Where
from mcp_server.commands.paste import paste_lines
from mcp_server.commands.rows import print_table

_SLOW: dict[str, str] = {
    "sqlite": (
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 12000000) "
        "SELECT n % 2000 AS bucket, COUNT(*) AS numbers FROM r GROUP BY 1 ORDER BY 1"
    ),
    "postgres": (
        "SELECT n % 2000 AS bucket, COUNT(*) AS numbers, MAX(md5(CAST(n AS TEXT))) AS digest "
        "FROM generate_series(1, 6000000) AS g(n) GROUP BY 1 ORDER BY 1"
    ),
    "mysql": (
        "WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < 999) "
        "SELECT (a.n * 1000 + b.n) % 2000 AS bucket, COUNT(*) AS numbers, MAX(MD5(a.n * b.n + c.n)) AS digest "
        "FROM r AS a JOIN r AS b JOIN r AS c ON c.n < 6 GROUP BY 1 ORDER BY 1"
    ),
    "duckdb": (
        "SELECT n % 2000 AS bucket, COUNT(*) AS numbers, MAX(md5(CAST(n AS TEXT))) AS digest "
        "FROM (SELECT a * 5000 + b AS n FROM range(5000) AS x(a), range(5000) AS y(b)) AS g GROUP BY 1 ORDER BY 1"
    ),
}
"""Honestly slow on any database of that dialect, with 2,000 rows: for the reader's own file."""


@dataclass(frozen=True, slots=True)
class Script:
    """What the demo asks: a quick question, a slow one, and one that the guard must refuse. Each (words, SQL)."""

    quick: tuple[str, str]
    slow: tuple[str, str]
    refused: tuple[str, str]


def run_demo(databases: Sequence[str]) -> int:
    """Runs the three queries and prints what came; then what to paste into the usual assistants.

    Where a model is configured or at hand it is asked a question, too.
    """
    console = Console(highlight=False)
    if not databases:
        console.print("Preparing the demo shop (built once, a few seconds) …")
    where = Where(db=tuple(databases))
    settings = where.settings()
    # whatever was checked here is what the server is started with
    shown = tuple(str(Path(d).resolve()) if Path(d).exists() else d for d in databases)

    async def main() -> int:
        environ = dict(os.environ)
        if settings.mcp_server.ask is None:
            found = await model_at_hand(environ, only_local=bool(databases))
            console.print(found.words, markup=False, soft_wrap=True)
            environ |= found.variables
        return await _demo(console, shown, next(iter(settings.executor.sources)), environ)

    code = run_until_interrupted(main)
    if code == Exit.DONE:
        console.rule("[bold]Now in your assistant", align="left")
        # as it is, without a frame or a fold: these lines are copied
        console.print(Text(paste_lines(shown)), soft_wrap=True)
    return code


async def _demo(console: Console, databases: Sequence[str], source: str, environ: dict[str, str]) -> int:
    # the protocol's library takes a second to load: only here
    from mcp import Client, StdioServerParameters  # noqa: PLC0415
    from mcp.client.stdio import stdio_client  # noqa: PLC0415

    arguments = ["-P", "-m", "mcp_server", "serve", "--transport", "stdio"]
    for database in databases:
        arguments += ["--db", database]
    with ExitStack() as stack:
        errors = stack.enter_context(TemporaryFile("w+"))
        server = StdioServerParameters(command=sys.executable, args=arguments, env=environ)
        began = time.monotonic()
        try:
            async with Client(stdio_client(server, errlog=errors), read_timeout_seconds=300) as client:
                took = time.monotonic() - began
                console.print(f"An MCP client is connected to [bold]awaitsql serve[/] ({took:.1f} s)\n")
                await _run(console, client, source, is_demo=not databases)
        except ExecutorError:
            raise
        except Exception:
            errors.seek(0)
            console.print(errors.read()[-2000:], markup=False)
            raise
    return Exit.DONE


async def _run(console: Console, client: Any, source: str, *, is_demo: bool) -> None:
    script = await _script(client, source, is_demo=is_demo)
    await _quick(console, client, source, *script.quick)
    await _slow(console, client, source, *script.slow)
    await _refused(console, client, source, *script.refused)
    if any(tool.name == "ask" for tool in (await client.list_tools()).tools):
        await _asked(console, client, source, script.quick[0])


async def _script(client: Any, source: str, *, is_demo: bool) -> Script:
    if is_demo:
        from executor import demo_questions  # noqa: PLC0415 - only the demo's own data has these

        quick, slow = demo_questions()
        return Script(quick, slow, ("Please remove the test customers.", "DELETE FROM customers WHERE is_test"))
    listed = (await client.call_tool("list_sources", {})).structured_content["sources"]
    dialect = next(s["dialect"] for s in listed if s["name"] == source)
    tables = (await client.call_tool("describe_tables", {"source": source})).structured_content["tables"]
    if not tables:
        return Script(
            ("How much is one and one?", "SELECT 1 + 1 AS two"),
            ("Something that takes a while: count and group several million numbers.", _SLOW[dialect]),
            ("Make a table.", "CREATE TABLE t (x INT)"),
        )
    name = _quoted(tables[0])
    return Script(
        (f"What is in {tables[0]['name']}?", f"SELECT * FROM {name} LIMIT 5"),  # noqa: S608 - the guard decides, as for any SQL
        ("Something that takes a while: count and group several million numbers.", _SLOW[dialect]),
        (f"Please drop {tables[0]['name']}.", f"DROP TABLE {name}"),
    )


def _quoted(table: dict[str, Any]) -> str:
    parts = [table["schema"], table["name"]] if table.get("schema") else [table["name"]]
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def _ask(console: Console, number: int, what: str, question: str, sql: str) -> None:
    console.rule(f"[bold]{number}. {what}", align="left")
    console.print(f"“{question}”", markup=False)
    console.print(Text(sql, style="cyan"))


def _preview(view: dict[str, Any], rows: int) -> None:
    from executor import ResultColumn  # noqa: PLC0415

    print_table([ResultColumn(**c) for c in view["columns"]], view["rows"][:rows])


async def _quick(console: Console, client: Any, source: str, question: str, sql: str) -> None:
    _ask(console, 1, "A quick question: the rows come inside the call", question, sql)
    began = time.monotonic()
    view = (await client.call_tool("query", {"sql": sql, "source": source})).structured_content
    _check_no_error(view)
    _preview(view, 10)
    took_ms = (time.monotonic() - began) * 1000
    console.print(f"→ {view['state']}, {view['row_count']:,} rows, {took_ms:.0f} ms, job {view['job_id']}\n")


async def _slow(console: Console, client: Any, source: str, question: str, sql: str) -> None:
    _ask(console, 2, "A slow question: a handle at once, then progress, then pages", question, sql)
    began = time.monotonic()
    view = (await client.call_tool("query", {"sql": sql, "source": source, "wait_seconds": 1})).structured_content
    _check_no_error(view)
    job_id, took_s = view["job_id"], time.monotonic() - began
    console.print(f"→ after {took_s:.1f} s: {view['state']}, job {job_id}; the assistant is free to go on")
    with Progress(
        SpinnerColumn(), TextColumn("get_job: {task.description}"), TimeElapsedColumn(), console=console, transient=True
    ) as progress:
        line = progress.add_task(view["state"], total=None)

        async def on_progress(_done: float, _total: float | None, message: str | None) -> None:
            progress.update(line, description=message or "")

        while view["state"] in ("queued", "running"):
            call = {"job_id": job_id, "wait_seconds": 10}
            view = (await client.call_tool("get_job", call, progress_callback=on_progress)).structured_content
    _check_no_error(view)
    _preview(view, 5)
    console.print(f"→ {view['state']} after {time.monotonic() - began:.1f} s, {view['row_count']:,} rows")
    console.print(f"  the model was given {len(json.dumps(view)):,} characters, whatever the result's size")
    page = (await client.call_tool("get_rows", {"job_id": job_id, "limit": 100})).structured_content
    following = {"job_id": job_id, "cursor": page["next_cursor"], "limit": 3}
    page = (await client.call_tool("get_rows", following)).structured_content
    console.print(f"→ page 2, from row {page['offset'] + 1:,}:")
    _preview(page, 3)
    console.print()


async def _refused(console: Console, client: Any, source: str, question: str, sql: str) -> None:
    _ask(console, 3, "A question that would write: refused before the database sees it", question, sql)
    told = (await client.call_tool("query", {"sql": sql, "source": source})).structured_content["error"]
    console.print(Text(f"→ {told['code']}: {told['message']}", style="red"))
    console.print(Text(f"  {told.get('hint') or told['next_step']}\n"))


async def _asked(console: Console, client: Any, source: str, question: str) -> None:
    console.rule("[bold]4. In words only: the configured model writes the SQL", align="left")
    console.print(f"“{question}”", markup=False)
    began = time.monotonic()
    view = (
        await client.call_tool("ask", {"question": question, "source": source, "wait_seconds": 10})
    ).structured_content
    while view["state"] in ("queued", "running"):
        view = (await client.call_tool("get_job", {"job_id": view["job_id"], "wait_seconds": 10})).structured_content
    if view["state"] == "waiting":
        # nobody sits behind the demo to answer
        console.print(Text(f"→ the model asks back: {view['asks']['message']}", style="yellow"))
        await client.call_tool("cancel_job", {"job_id": view["job_id"]})
    elif view.get("error"):
        console.print(Text(f"→ {view['error']['code']}: {view['error']['message']}", style="red"))
        console.print(Text(f"  {view['error'].get('hint', '')}"))
    else:
        console.print(Text(view["sql"], style="cyan"))
        _preview(view, 10)
        console.print(f"→ {view['state']} after {time.monotonic() - began:.1f} s, job {view['job_id']}")
    console.print()


def _check_no_error(view: dict[str, Any]) -> None:
    error = view.get("error")
    if error:
        raise SystemExit(f"{error['code']}: {error['message']}\n  {error.get('hint', '')}")
