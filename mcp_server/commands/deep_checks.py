"""What ``doctor --deep`` does with what runs: a statement on each worker and source, the broker, the place of results.

Each check that is not ``ok`` says what to do next.
"""

from __future__ import annotations

import asyncio
import time
from typing import Literal

from executor import (
    BrokerSeen,
    ExecutorError,
    SourceSchema,
    Statement,
    WorkerSeen,
    look_at_broker,
    try_results,
)
from mcp_server.commands.checks import Check
from mcp_server.machine import Machine
from mcp_server.policy import Grant
from mcp_server.settings import Settings
from mcp_server.sql import check

_STATEMENT = "SELECT 1 AS one"
_ANSWER_S = 20.0
_CLOCK_WARN_S = 5.0
_CLOCK_WRONG_S = 3_600.0
_MEMORY_WARN = 0.75
_SLOW_MB_S = 5.0
_HEADROOM = 1.2
"""What a database must let us have beyond the connections of the workers: for looking aside, and for being replaced."""

_Level = Literal["ok", "warning", "error"]


async def deep_checks(machine: Machine, settings: Settings) -> list[Check]:
    """All of them, over a running machine. Statements run as the local principal, and read no table."""
    seen = await machine.executor.workers()
    workers = [worker for worker in seen if not worker.queue and not worker.leaves]
    found = [*await _broker_checks(machine), *_clock_checks(seen), *await _results_checks(settings)]
    found += _fleet_checks(seen, settings)
    for source in settings.executor.sources:
        found += await asyncio.gather(*(_statement_check(machine, settings, source, worker) for worker in workers))
        found += await _connection_checks(machine, settings, source, workers)
    return found


async def _broker_checks(machine: Machine) -> list[Check]:
    try:
        broker = await asyncio.to_thread(look_at_broker, machine.broker_url)
    except ExecutorError as error:
        return [Check("broker", "error", error.message, error.hint)]
    return [_memory_check(broker), _log_check(broker), *_skew("broker", broker.clock_behind_s)]


def _memory_check(broker: BrokerSeen) -> Check:
    told = f"{broker.version}, answers in {broker.answer_ms:.1f} ms; {broker.used_bytes / 1e6:,.0f} MB used"
    if broker.policy not in ("noeviction", "unknown"):
        fix = "redis-cli config set maxmemory-policy noeviction, and in its configuration file."
        return Check("broker memory", "warning", f"{told}; when full it drops keys that expire ({broker.policy})", fix)
    if not broker.most_bytes:
        fix = "Give it a bound, below the machine's memory: redis-cli config set maxmemory 1gb"
        return Check("broker memory", "warning", f"{told}, and nothing bounds it", fix)
    share = broker.used_bytes / broker.most_bytes
    level: _Level = "warning" if share >= _MEMORY_WARN else "ok"
    fix = "Raise maxmemory ([executor] embedded_memory_mb), or lower result_ttl_s." if level != "ok" else ""
    return Check("broker memory", level, f"{told}, {share:.0%} of {broker.most_bytes / 1e6:,.0f} MB", fix)


def _log_check(broker: BrokerSeen) -> Check:
    if broker.trouble:
        fix = "Make room on its disk, and see its log; until then jobs may be refused with store_full."
        return Check("broker log", "error", broker.trouble, fix)
    if not broker.keeps_log:
        less = "only snapshots: what came since the last one" if broker.keeps_snapshots else "nothing: all jobs"
        told = f"it keeps {less} would be lost with the process"
        return Check("broker log", "warning", told, "redis-cli config set appendonly yes, and in its file.")
    return Check("broker log", "ok", "every change is kept in its log")


def _skew(about: str, seconds: float) -> list[Check]:
    """Whether two clocks agree well enough: orders hold for a day by them, everything else goes by the broker's."""
    told = f"its clock and this machine's are {abs(seconds):.1f} s apart"
    fix = "Let both keep their time by NTP: timedatectl set-ntp true"
    level: _Level = "ok" if abs(seconds) < _CLOCK_WARN_S else "warning" if abs(seconds) < _CLOCK_WRONG_S else "error"
    return [Check(f"clock of {about}", level, told, "" if level == "ok" else fix)]


def _clock_checks(seen: list[WorkerSeen]) -> list[Check]:
    found: list[Check] = []
    for worker in seen:
        away = abs(worker.clock_ahead_s)
        if away >= _CLOCK_WARN_S:
            told = f"the clock of worker {_name(worker)} is {away:.1f} s away from the broker's"
            level: _Level = "error" if away >= _CLOCK_WRONG_S else "warning"
            found.append(Check("clocks", level, told, "Let its machine keep its time by NTP: timedatectl set-ntp true"))
    return found or [Check("clocks", "ok", f"{len(seen)} workers go by the broker's time")]


