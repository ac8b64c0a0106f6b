"""``awaitsql audit``: whether the audit is as it was written, and its rows as a file that shows that by itself."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from executor import Executor, SettingsInvalid, Wanted, export_audit, signing_keys, verify_audit_file
from mcp_server.commands.exits import Exit
from mcp_server.commands.follow import run_until_interrupted
from mcp_server.commands.options import Where
from mcp_server.machine import running_machine

_LOOKS = 50
_LOOK_EVERY_S = 0.1


def run_verify(file: Path | None, where: Where, *, has_key: bool, as_json: bool) -> int:
    """Goes through the history's chain of hashes, or through an exported file."""
    settings = where.settings()
    if file is not None:
        try:
            with file.open(encoding="utf-8") as lines:
                told = verify_audit_file(lines, signing_keys(settings.executor) if has_key else None)
        except (OSError, UnicodeDecodeError) as error:
            message = f"{file} cannot be read ({type(error).__name__})."
            raise SettingsInvalid(message=message, hint="awaitsql audit export --output FILE writes one.") from error
        return _said(asdict(told), told.message, (), holds=told.holds, as_json=as_json)

    async def main() -> int:
        async with running_machine(settings, workers=0) as machine:
            waiting = await _until_written(machine.executor)
            report = await machine.executor.verify_history()
        remarks = (*report.remarks, *([f"{waiting:,} events wait to be written"] if waiting else []))
        return _said(asdict(report), report.message, remarks, holds=report.holds, as_json=as_json)

    return run_until_interrupted(main)


async def _until_written(executor: Executor) -> int:
    """Waits a moment for events that are to be written; how many still are."""
    waiting = 0
    for _ in range(_LOOKS):
        waiting = (await executor.history_state())[1]
        if not waiting:
            break
        await asyncio.sleep(_LOOK_EVERY_S)
    return waiting


def run_export(
    where: Where,
    *,
    since: str | None,
    until: str | None,
    owner: str | None,
    what: tuple[str, ...],
    job_id: str | None,
    output: Path | None,
) -> int:
    """Writes the rows that are wanted as lines of JSON, the oldest first, and one that seals them."""
    settings = where.settings().executor
    wanted = Wanted(_moment(since), _moment(until), owner, what, job_id)
    lines = export_audit(settings, signing_keys(settings), wanted)
    with ExitStack() as stack:
        out = sys.stdout if output is None else stack.enter_context(output.open("w", encoding="utf-8"))
        for line in lines:
            out.write(line + "\n")
    return Exit.DONE


def _moment(text: str | None) -> float | None:
    """Unix seconds of a date or a time; without a zone it is in UTC."""
    if text is None:
        return None
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsInvalid(
            message=f"{text[:40]} is no time.", hint="Write 2026-11-29 or 2026-11-29T12:00:00+01:00."
        ) from error
    return (told if told.tzinfo is not None else told.replace(tzinfo=UTC)).timestamp()


def _said(told: dict[str, object], message: str, remarks: tuple[str, ...], *, holds: bool, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        console = Console(highlight=False, soft_wrap=True)
        console.print("[green]the audit holds[/]: " if holds else "[bold red]the audit is broken[/]: ", end="")
        console.print(message, markup=False)
        for remark in remarks:
            console.print(f"on record: {remark}", markup=False)
    return Exit.DONE if holds else Exit.FAILED
