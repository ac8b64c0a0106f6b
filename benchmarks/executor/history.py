"""How fast events move from the broker into the history, on SQLite and on PostgreSQL.

``python benchmarks/executor/history.py [--jobs 3000] [--postgres URL]``: submits jobs that nobody runs and cancels
them, so that each is two events, then drains them. Beside it, what the database takes of bare rows in one transaction
a batch: the limit that the disk sets.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
import uuid
from pathlib import Path

import redis
from sqlalchemy import text

from executor import Executor, ExecutorSettings, Statement, open_broker, signing_keys
from executor.connections import connect_sync
from executor.history.place import open_history
from executor.history.stream import EventStream
from executor.history.writing import HistoryWriter
from executor.signing import Signer

BATCH = 500


async def fill(settings: ExecutorSettings, url: str, jobs: int) -> None:
    with redis.Redis.from_url(url) as connection:
        connection.set(f"{settings.namespace}:drainer", "the benchmark", px=600_000)
    async with Executor(settings, url, signing_keys(settings)) as executor:
        sql = "SELECT customer, SUM(amount) FROM orders WHERE id < 1000 GROUP BY customer ORDER BY 2 DESC"
        statement = Statement("shop", sql, sql, settings.limits.limits())
        for _ in range(jobs):
            job = await executor.submit(statement, owner="benchmark")
            await executor.cancel(job.id, owner="benchmark")


def drain(settings: ExecutorSettings, url: str) -> tuple[int, float]:
    stream = EventStream(settings, connect_sync(url))
    writer = HistoryWriter(open_history(settings), Signer(signing_keys(settings)), settings.namespace)
    place, count, began = writer.place(stream.epoch()), 0, time.perf_counter()
    while True:
        batch = stream.next(place.epoch, place.position, BATCH)
        if batch is None or not batch.events:
            return count, time.perf_counter() - began
        place = writer.write(place, batch, now=time.time())
        count += len(batch.events)


def bare(settings: ExecutorSettings, count: int) -> float:
    name = f"bare_{uuid.uuid4().hex[:8]}"
    engine = open_history(settings)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE {name} (n BIGINT PRIMARY KEY, content TEXT)"))
    began = time.perf_counter()
    for start in range(0, count, BATCH):
        with engine.begin() as connection:
            rows = [{"n": n, "content": "x" * 400} for n in range(start, start + BATCH)]
            connection.execute(text(f"INSERT INTO {name} VALUES (:n, :content)"), rows)
    seconds = time.perf_counter() - began
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {name}"))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--postgres", default="")
    told = parser.parse_args()
    for url in ["", *([told.postgres] if told.postgres else [])]:
        with tempfile.TemporaryDirectory() as folder:
            settings = ExecutorSettings.model_validate(
                {"state_dir": Path(folder), "realm": uuid.uuid4().hex, "history": {"url": url}, "queue_depth": 100_000}
                | {"sources": {"shop": {"kind": "sqlite", "path": Path(folder) / "none.sqlite"}}}
            )
            with open_broker(settings) as broker:
                asyncio.run(fill(settings, broker, told.jobs))
                count, seconds = drain(settings, broker)
                limit = bare(settings, count)
        print(
            f"{url.partition(':')[0] or 'sqlite'}: {count} events in {seconds:.2f} s, {count / seconds:,.0f} a second;"
            f" bare rows {count / limit:,.0f} a second"
        )


if __name__ == "__main__":
    main()
