"""Runs statements that ask for too much through the guard and the adapter, and says what stopped each.

    python benchmarks/resource_bombs.py FILE.jsonl ... [--timeout-s 3] [--memory-mb 1500] [--only-unstopped]

A line of a file is a JSON object with ``id``, ``dialect`` and ``sql``; of lines that have a ``layer``, those that say
``guard_or_db`` are taken. The policy is an open one over the tables below. Each statement runs in a process of its
own, whose address space may grow by ``--memory-mb`` (0: without bound), as a worker's would under a memory limit.
PostgreSQL and MariaDB run at the addresses in TEST_POSTGRES_URL and TEST_MYSQL_URL, if they are set, in a database
that must hold a table ``big_n (n int)`` of 2,000 rows; for the other kinds it is made here.

Columns: what stopped it; with "raw", what stops the statement past the guard; seconds; by how many MB this process,
and for PostgreSQL on this machine its server's process, grew at the most.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import resource
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psutil
from pydantic import TypeAdapter

from executor import Limits
from executor.adapters import kinds, make_adapter
from executor.adapters.base import Adapter
from executor.sources import AnySource, SourceConfig
from mcp_server.policy import Grant
from mcp_server.sql import StatementRefused, check

_KEPT_BYTES = 100_000_000
"""Of a result, as the worker's own limit would have it."""
_HUNG_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--timeout-s", type=float, default=3.0)
    parser.add_argument("--memory-mb", type=int, default=1500)
    parser.add_argument("--past-the-guard", action="store_true", help="run every statement raw, too")
    told = parser.parse_args()
    print(f"{'id':<12} {'way':<6} {'stopped by':<34} {'s':>6} {'MB':>6} {'server MB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for row in _rows(told.files):
            config = _source(row["dialect"], Path(folder))
            if config is None:
                continue
            for raw in (False, True) if told.past_the_guard else (False,):
                found = _in_a_process(row["sql"], config, raw=raw, timeout_s=told.timeout_s, memory_mb=told.memory_mb)
                way = "raw" if raw else "guard"
                print(
                    f"{row['id']:<12} {way:<6} {found[0]:<34} {found[1]:6.1f} {found[2]:6.0f} {found[3]:9.0f}",
                    flush=True,
                )


def _rows(files: list[Path]) -> Iterator[dict[str, Any]]:
    for path in files:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row.get("layer", "guard_or_db") == "guard_or_db":
                yield row


def _source(dialect: str, folder: Path) -> AnySource | None:
    """A source of this dialect with a table of 2,000 rows, or None where there is none."""
    if dialect not in kinds():
        return None
    path = folder / f"big.{dialect}"
    told: dict[str, Any] = {"kind": dialect, "path": path}
    make = (
        "CREATE TABLE big_n (n INTEGER)",
        "INSERT INTO big_n WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 2000)"
        " SELECT n FROM r",
    )
    if dialect == "sqlite" and not path.exists():
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for sql in make:
                connection.execute(sql)
    elif dialect == "duckdb" and not path.exists():
        with duckdb.connect(str(path)) as connection:
            for sql in make:
                connection.execute(sql).fetchall()
    elif dialect not in ("sqlite", "duckdb"):
        url = os.environ.get(f"TEST_{dialect.upper()}_URL")
        if url is None:
            return None
        told = {"kind": dialect, "url": url}
    if dialect == "duckdb":
        told["memory_limit_mb"] = 256
    return TypeAdapter[AnySource](SourceConfig).validate_python(told)


def _in_a_process(
    sql: str, config: AnySource, *, raw: bool, timeout_s: float, memory_mb: int
) -> tuple[str, float, float, float]:
    """What stopped it, seconds, MB of this process, MB of the server."""
    spawned = multiprocessing.get_context("spawn")
    ours, theirs = spawned.Pipe()
    child = spawned.Process(target=_run, args=(theirs, sql, config, raw, timeout_s, memory_mb))
    child.start()
    theirs.close()
    began = time.monotonic()
    try:
        if ours.poll(timeout_s + _HUNG_S):
            found: tuple[str, float, float, float] = ours.recv()
            return found
        return ("NOTHING", time.monotonic() - began, 0.0, 0.0)
    except EOFError:
        return ("NOTHING: the process died", time.monotonic() - began, 0.0, 0.0)
    finally:
        child.kill()
        child.join()


def _run(answer: Any, sql: str, config: AnySource, raw: bool, timeout_s: float, memory_mb: int) -> None:
    adapter = make_adapter("bombs", config)
    schema = adapter.inspect()
    with adapter.session(timeout_s=10) as session:
        list(session.run("SELECT 1").batches)
    if memory_mb:
        limit = int(_status_mb("self", "VmData") * 1e6) + memory_mb * 1_000_000
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    text = sql
    if not raw:
        try:
            text = check(sql, source_schema=schema, grant=Grant.everything(), limits=Limits(max_rows=10_000)).sql
        except StatementRefused as refused:
            answer.send((f"guard: {refused.code}", 0.0, 0.0, 0.0))
            return
    process = psutil.Process()
    before, most, done = process.memory_info().rss, [0.0, 0.0], threading.Event()
    server: list[Any] = []

    def look() -> None:
        while not done.wait(0.01):
            most[0] = max(most[0], (process.memory_info().rss - before) / 1e6)
            if server:
                with contextlib.suppress(OSError, ValueError):  # of another machine
                    most[1] = max(most[1], _status_mb(server[0], "RssAnon"))

    threading.Thread(target=look, daemon=True).start()
    began = time.monotonic()
    stopped = _stopped_by(adapter, text, timeout_s, server)
    seconds = time.monotonic() - began
    done.set()
    answer.send((stopped, seconds, most[0], most[1]))


def _stopped_by(adapter: Adapter, sql: str, timeout_s: float, server: list[Any]) -> str:
    rows = size = 0
    try:
        with adapter.session(timeout_s=timeout_s) as session:
            if session.query_id is not None:
                server.append(session.query_id.split(":")[0])
            for batch in session.run(sql).batches:
                rows, size = rows + batch.num_rows, size + batch.nbytes
                if rows > 10_000 or size > _KEPT_BYTES:
                    session.cancel()
                    return "result cap"
    except Exception as error:  # noqa: BLE001 # whatever stops it is what is asked for
        failed = adapter.classify(error)
        return f"{failed.code}: {failed.message}"[:34]
    return f"ends: {rows} rows, {size / 1e6:.1f} MB"


def _status_mb(pid: str, what: str) -> float:
    """A figure of a process's memory, in MB, as Linux tells it."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(what))


if __name__ == "__main__":
    main()
