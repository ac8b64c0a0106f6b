"""``awaitsql doctor``: looks at everything a run needs, and says what is wrong and what to type."""

from __future__ import annotations

import importlib.util
import json
import platform
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from rich.console import Console

from executor import ExecutorError, SettingsInvalid, SourceSchema
from mcp_server.commands.checks import Check
from mcp_server.commands.deep_checks import deep_checks
from mcp_server.commands.exits import Exit
from mcp_server.commands.follow import run_until_interrupted
from mcp_server.commands.options import Where
from mcp_server.commands.secret_checks import secret_checks
from mcp_server.knowledge.glossary import read_glossary
from mcp_server.knowledge.meanings import Meanings
from mcp_server.machine import Machine, running_machine
from mcp_server.settings import Settings

_DISK_LOW_BYTES = 1_000_000_000
_SIGN = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "error": "[red]error  [/]"}


def run_doctor(where: Where, *, deep: bool, as_json: bool) -> int:
    """Prints every check; exit code 0 when nothing is an error, 1 otherwise.

    With `deep` statements are run, files written and read, and other processes looked at.
    """
    checks: list[Check] = [
        Check("python", "ok", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    ]
    try:
        settings = where.settings()
    except ExecutorError as error:
        checks.append(Check("configuration", "error", error.message, error.hint))
    else:
        checks += _settings_checks(settings)
        if deep:
            checks += secret_checks(settings, where.config)
        checks += run_until_interrupted(lambda: _running_checks(settings, deep=deep))
    return _report(checks, as_json=as_json)


def _settings_checks(settings: Settings) -> list[Check]:
    executor = settings.executor
    names = ", ".join(f"{s.name} ({s.kind})" for s in executor.source_infos())
    found = [
        Check("configuration", "ok", f"sources: {names}")
        if names
        else Check(
            "configuration", "error", "no source is configured", "Add --db FILE_OR_URL or [executor.sources.NAME]."
        )
    ]
    try:
        executor.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(executor.home).free
    except OSError as error:
        fix = "Set [executor] state_dir to a folder that can be written."
        return [*found, Check("state folder", "error", f"{executor.home}: {error.strerror}", fix)]
    found += _trace_checks(executor.tracing.otlp_endpoint)
    low = free < _DISK_LOW_BYTES
    told = f"{executor.home}, {free / 1e9:.1f} GB free"
    fix = "Make room, or set [executor] results_dir to a larger disk." if low else ""
    return [*found, Check("state folder", "warning" if low else "ok", told, fix)]


def _trace_checks(endpoint: str) -> list[Check]:
    if not endpoint:
        return []
    if importlib.util.find_spec("opentelemetry.exporter") is None:
        told = f"none go to {endpoint}: what sends them is not installed"
        return [Check("traces", "error", told, 'pip install "awaitsql[otel]"')]
    return [Check("traces", "ok", f"go to {endpoint}")]


async def _running_checks(settings: Settings, *, deep: bool) -> list[Check]:
    checks: list[Check] = []
    try:
        async with running_machine(settings, workers=1) as machine:
            executor = machine.executor
            kind = "embedded" if settings.executor.broker_url is None else "configured"
            checks.append(Check("broker", "ok", f"the {kind} broker answers and keeps what it is given"))
            checks += await _history_checks(machine, is_shared=settings.executor.broker_url is not None)
            for source in settings.executor.sources:
                checks += await _source_checks(machine, source, has_policies=bool(settings.mcp_server.policies))
                checks += await _glossary_checks(machine, source, settings.mcp_server.glossary.get(source))
            if settings.executor.broker_url is not None and await executor.workers_alive() <= 1:
                checks.append(
                    Check("workers", "warning", "no worker is running elsewhere", "awaitsql worker --config FILE")
                )
            if deep:
                checks += await deep_checks(machine, settings)
    except ExecutorError as error:
        checks.append(Check("broker", "error", error.message, error.hint))
    return checks


async def _history_checks(machine: Machine, *, is_shared: bool) -> list[Check]:
    state, waiting = await machine.executor.history_state()
    if state.trouble:
        told = f"{state.place} does not answer ({state.trouble}); {waiting:,} events wait in the broker, jobs go on"
        return [Check("history", "error", told, "Mend it, or set [executor.history] url; what waits is written then.")]
    told = f"{state.place}: {state.jobs:,} jobs, {state.records:,} records; {waiting:,} events wait"
    if is_shared and "://" not in state.place:
        fix = "Where servers or workers run on several machines, set [executor.history] url to one database."
        return [Check("history", "warning", f"{told}. This file is this machine's own", fix)]
    return [Check("history", "ok", told)]


async def _source_checks(machine: Machine, source: str, *, has_policies: bool) -> list[Check]:
    about, executor = f"source {source}", machine.executor
    try:
        schema = await executor.source_schema(source, wait_s=30)
        checks = [Check(about, "ok", f"{len(schema.tables)} tables and views")]
        if not schema.tables:
            checks = [Check(about, "warning", "no tables that this role may see", "Grant it SELECT, or check schemas.")]
        for told in (await executor.probe(source))[0]:
            level: Literal["ok", "warning", "error"] = "ok"
            if told["level"] == "warning":
                level = "warning"
            elif told["level"] == "error":
                level = "error"
            checks.append(Check(about, level, told["message"], told["fix"]))
        checks += _policy_checks(machine, schema, has_policies=has_policies)
    except ExecutorError as error:
        return [Check(about, "error", error.message, error.hint)]
    return checks


async def _glossary_checks(machine: Machine, source: str, path: Path | None) -> list[Check]:
    if path is None:
        return []
    about = f"glossary of {source}"
    try:
        meanings = Meanings(read_glossary(path))
        wrong = meanings.problems(await machine.executor.source_schema(source, wait_s=30))
    except SettingsInvalid as error:
        return [Check(about, "error", error.message, error.hint)]
    except ExecutorError:
        return [Check(about, "warning", "not held to the source's tables, which are not known", "")]
    if not wrong:
        return [Check(about, "ok", f"{path} fits the source's tables")]
    return [Check(about, "error", problem, f"Mend it in {path}.") for problem in wrong]


def _policy_checks(machine: Machine, schema: SourceSchema, *, has_policies: bool) -> list[Check]:
    about = f"policy of {schema.source}"
    if not machine.policies.covers(schema.source):
        message = "none, though other sources have one: every caller reads all that its role may read"
        return (
            [Check(about, "warning", message, "Add a [[mcp_server.policies.…]] rule for it.")] if has_policies else []
        )
    wrong = machine.policies.problems(schema)
    if not wrong:
        return [Check(about, "ok", "fits the source's tables")]
    return [Check(about, "error", f"{problem.place}: {problem.message}", "Mend it there.") for problem in wrong]


def _report(checks: list[Check], *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps({"checks": [asdict(check) for check in checks]}, ensure_ascii=False) + "\n")
    else:
        console = Console(highlight=False)
        for check in checks:
            console.print(_SIGN[check.level], end=" ")
            console.print(f"{check.about}: {check.message}", markup=False, soft_wrap=True)
            for line in check.fix.splitlines():
                console.print(f"          {line}", markup=False, soft_wrap=True)
    return Exit.FAILED if any(check.level == "error" for check in checks) else Exit.DONE
