"""``awaitsql profile``: reads what a source's tables hold, now, and says how far it is."""

from __future__ import annotations

import sys

from rich.console import Console

from executor import Job, JobState, SourceProfile
from mcp_server.commands.exits import Exit, exit_of, say_error
from mcp_server.commands.follow import follow, run_until_interrupted
from mcp_server.commands.options import Where, chosen_source
from mcp_server.machine import running_machine
from mcp_server.settings import Settings


def run_profile(where: Where, *, source: str | None, anew: bool, as_json: bool) -> int:
    """Profiles the tables that all who see them see alike, and prints a line for each."""
    settings = where.settings()
    name = chosen_source(settings, source)

    async def main() -> int:
        return await _profile(settings, name, anew=anew, as_json=as_json)

    return run_until_interrupted(main)


async def _profile(settings: Settings, source: str, *, anew: bool, as_json: bool) -> int:
    console = Console(stderr=True, highlight=False)
    async with running_machine(settings, workers=1) as machine:
        executor = machine.executor
        schema = await executor.source_schema(source, wait_s=30.0)
        tables = machine.policies.shared_tables(schema)
        job = await executor.profile(source, tables, anew=anew)
        job = await follow(executor, job, owner=job.owner, wait_s=None, console=console)
        if job.error is not None:
            say_error(console, job.error, as_json=as_json)
            return exit_of(job.error)
        if job.state is not JobState.SUCCEEDED:
            return Exit.INTERRUPTED
        profile = await executor.source_profile(source, tables=tables)
    if as_json:
        sys.stdout.write(profile.to_json() + "\n")
        return Exit.DONE
    _show(profile, job, hidden=len(schema.tables) - len(tables))
    return Exit.DONE


def _show(profile: SourceProfile, job: Job, *, hidden: int) -> None:
    console = Console(highlight=False)
    for table in profile.tables:
        if table.columns:
            rows = "?" if table.row_count is None else f"{table.row_count:,}"
            part = "" if table.rows_read == table.row_count else f", {table.rows_read:,} read"
            listed = f"; values listed of {', '.join(table.listed)}" if table.listed else ""
            console.print(f"{table.schema}.{table.name}: {rows} rows{part}{listed}", markup=False, soft_wrap=True)
        else:
            console.print(f"{table.schema}.{table.name}: could not be read", markup=False, soft_wrap=True)
    for one in profile.inferred:
        key = f"{one.table}.{one.key.columns[0]} -> {one.key.ref_table}.{one.key.ref_columns[0]}"
        console.print(f"{key} ({one.evidence})", markup=False, soft_wrap=True)
    seconds = (job.finished_at or 0) - (job.started_at or 0)
    told = f"{len(profile.tables)} tables, {len(profile.inferred)} inferred keys, {seconds:.1f} s"
    if hidden:
        told += f"; {hidden} tables left out, whose rows or values a policy hides from somebody"
    if not profile.complete:
        told += "; time ran out before the last: run it again to go on"
    Console(stderr=True, highlight=False).print(told, markup=False, soft_wrap=True)
