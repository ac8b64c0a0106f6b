"""``awaitsql jobs``: the jobs of one configuration, from a terminal or a script."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from executor import Executor, ExecutorError, Job, JobState
from mcp_server.answers import answer_in_words
from mcp_server.commands.answering import typed_answer
from mcp_server.commands.exits import Exit, exit_of, say_error
from mcp_server.commands.follow import follow, run_until_interrupted, words
from mcp_server.commands.options import Where
from mcp_server.commands.rows import RowFormat, print_table, refuse_binary_terminal, write_result
from mcp_server.machine import Machine, running_machine
from mcp_server.principal import LOCAL
from mcp_server.settings import Settings

_BESIDE_SQL = 69
"""What the other columns of the list take, beside the source's name."""

_SQL_LEAST = 5


def run_list(where: Where, *, limit: int, as_json: bool) -> int:
    """The newest jobs, a line each."""

    async def show(machine: Machine, _settings: Settings) -> int:
        jobs = await machine.executor.list_jobs(owner=LOCAL.owner, limit=limit)
        if as_json:
            _say({"jobs": [_line(job) for job in jobs]})
            return Exit.DONE
        print_jobs(
            [
                (
                    job.id,
                    str(job.error.code if job.error else job.state),
                    job.source,
                    job.rows,
                    job.submitted_at,
                    job.shown_sql,
                )
                for job in jobs
            ]
        )
        return Exit.DONE

    return _with_executor(where, show)


def print_jobs(jobs: Sequence[tuple[str, str, str, int, float, str]]) -> None:
    """Prints jobs as a table: handle, state or code, source, rows, when submitted (Unix seconds), SQL of each."""
    if not jobs:
        Console(stderr=True).print("no jobs yet")
        return
    console = Console(highlight=False)
    table = Table(show_edge=False, header_style="bold")
    for name in ("job", "state", "source", "rows", "age", "sql"):
        table.add_column(name, justify="right" if name in ("rows", "age") else "left", no_wrap=True)
    room = max(console.width - _BESIDE_SQL - max(len(source) for _, _, source, *_ in jobs), _SQL_LEAST)
    for job_id, state, source, rows, submitted_at, shown in jobs:
        sql = " ".join(shown.split())
        cut = Text(sql if len(sql) <= room else sql[: room - 1] + "…")
        table.add_row(job_id, state, source, f"{rows:,}", _age(time.time() - submitted_at), cut)
    console.print(table)


def run_show(job_id: str, where: Where, *, wait_s: float, as_json: bool) -> int:
    """One job, after waiting for its end up to `wait_s` seconds."""

    async def show(machine: Machine, settings: Settings) -> int:
        executor = machine.executor
        console = Console(stderr=True, highlight=False)
        try:
            job = await executor.get(job_id, owner=LOCAL.owner)
        except ExecutorError as error:
            past = await executor.recorded(job_id, owner=LOCAL.owner)
            if past is not None:
                return _show_record(past, error, console, as_json=as_json)
            raise
        if wait_s > 0 and not job.is_finished:
            job = await follow(executor, job, owner=LOCAL.owner, wait_s=wait_s, console=console)
        machine.policies.hold(settings.principal, job)
        if as_json:
            # the view is a shape of the MCP face, whose library takes a second to load
            from mcp_server.wire import job_view  # noqa: PLC0415

            _say(job_view(job, max_chars=settings.mcp_server.preview_chars).content())
        else:
            await _show(executor, job, console)
        return _exit_of_job(job)

    return _with_executor(where, show, workers=1 if wait_s > 0 else 0)


def run_rows(
    job_id: str,
    where: Where,
    *,
    cursor: str | None,
    limit: int,
    format: RowFormat,  # noqa: A002 - the word users know
    output: Path | None,
    as_json: bool,
) -> int:
    """A page of rows as a table or JSON, or the whole result in another format."""
    refuse_binary_terminal(format, output)

    async def show(machine: Machine, settings: Settings) -> int:
        executor = machine.executor
        console = Console(stderr=True, highlight=False)
        job = await executor.get(job_id, owner=LOCAL.owner)
        machine.policies.hold(settings.principal, job)
        if format != "table" and not as_json:
            told = await write_result(executor, job, owner=LOCAL.owner, format=format, output=output)
            console.print(told, markup=False)
            return Exit.DONE
        page = await executor.page(job_id, owner=LOCAL.owner, cursor=cursor, limit=limit)
        if as_json:
            _say(asdict(page))
            return Exit.DONE
        print_table(page.columns, page.rows)
        if page.next_cursor:
            console.print(f"more: --cursor {page.next_cursor}", markup=False, soft_wrap=True)
        return Exit.DONE

    return _with_executor(where, show)


