"""How long after a cancel each database has stopped, as the database itself shows it. Bar: p95 at most 250 ms.

    PYTHONPATH=.:tests:tests/integration python benchmarks/executor/cancel.py [--rounds 20] [--sources sqlite,mysql]

Statements compute for ever, or send rows for ever. PostgreSQL and MariaDB run at TEST_POSTGRES_URL and TEST_MYSQL_URL;
they are asked for their list of running statements every few milliseconds, on connections of their own. SQLite and
DuckDB run inside the worker and have no such list: there it is the job's end that is waited for, which is told after
the driver's call has come back. Times count from the call of ``cancel``.
``told`` is the job's own ``stopped_after_ms``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
from databases import Database, duckdb_shop, mysql_connection, mysql_shop, postgres_shop, sqlite_shop
from machines import OWNER, Machine, running

from executor import ExecutorSettings, Job, JobState, Statement

_POLL_S = 0.003


def watcher(kind: str, shop: Database, stack: contextlib.ExitStack) -> Callable[[str], bool] | None:
    """Asks the server whether a statement with that mark runs; None for a database without a server."""
    if kind == "postgres":
        connection = stack.enter_context(psycopg.connect(shop.config.url, autocommit=True))  # type: ignore[union-attr]
        told = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s AND pid <> pg_backend_pid()"
        return lambda mark: connection.execute(told, (f"%{mark}%",)).fetchone() is not None
    if kind == "mysql":
        link = stack.enter_context(mysql_connection(shop.config.url))  # type: ignore[union-attr]
        cursor = link.cursor()
        query = "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE %s AND ID <> CONNECTION_ID()"
        return lambda mark: cursor.execute(query, (f"%{mark}%",)) > 0
    return None


async def started(machine: Machine, kind: str, sql: str, *, fetches: bool) -> Job:
    """The job, computing or sending rows."""
    limits = replace(machine.settings.limits.limits(), max_rows=10**10, max_bytes=10**12)
    job = await machine.executor.submit(Statement(kind, sql, sql, limits), owner=OWNER)
    job = await machine.until(job, JobState.RUNNING)
    while fetches and not job.rows:
        await asyncio.sleep(0.02)
        job = await machine.executor.get(job.id, owner=OWNER)
    return job


async def once(machine: Machine, kind: str, shop: Database, runs: Callable[[str], bool] | None, *, fetches: bool):
    """Milliseconds from the cancel until the database had stopped, and the job's own word."""
    mark = f"m{uuid.uuid4().hex[:10]}"
    sql = f"SELECT q.*, '{mark}' AS mark FROM ({shop.endless if fetches else shop.silent}) q"
    job = await started(machine, kind, sql, fetches=fetches)
    if runs is None:
        await asyncio.sleep(0.3)
    else:
        while not runs(mark):
            await asyncio.sleep(_POLL_S)
    began = time.perf_counter()
    cancelling = asyncio.create_task(machine.executor.cancel(job.id, owner=OWNER))
    if runs is not None:
        while await asyncio.to_thread(runs, mark):
            await asyncio.sleep(_POLL_S)
        took = time.perf_counter() - began
    await cancelling
    job = await machine.until(job, JobState.CANCELLED)
    if runs is None:
        took = time.perf_counter() - began
    return took * 1000, float(job.notes["stopped_after_ms"])


def at(share: float, values: list[float]) -> float:
    """The value below which that share of them lies."""
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


async def measure(rounds: int, chosen: list[str]) -> None:
    """Prints a line for each kind and stage."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="awaitsql-bench-")))
        made: dict[str, Callable[[], Database]] = {
            "sqlite": lambda: sqlite_shop(folder),
            "duckdb": lambda: duckdb_shop(folder),
            "postgres": lambda: stack.enter_context(postgres_shop(os.environ["TEST_POSTGRES_URL"])),
            "mysql": lambda: stack.enter_context(mysql_shop(os.environ["TEST_MYSQL_URL"])),
        }
        shops = {kind: made[kind]() for kind in chosen}
        settings = ExecutorSettings.model_validate(
            {"state_dir": folder / "state", "sources": {name: shop.config.model_dump() for name, shop in shops.items()}}
        )
        async with running(settings) as machine:
            print(f"{'':20} {'p50 ms':>8} {'p95 ms':>8} {'max ms':>8}   told p50, p95 ms   ({rounds} cancels each)")
            for kind, shop in shops.items():
                runs = watcher(kind, shop, stack)
                for fetches in (False, True):
                    seen = [await once(machine, kind, shop, runs, fetches=fetches) for _ in range(rounds + 1)][1:]
                    took, told = [s[0] for s in seen], [s[1] for s in seen]
                    stage = f"{kind} {'fetching' if fetches else 'computing'}"
                    print(
                        f"{stage:20} {at(0.5, took):8.1f} {at(0.95, took):8.1f} {max(took):8.1f}"
                        f"   {at(0.5, told):6.0f} {at(0.95, told):6.0f}",
                        flush=True,
                    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--sources", default="sqlite,duckdb,postgres,mysql")
    told = parser.parse_args()
    asyncio.run(measure(told.rounds, told.sources.split(",")))


if __name__ == "__main__":
    main()
