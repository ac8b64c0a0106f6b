"""Many rows from PostgreSQL and DuckDB into stored results, beside a bare Arrow reader that writes the same parts.

    python benchmarks/executor/rows.py [--rows 1e6,1e7] [--rounds 3]

TEST_POSTGRES_URL names the PostgreSQL server. The peer reads with ADBC (PostgreSQL) or DuckDB's Arrow reader and writes
zstd parts of the same size by the same function, in a process of its own: no limits, no summary, no job, no lease.
Ours and the peer are taken in turns; ratios are of medians. Memory is the growth of the worker's own pages while it
runs. Then, over the largest stored result: what the summary took of the worker's work, and pages from the middle.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import psutil
import pyarrow as pa

from executor import Executor, ExecutorSettings, Statement, WorkerFleet, open_broker, signing_keys
from executor.adapters import make_adapter
from executor.handles import new_job_id
from executor.jobs import Limits
from executor.results.local import LocalPlace
from executor.results.parts import joined, write_part
from executor.results.statistics import ColumnStatistics
from executor.results.stored import StoredResults
from executor.results.writing import PART_BYTES, PART_ROWS

POSTGRES = (
    "select g as id, now() + g * interval '1 second' as t, g * 1.5::float8 as amount, g % 100 as bucket, "
    "'name ' || g as name, md5(g::text) as h, 'city ' || g % 50 as city, g % 2 = 0 as even "
    "from generate_series(1, {rows}) g"
)
DUCKDB = (
    "select i as id, now() + to_seconds(i) as t, i * 1.5::double as amount, i % 100 as bucket, "
    "'name ' || i as name, md5(i::varchar) as h, 'city ' || i % 50 as city, i % 2 = 0 as even from range({rows}) r(i)"
)
BYTES = 10_000_000_000


def batches_of(kind: str, where: str, sql: str) -> Iterator[pa.RecordBatch]:
    """The rows as the bare driver gives them."""
    if kind == "duckdb":
        with duckdb.connect(where, read_only=True) as connection:
            yield from connection.sql(sql).to_arrow_reader(8192)
        return
    with adbc.connect(where) as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": "1000000"})
        cursor.execute(sql)
        yield from cursor.fetch_record_batch()


def bare(kind: str, where: str, sql: str) -> int:
    """Reads and writes parts, and nothing else: how many rows."""
    place, folder = LocalPlace(Path(tempfile.mkdtemp(prefix="aq"))), "job/1"
    place.begin(folder)
    waiting: list[pa.RecordBatch] = []
    rows = size = parts = total = 0
    for batch in batches_of(kind, where, sql):
        waiting.append(batch)
        rows, size, total = rows + batch.num_rows, size + batch.nbytes, total + batch.num_rows
        if rows >= PART_ROWS or size >= PART_BYTES:
            write_part(place, folder, parts, joined(waiting), [False] * batch.num_columns)
            waiting, rows, size, parts = [], 0, 0, parts + 1
    if waiting:
        write_part(place, folder, parts, joined(waiting), [False] * waiting[0].num_columns)
    return total


@contextmanager
def grown(pid: int) -> Iterator[list[float]]:
    """The most MB by which the process's own pages grow meanwhile."""
    process, done, most = psutil.Process(pid), threading.Event(), [0.0]
    before = process.memory_full_info().uss

    def look() -> None:
        while not done.wait(0.05):
            most[0] = max(most[0], (process.memory_full_info().uss - before) / 1e6)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()