def run_answer(job_id: str, answer: str | None, where: Where, *, wait_s: float, as_json: bool) -> int:
    """Tells a waiting job what it asks: `answer`, or what is typed at the terminal; then follows it a while."""

    async def show(machine: Machine, settings: Settings) -> int:
        console = Console(stderr=True, highlight=False)
        job = await machine.executor.get(job_id, owner=LOCAL.owner)
        request = job.input_request
        if request is None:
            console.print(f"{job.id} asks nothing; it is {words(job)}", markup=False)
            return Exit.DONE if job.is_finished else Exit.UNFINISHED
        told = typed_answer(request.message, request.schema, console) if answer is None else answer
        # only what was typed here is a person's for certain: an argument may come from a program
        said = replace(answer_in_words(request, told or None), by="human" if answer is None else "client")
        job = await machine.executor.answer(job.id, owner=LOCAL.owner, answer=said)
        job = await follow(machine.executor, job, owner=LOCAL.owner, wait_s=wait_s, console=console)
        machine.policies.hold(settings.principal, job)
        if as_json:
            _say(_line(job))
        else:
            await _show(machine.executor, job, console)
        return _exit_of_job(job)

    return _with_executor(where, show, workers=1)


def run_cancel(job_id: str, where: Where, *, as_json: bool) -> int:
    """Cancels the job and waits a little for its end."""

    async def show(machine: Machine, _settings: Settings) -> int:
        executor = machine.executor
        job = await executor.cancel(job_id, owner=LOCAL.owner)
        if not job.is_finished:
            job = await executor.wait(job.id, owner=LOCAL.owner, timeout_s=10)
        if as_json:
            _say(_line(job))
        else:
            Console(highlight=False).print(f"{job.id} {words(job)}")
        return Exit.DONE

    return _with_executor(where, show)


def _with_executor(where: Where, show: Callable[[Machine, Settings], Awaitable[int]], *, workers: int = 0) -> int:
    settings = where.settings()

    async def main() -> int:
        async with running_machine(settings, workers=workers, questions=workers > 0) as machine:
            return await show(machine, settings)

    return run_until_interrupted(main)


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")


def _line(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "state": job.state,
        "source": job.source,
        "sql": job.shown_sql,
        "submitted_at": job.submitted_at,
        "rows": job.rows,
        "error": job.error.as_dict() if job.error else None,
        "stopped_after_ms": job.notes.get("stopped_after_ms"),
    }


async def _show(executor: Executor, job: Job, console: Console) -> None:
    console.print(f"[bold]{job.id}[/] on {job.source}: {words(job)}, attempt {job.attempt}")
    console.print(job.shown_sql, markup=False)
    if job.error is not None:
        say_error(console, job.error)
    elif job.input_request is not None:
        console.print(job.input_request.message, markup=False)
        console.print(f"  awaitsql jobs answer {job.id}", markup=False)
    elif job.state is JobState.SUCCEEDED:
        console.print(await write_result(executor, job, owner=LOCAL.owner, format="table", output=None, rows_shown=20))


def _show_record(job: Job, error: ExecutorError, console: Console, *, as_json: bool) -> int:
    """A job of which only the record is left, and why."""
    if as_json:
        _say({**_line(job), "error": error.as_dict()})
    else:
        console.print(f"[bold]{job.id}[/] on {job.source}, submitted {_age(time.time() - job.submitted_at)} ago")
        console.print(job.shown_sql, markup=False)
        say_error(console, error)
    return exit_of(error)


def _exit_of_job(job: Job) -> int:
    if job.error is not None:
        return exit_of(job.error)
    return Exit.DONE if job.is_finished else Exit.UNFINISHED
