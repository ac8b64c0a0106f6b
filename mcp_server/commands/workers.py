"""``awaitsql workers``: the worker processes of this configuration, on all machines, and what each is at."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from executor import WorkerSeen
from mcp_server.commands.exits import Exit
from mcp_server.commands.follow import run_until_interrupted
from mcp_server.commands.options import Where
from mcp_server.machine import running_machine
from mcp_server.settings import Settings


def run_workers(where: Where, *, as_json: bool) -> int:
    """Lists them; exit code 4 when no worker of statements takes jobs."""
    settings = where.settings()
    seen = run_until_interrupted(lambda: _seen(settings))
    if as_json:
        sys.stdout.write(json.dumps({"workers": [asdict(worker) for worker in seen]}) + "\n")
    else:
        _print(seen, settings)
    takes = any(not (worker.queue or worker.leaves) for worker in seen)
    return Exit.DONE if takes else Exit.UNAVAILABLE


async def _seen(settings: Settings) -> list[WorkerSeen]:
    async with running_machine(settings, workers=0) as machine:
        return await machine.executor.workers()


def _print(seen: list[WorkerSeen], settings: Settings) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("worker", "queue", "version", "jobs", "", "heard"):
        table.add_column(name)
    ours = settings.executor.source_fingerprints()
    for worker in seen:
        notes = ["leaves"] if worker.leaves else []
        if worker.sources != ours:
            notes.append("other sources than this file's")
        version = f"{worker.version} (records {worker.record})"
        jobs = f"{worker.busy} of {worker.slots}"
        where = f"{worker.host}:{worker.pid}"
        table.add_row(
            where, worker.queue or "statements", version, jobs, ", ".join(notes), f"{worker.heard_s:.1f} s ago"
        )
    console = Console(highlight=False)
    console.print(table if seen else "No worker is running: awaitsql worker --config FILE")
