"""``awaitsql query``: one statement from SQL to rows, through the guard, a job and a worker like every other."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from executor import Executor, Job, JobState, SettingsInvalid
from mcp_server.commands.exits import Exit, exit_of, say_error
from mcp_server.commands.follow import follow, run_until_interrupted
from mcp_server.commands.options import Where, chosen_source
from mcp_server.commands.rows import RowFormat, refuse_binary_terminal, write_result
from mcp_server.line import shared_words
from mcp_server.machine import running_machine
from mcp_server.principal import LOCAL
from mcp_server.settings import Settings
from mcp_server.sql import StatementRefused
from mcp_server.submission import checked_over_results, checked_statement, dry


def run_query(
    sql: str,
    where: Where,
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
    """Runs `sql` and writes its rows; see `Exit` for what comes back."""
    refuse_binary_terminal(format, output)
    if as_json and output is not None:
        raise SettingsInvalid(message="--json prints the job; --output writes its rows.", hint="Ask for one of them.")
    refuse_beside_over(over, source=source, max_rows=max_rows, dialect=dialect, dry_run=is_dry, fresh=is_fresh)
    settings = where.settings()
    name = "" if over else chosen_source(settings, source)
    console = Console(stderr=True, highlight=False)

    async def main() -> int:
        return await _query(
            settings,
            name,
            sql,
            format,
            output,
            wait_s,
            max_rows,
            console,
            dialect=dialect,
            is_dry=is_dry,
            is_fresh=is_fresh,
            over=over,
            as_json=as_json,
        )

    return run_until_interrupted(main)


async def _query(
    settings: Settings,
    source: str,
    sql: str,
    format: RowFormat,  # noqa: A002 - the word users know
    output: Path | None,
    wait_s: float | None,
    max_rows: int | None,
    console: Console,
    *,
    dialect: str | None,
    is_dry: bool,
    is_fresh: bool,
    over: tuple[str, ...],
    as_json: bool,
) -> int:
    limits = settings.executor.limits.limits()
    if max_rows is not None:
        limits = replace(limits, max_rows=min(max_rows, limits.max_rows))
    async with running_machine(settings, workers=1, submits=True) as machine:
        executor = machine.executor
        try:
            statement = (
                await checked_over_results(
                    executor, machine.policies, settings.principal, sql, job_ids=over, limits=limits
                )
                if over
                else await checked_statement(
                    executor, machine.policies, settings.principal, sql, source=source, limits=limits, dialect=dialect
                )
            )
            if is_dry:
                statement = dry(statement)
        except StatementRefused as refused:
            say_error(console, refused, sql=sql, as_json=as_json)
            return Exit.REFUSED
        job = await executor.submit(statement, owner=LOCAL.owner, fresh=is_fresh)
        job = await follow(executor, job, owner=LOCAL.owner, wait_s=wait_s, console=console)
        token = job.notes.get("confirmation")
        if token is not None and job.error is not None and not as_json and confirmed(job.error.message, console):
            job = await executor.submit(statement, owner=LOCAL.owner, confirm=str(token))
            job = await follow(executor, job, owner=LOCAL.owner, wait_s=wait_s, console=console)
        if as_json:
            # the view is a shape of the MCP face, whose library takes a second to load
            from mcp_server.wire import job_view  # noqa: PLC0415

            view = job_view(job, max_chars=settings.mcp_server.preview_chars)
            sys.stdout.write(json.dumps(view.content(), ensure_ascii=False) + "\n")
        if job.state is JobState.FAILED and job.error is not None:
            if not as_json:
                say_error(console, job.error, sql=statement.sql)
            return exit_of(job.error)
        if job.state is JobState.CANCELLED:
            console.print("cancelled by somebody else")
            return Exit.INTERRUPTED
        if not job.is_finished:
            console.print(f"still {job.state}; its handle: {job.id}", markup=False)
            console.print("  awaitsql jobs show HANDLE --wait 60, with the same --db or --config, goes on with it.")
            return Exit.UNFINISHED
        if is_dry and not as_json:
            _show_plan(job, machine.policies.without_salt(statement.sql), Console(highlight=False))
        elif not as_json:
            await _write(executor, job, console, format=format, output=output)
    return Exit.DONE


async def _write(
    executor: Executor,
    job: Job,
    console: Console,
    *,
    format: RowFormat,  # noqa: A002 - the word users know
    output: Path | None,
) -> None:
    told = await write_result(executor, job, owner=LOCAL.owner, format=format, output=output)
    seconds = (job.finished_at or 0) - job.submitted_at
    console.print(f"{told}, {seconds:.2f} s", markup=False)
    shared = shared_words(job)
    if shared is not None:
        console.print(shared.replace("fresh=true", "--fresh"), markup=False)
    if job.summary is not None and job.summary.truncated is not None:
        cut = job.summary.truncated
        console.print(f"[yellow]cut at {cut.reason} = {cut.limit:,}[/]: there are more rows than were kept")


def refuse_beside_over(over: tuple[str, ...], **others: object) -> None:
    """Let pass what can be said together with --over: results are read as they are, in DuckDB's dialect.

    Raises:
        SettingsInvalid: something else was said.
    """
    said = [f"--{name.replace('_', '-')}" for name, value in others.items() if value]
    if over and said:
        raise SettingsInvalid(message=f"--over reads stored results; {said[0]} is of a source.", hint="Leave one out.")


def confirmed(message: str, console: Console) -> bool:
    """Whether whoever sits at the terminal says yes to `message`; nobody there says no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    console.print(message, markup=False)
    console.print("Run it all the same? [y/N] ", end="", markup=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _show_plan(job: Job, sql: str, console: Console) -> None:
    estimate = job.notes.get("estimate") or {}
    console.print(sql, markup=False, soft_wrap=True)
    console.print(f"rows touched: {estimate.get('cost', 'not known')}; rows of the result: {estimate.get('rows', '?')}")
    for line in job.notes.get("plan") or ():
        console.print(f"  {line}", markup=False, soft_wrap=True)
    if job.notes.get("expensive"):
        console.print(job.notes["expensive"], markup=False)