async def _results_checks(settings: Settings) -> list[Check]:
    try:
        seen = await asyncio.to_thread(try_results, settings.executor)
    except ExecutorError as error:
        return [Check("results", "error", error.message, error.hint)]
    told = f"written at {seen.written_mb_s:,.0f} MB/s, read at {seen.read_mb_s:,.0f} MB/s"
    if seen.free_bytes is not None:
        told += f", {seen.free_bytes / 1e9:.1f} GB free"
        if seen.free_bytes < settings.executor.results_min_free_bytes:
            fix = "Make room, or set [executor] results_dir to a larger disk: the oldest results go to make some."
            return [Check("results", "error", told, fix)]
    if min(seen.written_mb_s, seen.read_mb_s) < _SLOW_MB_S:
        fix = "Put [executor] results_dir on a faster disk, or the object store nearer: large results will wait for it."
        return [Check("results", "warning", told, fix)]
    return [Check("results", "ok", told)]


def _fleet_checks(seen: list[WorkerSeen], settings: Settings) -> list[Check]:
    """What the workers are, beside one another and beside this configuration."""
    found: list[Check] = []
    ours = settings.executor.source_fingerprints()
    for worker in seen:
        if worker.leaves:
            told = f"{_name(worker)} leaves; {worker.busy} jobs to finish"
            found.append(Check("workers", "warning", told, "Start its successor, if that is not done: awaitsql worker"))
        elif worker.sources != ours:
            told = f"{_name(worker)} has other sources than this file"
            found.append(Check("workers", "warning", told, "awaitsql reload on its machine, with the same file."))
    records = {worker.record for worker in seen}
    if len(records) > 1:
        told = f"workers read records up to versions {', '.join(map(str, sorted(records)))}"
        found.append(Check("workers", "warning", told, "Upgrade the older ones: newer jobs pass them by."))
    if settings.mcp_server.ask is not None and not any(worker.queue for worker in seen):
        fix = "awaitsql worker --queue generate, or a server started without --workers 0."
        found.append(Check("workers", "warning", "nobody works on questions", fix))
    return found or [Check("workers", "ok", f"{len(seen)} alike")]


async def _statement_check(machine: Machine, settings: Settings, source: str, worker: WorkerSeen) -> Check:
    about, executor = f"statement on {source}", machine.executor
    owner = settings.principal.owner
    try:
        schema = await executor.source_schema(source, wait_s=_ANSWER_S)
        checked = check(
            _STATEMENT,
            source_schema=schema,
            grant=_grant(machine, settings, schema),
            limits=settings.executor.limits.limits(),
        )
        began = time.monotonic()
        job = await _run(machine, checked, owner, worker)
    except ExecutorError as error:
        return Check(about, "error", f"{_name(worker)}: {error.message}", error.hint)
    if job is None:
        told = f"{_name(worker)} did not run one within {_ANSWER_S:g} s"
        return Check(about, "error", told, "awaitsql workers shows what it is at; see its log, or start it again.")
    return Check(about, "ok", f"{_name(worker)} answered in {(time.monotonic() - began) * 1000:.0f} ms")


def _grant(machine: Machine, settings: Settings, schema: SourceSchema) -> Grant:
    """For a statement that reads no table a rule of a policy decides nothing; the session's settings do."""
    if schema.source in settings.executor.sessions():
        return machine.policies.grant(settings.principal, schema)
    return machine.policies.results_grant()


async def _run(machine: Machine, statement: Statement, owner: str, worker: WorkerSeen) -> object | None:
    """The finished job; None where the worker has not run it in time. Raises the job's own error."""
    executor = machine.executor
    job = await executor.submit(statement, owner=owner, fresh=True, only_worker=worker.name)
    job = await executor.wait(job.id, owner=owner, timeout_s=_ANSWER_S)
    if job.error is not None:
        raise job.error
    if job.is_finished:
        return job
    await executor.cancel(job.id, owner=owner)
    return None


async def _connection_checks(
    machine: Machine, settings: Settings, source: str, workers: list[WorkerSeen]
) -> list[Check]:
    about = f"connections of {source}"
    try:
        _, most = await machine.executor.probe(source)
    except ExecutorError as error:
        return [Check(about, "error", error.message, error.hint)]
    if most is None:
        return []
    each = settings.executor.sources[source].max_running
    needed = sum(min(worker.slots, each) for worker in workers) * _HEADROOM
    told = f"{len(workers)} workers may open {needed:.0f} (with a fifth to spare), the database gives our role {most}"
    if needed <= most:
        return [Check(about, "ok", told)]
    fix = "Lower [executor] concurrency or the source's max_running, run fewer workers, or let the database have more."
    return [Check(about, "warning", told, fix)]


def _name(worker: WorkerSeen) -> str:
    return f"{worker.host}:{worker.pid}"
