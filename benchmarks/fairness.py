"""What one caller's queue costs another: `select 1` beside 40 waiting `pg_sleep(0.2)`; and what shared results cost.

Takes the PostgreSQL at TEST_POSTGRES_URL. The first figure is a ratio within one run; the bar is 2.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from executor import Executor, ExecutorSettings, Job, JobState, Statement, WorkerFleet, open_broker, signing_keys

CALLS = 100
HOG = 40


async def p50(call: Callable[[], Awaitable[Job]]) -> tuple[float, float]:
    """Milliseconds: the median and the 95th of 100."""
    took = []
    for _ in range(CALLS):
        began = time.perf_counter()
        job = await call()
        took.append((time.perf_counter() - began) * 1000)
        assert job.state is JobState.SUCCEEDED, job
    return statistics.median(took), statistics.quantiles(took, n=20)[18]


async def main() -> None:
    settings = ExecutorSettings.model_validate(
        {
            "state_dir": Path(tempfile.mkdtemp(prefix="awaitsql-bench-")),
            "sources": {"pg": {"kind": "postgres", "url": os.environ["TEST_POSTGRES_URL"]}},
        }
    )
    keys = signing_keys(settings)
    with open_broker(settings) as url, WorkerFleet(settings, url, 2):
        async with Executor(settings, url, keys) as executor:
            await executor.source_schema("pg", wait_s=60)

            async def run(sql: str, owner: str, shared: str = "nobody") -> Job:
                statement = Statement("pg", sql, sql, settings.limits.limits(), shared_with=shared)  # type: ignore[arg-type]
                job = await executor.submit(statement, owner=owner)
                return job if job.is_finished else await executor.wait(job.id, owner=owner, timeout_s=60)

            for _ in range(30):
                await run("select 1", "other")
            idle = await p50(lambda: run("select 1", "other"))
            done = asyncio.Event()
            rounds = 0

            async def hog() -> None:
                """Keeps 40 jobs queued for as long as the other measures."""
                nonlocal rounds
                statement = Statement("pg", "select pg_sleep(0.2)", "", settings.limits.limits())
                waiting: list[Job] = []
                while not done.is_set():
                    while len(waiting) < HOG:
                        waiting.append(await executor.submit(statement, owner="hog"))
                    first = waiting.pop(0)
                    await executor.wait(first.id, owner="hog", timeout_s=60)
                    rounds += 1
                for job in waiting:
                    await executor.cancel(job.id, owner="hog")

            task = asyncio.create_task(hog())
            while rounds < 3:
                await asyncio.sleep(0.05)
            busy = await p50(lambda: run("select 1", "other"))
            done.set()
            await task
            print(f"select 1, alone        p50 {idle[0]:6.2f} ms  p95 {idle[1]:6.2f} ms")
            print(
                f"beside {HOG} queued jobs  p50 {busy[0]:6.2f} ms  p95 {busy[1]:6.2f} ms  ratio {busy[0] / idle[0]:.2f}"
            )

            await run("select 1 as hit", "other", "principal")
            hit = await p50(lambda: run("select 1 as hit", "other", "principal"))
            print(f"rows that are there    p50 {hit[0]:6.2f} ms  p95 {hit[1]:6.2f} ms")

            limits = replace(settings.limits.limits(), timeout_s=60.0)
            lead = Statement("pg", "select pg_sleep(30)", "", limits, shared_with="principal")
            leader = await executor.submit(lead, owner="other")
            while (await executor.get(leader.id, owner="other")).state is not JobState.RUNNING:
                await asyncio.sleep(0.02)
            took, joined = [], []
            for _ in range(CALLS):
                began = time.perf_counter()
                joined.append(await executor.submit(lead, owner="other"))
                took.append((time.perf_counter() - began) * 1000)
            assert all(job.notes.get("shared") == "joined" for job in joined)
            print(f"joining a run          p50 {statistics.median(took):6.2f} ms")
            for job in (leader, *joined):
                began = time.perf_counter()
                await executor.cancel(job.id, owner="other")
            last = await executor.wait(joined[-1].id, owner="other", timeout_s=10)
            print(f"the last of {CALLS + 1} leaves  the database stopped after {last.notes['stopped_after_ms']} ms")


asyncio.run(main())
