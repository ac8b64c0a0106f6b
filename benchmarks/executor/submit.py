"""A trivial query from submit to rows in hand, below MCP, beside a bare Celery loop with the same database call.

Both run on one embedded broker of their own with one worker process of eight threads. Latency: one caller, one query
after the other, the two taken in turns so that the machine's moods meet both. Throughput: 16 callers at once. SQLite
always; PostgreSQL where TEST_POSTGRES_URL names one.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import redis.asyncio
from bare_tickets import DONE, THREADS, make_app
from pydantic import TypeAdapter

from executor import Executor, ExecutorSettings, Statement, WorkerFleet, open_broker, signing_keys
from executor.sources import AnySource

SQL = "select 1 as one"
ROUNDS = 10
CALLS = 50
AT_ONCE = 16
MANY = 2000

Call = Callable[[], Awaitable[list]]


@asynccontextmanager
async def ours(settings: ExecutorSettings) -> AsyncIterator[Call]:
    """One query through the executor: its rows."""
    keys = signing_keys(settings)
    statement = Statement("db", SQL, SQL, settings.limits.limits())
    with open_broker(settings) as url, WorkerFleet(settings, url, 1):
        async with Executor(settings, url, keys) as executor:

            async def call() -> list:
                job = await executor.submit(statement, owner=f"bench/{secrets.token_hex(4)}")
                job = await executor.wait(job.id, owner=job.owner, timeout_s=30, known=job)
                assert job.summary is not None and job.summary.row_count == len(job.preview), job
                return job.preview  # what the tools show a caller: all rows of a small result come with the job

            yield call


@asynccontextmanager
async def bare(settings: ExecutorSettings) -> AsyncIterator[Call]:
    """One query through a Celery task and a published word: its rows."""
    with open_broker(settings) as url:
        told = TypeAdapter(AnySource).dump_json(settings.sources["db"]).decode()
        worker = subprocess.Popen([sys.executable, str(Path(__file__).parent / "bare_tickets.py"), url, told])
        app, waiting = make_app(url), dict[str, asyncio.Event]()
        connection = redis.asyncio.Redis.from_url(url, decode_responses=True, socket_timeout=None)
        async with connection, connection.pubsub() as heard:
            await heard.subscribe(DONE)

            async def listen() -> None:
                async for message in heard.listen():
                    if message["data"] in waiting:
                        waiting[message["data"]].set()

            async def call() -> list:
                ticket = secrets.token_hex(8)
                waiting[ticket] = asyncio.Event()
                await asyncio.to_thread(app.send_task, "bare.run", (ticket, SQL), ignore_result=True)
                await waiting[ticket].wait()
                del waiting[ticket]
                return json.loads(await connection.get(f"bare:{ticket}"))[1]

            ears = asyncio.create_task(listen())
            try:
                yield call
            finally:
                ears.cancel()
                worker.terminate()
                worker.wait(10)


async def latency(calls: dict[str, Call]) -> dict[str, float]:
    """Median milliseconds of each, taken in turns."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    for warm in (True, *[False] * ROUNDS):
        for name, call in calls.items():
            for _ in range(CALLS):
                began = time.perf_counter()
                rows = await call()
                if not warm:
                    took[name].append((time.perf_counter() - began) * 1000)
                assert rows == [[1]], rows
    return {name: statistics.median(each) for name, each in took.items()}


async def throughput(call: Call) -> float:
    """Jobs a second with `AT_ONCE` callers."""
    left = MANY

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            assert await call() == [[1]]

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    return MANY / (time.perf_counter() - began)


def settings_of(source: dict[str, object]) -> ExecutorSettings:
    """A configuration of its own, which limits nobody."""
    folder = Path(tempfile.mkdtemp(prefix="aq"))
    source = {**source, "max_running": THREADS}
    return ExecutorSettings.model_validate(
        {"state_dir": folder, "sources": {"db": source}, "concurrency": THREADS, "principal_max_running": THREADS}
    )


async def main() -> None:
    small = Path(tempfile.mkdtemp(prefix="aq")) / "small.sqlite"
    small.touch()
    sources: dict[str, dict[str, object]] = {"SQLite": {"kind": "sqlite", "path": str(small)}}
    if url := os.environ.get("TEST_POSTGRES_URL"):
        sources["PostgreSQL"] = {"kind": "postgres", "url": url}
    for name, source in sources.items():
        async with ours(settings_of(source)) as mine, bare(settings_of(source)) as peer:
            p50 = await latency({"ours": mine, "bare": peer})
            rates = [(await throughput(peer), await throughput(mine)) for _ in range(3)]
        told, best = statistics.median(b for b, _ in rates), statistics.median(m for _, m in rates)
        print(
            f"{name}: submit to rows p50 {p50['ours']:.2f} ms, bare Celery loop {p50['bare']:.2f} ms, "
            f"ratio {p50['ours'] / p50['bare']:.2f} (bar 1.5); "
            f"{best:.0f} jobs/s against {told:.0f}, ratio {best / told:.2f} (bar 0.7)"
        )


if __name__ == "__main__":
    asyncio.run(main())
