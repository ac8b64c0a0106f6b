"""What metrics cost: a job's share of the worker's processor time, a scrape, and a trivial query beside scrapes.

The query is taken in turns with and without a scrape of the server ten times a second, which is more than anybody
scrapes; one embedded broker, one worker process, SQLite.
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from executor import (
    Executor,
    ExecutorSettings,
    JobKind,
    JobState,
    Statement,
    WorkerFleet,
    metrics_of,
    open_broker,
    process_registry,
    signing_key,
)
from executor.metrics import WorkerMetrics
from mcp_server.calls import Calls

JOBS = 20_000
ROUNDS = 20
CALLS = 50
SCRAPE_EVERY_S = 0.1


def instruments() -> tuple[float, float]:
    """Microseconds of processor time that one job takes in the worker's instruments, and one call in the server's."""
    metrics = WorkerMetrics(CollectorRegistry(), slots=8, busy=lambda: 0)
    began = time.process_time()
    for _ in range(JOBS):
        metrics.waited("worker", "db", 0.001)
        metrics.ended(JobKind.QUERY, JobState.SUCCEEDED, 0.002)
        metrics.waited("connection", "db", 0.0001)
        metrics.waited("database", "db", 0.001)
        metrics.waited("store", "db", 0.0)
        metrics.kept("db", rows=1, size=8)
    worker = (time.process_time() - began) / JOBS
    calls = Calls(CollectorRegistry())
    began = time.process_time()
    for _ in range(JOBS):
        with calls.counted("mcp", "query"):
            pass
    return worker * 1e6, (time.process_time() - began) / JOBS * 1e6


async def main() -> None:
    small = Path(tempfile.mkdtemp(prefix="aq")) / "small.sqlite"
    small.touch()
    settings = ExecutorSettings.model_validate(
        {"state_dir": Path(tempfile.mkdtemp(prefix="aq")), "sources": {"db": {"kind": "sqlite", "path": str(small)}}}
    )
    key = signing_key(settings)
    statement = Statement("db", "select 1 as one", "select 1 as one", settings.limits.limits())
    registry = process_registry("")
    Calls(registry)
    took: dict[bool, list[float]] = {True: [], False: []}
    scrapes: list[float] = []
    with open_broker(settings) as url, WorkerFleet(settings, url, key, 1):
        async with Executor(settings, url, key) as executor:

            async def scrape() -> None:
                while True:
                    began = time.perf_counter()
                    figures = await executor.figures()
                    generate_latest(registry)
                    assert sum(len(metric.samples) for metric in metrics_of(figures)) > 20
                    scrapes.append((time.perf_counter() - began) * 1000)
                    await asyncio.sleep(SCRAPE_EVERY_S)

            async def query() -> float:
                began = time.perf_counter()
                job = await executor.submit(statement, owner=f"bench/{secrets.token_hex(4)}")
                job = await executor.wait(job.id, owner=job.owner, timeout_s=60, known=job)
                assert job.preview == [[1]], job
                return (time.perf_counter() - began) * 1000

            for warm in (True, *[False] * ROUNDS):
                for is_scraped in (True, False):
                    scraping = asyncio.create_task(scrape()) if is_scraped else None
                    for _ in range(CALLS):
                        ms = await query()
                        if not warm:
                            took[is_scraped].append(ms)
                    if scraping is not None:
                        scraping.cancel()
                        with suppress(asyncio.CancelledError):
                            await scraping
    per_job, per_call = instruments()
    with_scrapes, without = statistics.median(took[True]), statistics.median(took[False])
    print(
        f"a job {per_job:.1f} us of the worker's processor, a call {per_call:.1f} us of the server's; "
        f"a scrape p50 {statistics.median(scrapes):.1f} ms; submit to rows p50 {with_scrapes:.2f} ms beside ten "
        f"scrapes a second, {without:.2f} ms without, ratio {with_scrapes / without:.2f}"
    )


if __name__ == "__main__":
    asyncio.run(main())
