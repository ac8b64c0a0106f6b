"""A running machine for tests: a real broker, real worker processes, a real database file."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from executor import Executor, ExecutorSettings, Job, Statement, WorkerFleet, open_broker, signing_keys

OWNER = "test/owner/a"

COUNT_FOR_EVER = (
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 4000000000) SELECT COUNT(*) AS n FROM r"
)
"""Runs until somebody stops it."""

COUNT_A_WHILE = (
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3000000) SELECT COUNT(*) AS n FROM r"
)
"""Takes a second or so."""

COUNTED = [[3_000_000]]
"""Its rows."""


@dataclass
class Machine:
    """One running configuration, and short ways to use it."""

    settings: ExecutorSettings
    executor: Executor
    fleet: WorkerFleet
    broker_url: str

    def statement(self, sql: str, **limits: float) -> Statement:
        return Statement("shop", sql, sql, replace(self.settings.limits.limits(), **limits))

    async def submit(self, sql: str, owner: str = OWNER, **limits: float) -> Job:
        return await self.executor.submit(self.statement(sql, **limits), owner=owner)

    async def run(self, sql: str, owner: str = OWNER, **limits: float) -> Job:
        job = await self.submit(sql, owner, **limits)
        return await self.executor.wait(job.id, owner=owner, timeout_s=40)

    async def until(self, job: Job, *states: str, timeout_s: float = 40) -> Job:
        """The job once it is in one of the states."""
        async for seen in self.executor.watch(job.id, owner=job.owner, timeout_s=timeout_s):
            if seen.state in states:
                return seen
        moves = list(zip(await self.moves(job), await self.reasons(job), strict=True))
        raise AssertionError(f"{job.id} was not {states} in {timeout_s} s, but {seen.state}: {seen.error!r}; {moves}")

    async def moves(self, job: Job) -> list[str]:
        """The states that the history tells of, in order, once it has everything that was told until now."""
        return [told["what"] for told in await self.records(job)]

    async def reasons(self, job: Job) -> list[str]:
        """Why each of these moves was made."""
        return [told["reason"] for told in await self.records(job)]

    async def records(self, job: Job) -> list[dict[str, Any]]:
        """What the audit keeps of the job, in order."""
        async with asyncio.timeout(20):
            while (await self.executor.history_state())[1]:
                await asyncio.sleep(0.05)
        with closing(sqlite3.connect(self.settings.home / "history.sqlite")) as history:
            told = history.execute("SELECT content FROM awaitsql_audit WHERE job_id = ? ORDER BY seq", (job.id,))
            return [json.loads(content) for (content,) in told]


def make_shop(folder: Path) -> Path:
    """A SQLite file with 5,000 orders."""
    path = folder / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, amount REAL)")
        rows = ((i, f"customer {i % 50}", i / 4) for i in range(1, 5001))
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    connection.close()
    return path


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_shop(tmp_path)


@pytest.fixture(params=["embedded", "configured"])
def broker(request: pytest.FixtureRequest) -> Iterator[str | None]:
    with broker_of(request.param) as url:
        yield url


@contextmanager
def broker_of(kind: str) -> Iterator[str | None]:
    """None for the embedded broker; a database of the server at TEST_REDIS_URL, emptied, where there is one."""
    if kind == "embedded":
        yield None
        return
    url = os.environ.get("TEST_REDIS_URL")
    if not url:
        pytest.skip("TEST_REDIS_URL names no Redis; the embedded Valkey runs the same tests")
    url = _database_of_this_process(url)
    with redis.Redis.from_url(url) as connection:
        connection.flushdb()
        yield url
        connection.flushdb()


def _database_of_this_process(url: str) -> str:
    """Where tests run in several processes, each empties a database of its own: the named one, the next, and so on."""
    parts = urlsplit(url)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return parts._replace(path=f"/{int(parts.path.strip('/') or 0) + worker}").geturl()


def settings_for(tmp_path: Path, shop: Path, **more: object) -> ExecutorSettings:
    return ExecutorSettings.model_validate(
        {
            "state_dir": tmp_path / "state",
            "sources": {"shop": {"kind": "sqlite", "path": shop}},
            "lease_s": 2,
            "beat_s": 0.5,
            "claim_timeout_s": 2,
            **more,
        }
    )


@asynccontextmanager
async def running(settings: ExecutorSettings, workers: int = 1, *, policy_version: str = "") -> AsyncIterator[Machine]:
    keys = signing_keys(settings)
    with open_broker(settings) as url, WorkerFleet(settings, url, workers) as fleet:
        async with Executor(settings, url, keys, policy_version=policy_version) as executor:
            yield Machine(settings, executor, fleet, url)