async def side_by_side(kind: str, source: dict[str, object], where: str, sql: str, rows: int, rounds: int) -> None:
    settings = ExecutorSettings.model_validate(
        {"state_dir": Path(tempfile.mkdtemp(prefix="aq")), "sources": {"db": source}}
    )
    limits = Limits(max_rows=rows, max_bytes=BYTES)
    keys = signing_keys(settings)
    mine, theirs, memory = [], [], []
    with open_broker(settings) as url, WorkerFleet(settings, url, 1) as fleet:
        async with Executor(settings, url, keys) as executor:
            warm = await executor.submit(Statement("db", "select 1 as a", "", limits), owner="bench")
            await executor.wait(warm.id, owner="bench", timeout_s=60)
            for _ in range(rounds):
                began = time.perf_counter()
                with grown(fleet.pids()[0]) as most:
                    job = await executor.submit(Statement("db", sql, sql, limits), owner="bench")
                    job = await executor.wait(job.id, owner="bench", timeout_s=600)
                mine.append(time.perf_counter() - began)
                memory.append(most[0])
                assert job.summary is not None and job.summary.row_count == rows, job
                peer = [sys.executable, __file__, "--peer", json.dumps([kind, where, sql])]
                told = subprocess.run(peer, check=True, capture_output=True, text=True).stdout
                count, seconds = json.loads(told)
                assert count == rows
                theirs.append(seconds)
    ours, peers = statistics.median(mine), statistics.median(theirs)
    print(
        f"{kind} {rows:,} rows: {ours:.2f} s, bare {peers:.2f} s, ratio {ours / peers:.2f} (bar 1.3); "
        f"worker +{max(memory):.0f} MB",
        flush=True,
    )


def inside(kind: str, source: object, sql: str, rows: int) -> None:
    """One run in this process: the summary's share of it, then pages from the middle."""
    spent = [0.0]

    def timed(name: str) -> None:
        plain = getattr(ColumnStatistics, name)

        def wrapped(self: ColumnStatistics, *args: object) -> object:
            began = time.perf_counter()
            try:
                return plain(self, *args)
            finally:
                spent[0] += time.perf_counter() - began

        setattr(ColumnStatistics, name, wrapped)

    for name in ("add", "retype", "stats"):
        timed(name)
    results, job_id = StoredResults(LocalPlace(Path(tempfile.mkdtemp(prefix="aq")))), new_job_id()
    adapter = make_adapter("db", source)
    began = time.perf_counter()
    with adapter.session(timeout_s=600) as session:
        found = session.run(sql)
        with results.writer(job_id, 1, limits=Limits(max_rows=rows, max_bytes=BYTES)) as writer:
            writer.start(found.schema)
            for batch in found.batches:
                writer.write(batch)
            writer.finish()
    took = time.perf_counter() - began
    adapter.close()
    print(
        f"{kind} {rows:,} rows: the summary took {spent[0] / (took - spent[0]):.1%} of the rest (bar 15%)", flush=True
    )
    took_ms = []
    for _ in range(200):
        offset = random.randrange(rows // 4, rows * 3 // 4)
        began = time.perf_counter()
        page = results.page(job_id, 1, offset=offset, limit=100, complete=True)
        took_ms.append((time.perf_counter() - began) * 1000)
        assert len(page.rows) == 100
    print(f"{kind} {rows:,} rows: a page of 100 from the middle, p50 {statistics.median(took_ms):.2f} ms (bar 5)")


async def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--peer")
    asked.add_argument("--rows", default="1e6,1e7")
    asked.add_argument("--rounds", type=int, default=3)
    options = asked.parse_args()
    if options.peer:
        began = time.perf_counter()
        count = bare(*json.loads(options.peer))
        print(json.dumps([count, time.perf_counter() - began]))
        return
    file = str(Path(tempfile.mkdtemp(prefix="aq")) / "empty.duckdb")
    duckdb.connect(file).close()
    kinds = {"duckdb": (DUCKDB, file, {"kind": "duckdb", "path": file})}
    if url := os.environ.get("TEST_POSTGRES_URL"):
        kinds["postgres"] = (POSTGRES, url, {"kind": "postgres", "url": url})
    for kind, (sql, where, source) in kinds.items():
        counts = [int(float(n)) for n in options.rows.split(",")]
        for rows in counts:
            await side_by_side(kind, source, where, sql.format(rows=rows), rows, options.rounds)
        settings = ExecutorSettings.model_validate({"state_dir": Path(file).parent, "sources": {"db": source}})
        inside(kind, settings.sources["db"], sql.format(rows=max(counts)), max(counts))


if __name__ == "__main__":
    asyncio.run(main())
