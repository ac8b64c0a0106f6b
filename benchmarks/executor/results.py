"""Exports of a stored result and SQL over it: seconds and growth of memory, from a directory and from S3 over HTTP.

    python benchmarks/executor/results.py [--rows 1000000]

Each measurement is a process of its own, so that its memory is its own. Growth is the peak less what the process held
when the store was open and its libraries loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from executor.adapters.duckdb_results import results_session
from executor.jobs import Limits
from executor.results import statistics
from executor.results.opening import open_results
from executor.settings import ExecutorSettings
from executor.timers import Timers

JOB = "7KQ4M-XX2PD-9ZTRW-C83HN-V"
BATCH = 8_192
STEPS = ("csv", "json", "parquet", "arrow", "query_result", "stream", "stream without a summary")
SQL = "SELECT city, count(*) AS n, sum(price) AS total, max(seen_at) AS last FROM r1 GROUP BY city ORDER BY n DESC"


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    for start in range(0, rows, BATCH):
        ids = range(start, min(start + BATCH, rows))
        yield pa.record_batch(
            {
                "id": pa.array(ids),
                "city": pa.array([f"city {i % 500}" for i in ids]),
                "price": pa.array([Decimal(i % 100_000) / 100 for i in ids], pa.decimal128(12, 2)),
                "rate": pa.array([i / 7 for i in ids]),
                "seen_at": pa.array([begin + timedelta(seconds=i) for i in ids], pa.timestamp("us", "UTC")),
                "note": pa.array([f"note {i * 7919 % 1000003}" for i in ids]),
            }
        )


def one(step: str, settings: ExecutorSettings, rows: int) -> dict[str, float]:
    """Seconds, MB of growth, MB written."""
    store = open_results(settings)
    made = list(batches(rows)) if step.startswith("stream") else []
    if step == "stream without a summary":
        statistics.ColumnStatistics.add = lambda *_: None
    Path("/proc/self/clear_refs").write_text("5")
    before = held()
    began = time.perf_counter()
    written = 0
    if step.startswith("stream"):
        with store.writer(JOB, 2, limits=Limits(max_rows=rows)) as writer:
            for some in made:
                writer.write(some)
            writer.finish()
        store.delete(JOB, 2)
    elif step == "query_result":
        whole = {"r1": store.whole(JOB, 1)}
        with results_session(whole, memory_mb=1024, timeout_s=60, timers=Timers(), check=lambda: None) as session:
            assert sum(b.num_rows for b in session.run(SQL).batches) == 500
    else:
        with tempfile.TemporaryFile() as out:
            store.export(JOB, 1, step, out)
            written = out.tell()
    return {"s": time.perf_counter() - began, "grown_mb": (held(peak=True) - before) / 1e6, "written_mb": written / 1e6}


def held(*, peak: bool = False) -> int:
    name = "VmHWM:" if peak else "VmRSS:"
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--step")
    given = parser.parse_args()
    if given.step:
        settings = ExecutorSettings.model_validate_json(os.environ["RESULTS_SETTINGS"])
        print(json.dumps(one(given.step, settings, given.rows)))
        return
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from object_stores import bucket, s3_server  # noqa: PLC0415 - the tests', found by the line above

    with tempfile.TemporaryDirectory() as folder, s3_server() as endpoint:
        home = Path(folder)
        for place, settings in {
            "directory": ExecutorSettings(state_dir=home, results_dir=home / "results"),
            "S3 over HTTP": ExecutorSettings(state_dir=home, object_store=bucket(endpoint, home)),
        }.items():
            with open_results(settings).writer(JOB, 1, limits=Limits(max_rows=given.rows)) as writer:
                for some in batches(given.rows):
                    writer.write(some)
                writer.finish()
            for step in STEPS:
                told = subprocess.run(
                    [sys.executable, __file__, "--rows", str(given.rows), "--step", step],
                    env={**os.environ, "RESULTS_SETTINGS": settings.model_dump_json()},
                    stdout=subprocess.PIPE,
                    check=True,
                    text=True,
                ).stdout
                found = json.loads(told.splitlines()[-1])
                print(f"{place:14} {step:26}" + "".join(f"  {k} {v:8.2f}" for k, v in found.items()), flush=True)


if __name__ == "__main__":
    main()
