"""``awaitsql ask --server``: a question, answered by a server elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from executor import SettingsInvalid
from mcp_server.commands.answering import somebody_sits_here
from mcp_server.commands.ask import tell_writing
from mcp_server.commands.jobs_there import answered
from mcp_server.commands.query_there import rows_written, say_failed
from mcp_server.commands.rows import RowFormat, refuse_binary_terminal
from mcp_server.commands.server import FINISHED, Server, There, exit_of_view, followed, run_there


def run_ask_there(
    question: str,
    there: There,
    *,
    source: str | None,
    format: RowFormat,  # noqa: A002 - the word users know
    output: Path | None,
    wait_s: float | None,
    max_rows: int | None,
    conversation: str | None,
    as_json: bool,
) -> int:
    """Asks, and writes the rows of the answer; the same exit codes as where it is answered here."""
    refuse_binary_terminal(format, output)
    if as_json and output is not None:
        raise SettingsInvalid(message="--json prints the job; --output writes its rows.", hint="Ask for one of them.")
    console = Console(stderr=True, highlight=False)
    body: dict[str, Any] = {"question": question, "wait_seconds": min(wait_s or 1.0, 1.0)}
    given = {"source": source, "max_rows": max_rows, "conversation": conversation}
    body |= {name: value for name, value in given.items() if value is not None}

    async def work(server: Server) -> int:
        view = await server.ask("POST", "/v1/jobs", json=body)
        view = await followed(server, view, wait_s=wait_s, console=console)
        while view.get("asks") is not None and somebody_sits_here():
            view = await answered(server, view, None, console)
            view = await followed(server, view, wait_s=wait_s, console=console)
        if as_json:
            sys.stdout.write(json.dumps(view, ensure_ascii=False) + "\n")
            return exit_of_view(view)
        tell_writing(view, console)
        if view.get("error") is not None:
            say_failed(view, console)
        elif view.get("asks") is not None:
            console.print(view["asks"]["message"], markup=False)
            console.print(f"  awaitsql jobs answer {view['job_id']}, with the same --server, answers it.", markup=False)
        elif view["state"] not in FINISHED:
            console.print(f"still {view['state']}; its handle: {view['job_id']}", markup=False)
            console.print("  awaitsql jobs show HANDLE --wait 60, with the same --server, goes on with it.")
        elif view["state"] == "succeeded":
            console.print(await rows_written(server, view, format=format, output=output), markup=False)
        return exit_of_view(view)

    return run_there(there, work, sql="", as_json=as_json)
