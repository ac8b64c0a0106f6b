"""Cancel with proof, on every kind of database: the database is looked into, whatever the job says of itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import psutil
import psycopg
import pytest
import pytest_asyncio
import redis
from databases import Database, duckdb_shop, mysql_connection, mysql_shop, postgres_shop, sqlite_shop
from machines import OWNER, Machine, running

from executor import ErrorCode, ExecutorSettings, JobState, Statement
from mcp_server.stops import stop_in_words

pytestmark = pytest.mark.asyncio(loop_scope="module")
KINDS = ("sqlite", "duckdb", "postgres", "mysql")
SERVERS = ("postgres", "mysql")


@dataclass
class Sources:
    """A machine with a source of each kind, and eyes for what runs in them."""

    machine: Machine
    shops: dict[str, Database]
    workers: dict[str, list[int]] = field(default_factory=dict)

    def statement(self, kind: str, sql: str, **limits: float) -> Statement:
        return Statement(kind, sql, sql, replace(self.machine.settings.limits.limits(), **limits))

    async def start(self, kind: str, *, fetches: bool = False, **limits: float):
        """An endless job that computes, or sends rows, and the mark in its text."""
        await self.machine.executor.wait(  # the driver is loaded by now: what burns from here on is the statement
            (await self.machine.executor.submit(self.statement(kind, "SELECT 1"), owner=OWNER)).id,
            owner=OWNER,
            timeout_s=30,
        )
        mark = f"m{uuid.uuid4().hex[:10]}"
        shop = self.shops[kind]
        sql = f"SELECT q.*, '{mark}' AS mark FROM ({shop.endless if fetches else shop.silent}) q"
        big = {"max_rows": 10**10, "max_bytes": 10**12} if fetches else {}
        statement = self.statement(kind, sql, **big, **limits)
        job = await self.machine.executor.submit(statement, owner=OWNER)
        job = await self.machine.until(job, JobState.RUNNING, JobState.FAILED)
        self.workers[mark] = self.machine.fleet.pids()
        if fetches:
            async for seen in self.machine.executor.watch(job.id, owner=OWNER, timeout_s=30):
                if seen.rows:
                    break
        assert await self.soon(lambda: self.runs(kind, mark)), "it is not seen to run, so a stop would prove nothing"
        return job, mark

    def runs(self, kind: str, mark: str) -> bool:
        """Whether the database itself shows the statement, or the worker burns the processor where it has no server."""
        config = self.shops[kind].config
        if kind == "postgres":
            with psycopg.connect(config.url) as connection:
                told = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s AND pid <> %s"
                row = connection.execute(told, (f"%{mark}%", connection.info.backend_pid)).fetchone()
                return bool(row[0])
        if kind == "mysql":
            with mysql_connection(config.url) as connection, connection.cursor() as cursor:
                cursor.execute(
                    "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE %s AND ID <> CONNECTION_ID()",
                    (f"%{mark}%",),
                )
                return bool(cursor.fetchone()[0])
        return any(busy(pid) for pid in self.workers[mark])

    async def soon(self, condition, timeout_s: float = 20) -> bool:
        async with asyncio.timeout(timeout_s):
            while not await asyncio.to_thread(condition):
                await asyncio.sleep(0.02)
        return True

    async def stops(self, kind: str, mark: str) -> bool:
        return await self.soon(lambda: not self.runs(kind, mark))

    def row(self, job) -> dict[str, str]:
        with redis.Redis.from_url(self.machine.broker_url, decode_responses=True) as connection:
            return connection.hgetall(f"{self.machine.settings.namespace}:job:{job.id}")


def busy(pid: int) -> bool:
    try:
        return psutil.Process(pid).cpu_percent(0.2) > 15
    except psutil.NoSuchProcess:
        return False


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sources(tmp_path_factory, postgres_url, mysql_url):
    folder = tmp_path_factory.mktemp("cancel")
    async with AsyncExitStack() as stack:
        shops = {
            "sqlite": sqlite_shop(folder),
            "duckdb": duckdb_shop(folder),
            "postgres": stack.enter_context(postgres_shop(postgres_url)),
            "mysql": stack.enter_context(mysql_shop(mysql_url)),
        }
        settings = ExecutorSettings.model_validate(
            {
                "state_dir": folder / "state",
                "sources": {name: shop.config.model_dump() for name, shop in shops.items()},
                "lease_s": 2,
                "beat_s": 0.5,
                "claim_timeout_s": 2,
            }
        )
        yield Sources(await stack.enter_async_context(running(settings)), shops)


@pytest.mark.parametrize("fetches", [False, True], ids=["computing", "fetching"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancel_ends_with_the_proof_that_the_database_stopped(sources, kind, fetches):
    job, mark = await sources.start(kind, fetches=fetches)
    await sources.machine.executor.cancel(job.id, owner=OWNER)
    job = await sources.machine.until(job, JobState.CANCELLED)
    still_runs = sources.runs(kind, mark)

    assert not still_runs
    assert job.notes["stop_seen"] == ("server" if kind in SERVERS else "call")
    assert job.notes["stopped_after_ms"] >= 0
    assert "the database stopped" in stop_in_words(job)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_deadline_ends_with_the_proof_that_the_database_stopped(sources, kind):
    job, mark = await sources.start(kind, timeout_s=2.0)
    job = await sources.machine.until(job, JobState.FAILED)

    assert job.error.code is ErrorCode.STATEMENT_TIMEOUT
    assert not sources.runs(kind, mark)
    assert job.notes["stop_seen"] == ("server" if kind in SERVERS else "call")
    assert "after its time was over" in stop_in_words(job)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_job_whose_worker_was_killed_is_proved_to_have_stopped(sources, kind):
    """The worker is frozen while the cancel comes, so it cannot have stopped anything itself, and then killed."""
    job, mark = await sources.start(kind)
    (pid,) = sources.machine.fleet.pids()
    psutil.Process(pid).suspend()
    await sources.machine.executor.cancel(job.id, owner=OWNER)
    os.kill(pid, signal.SIGKILL)
    job = await sources.machine.until(job, JobState.CANCELLED)
    assert await sources.soon(lambda: "stopped_after_ms" in sources.row(job))
    job = await sources.machine.executor.get(job.id, owner=OWNER)

    assert not sources.runs(kind, mark)
    assert job.notes["stop_seen"] == ("server" if kind in SERVERS else "process")


@pytest.mark.parametrize("kind", SERVERS)
async def test_the_query_id_is_known_before_the_statement_runs(sources, kind):
    """Else a worker killed in its first moments would leave a statement that nobody can name."""
    job, _ = await sources.start(kind)
    known = sources.row(job)["query_id"]
    await sources.machine.executor.cancel(job.id, owner=OWNER)
    await sources.machine.until(job, JobState.CANCELLED)

    assert known


async def test_a_queued_job_is_cancelled_without_a_word_of_a_database(sources):
    blockers = [await sources.start("sqlite") for _ in range(sources.machine.settings.principal_max_running)]
    waiting = await sources.machine.executor.submit(sources.statement("sqlite", "SELECT 1"), owner=OWNER)
    cancelled = await sources.machine.executor.cancel(waiting.id, owner=OWNER)
    for job, _ in blockers:
        await sources.machine.executor.cancel(job.id, owner=OWNER)
        await sources.machine.until(job, JobState.CANCELLED)

    assert waiting.state is JobState.QUEUED
    assert cancelled.state is JobState.CANCELLED
    assert "stopped_after_ms" not in cancelled.notes
    assert stop_in_words(cancelled) is None


async def test_a_statement_that_could_not_be_stopped_is_tried_again_until_it_is(sources):
    """An entry whose source was away: what was not seen to stop stays, and is done with once it has."""
    job, mark = await sources.start("postgres")
    (worker,) = sources.machine.fleet.pids()
    psutil.Process(worker).suspend()
    name = f"{sources.machine.settings.namespace}:stops"
    entry = {"source": "postgres", "query_id": sources.row(job)["query_id"], "job_id": job.id, "at": 4e9}
    with redis.Redis.from_url(sources.machine.broker_url) as connection:
        connection.zadd(name, {json.dumps(entry): 0})
        psutil.Process(worker).resume()
        assert await sources.stops("postgres", mark)
        assert await sources.soon(lambda: not connection.zcard(name))
        await sources.machine.executor.cancel(job.id, owner=OWNER)
    await sources.machine.until(job, JobState.CANCELLED, JobState.FAILED)
