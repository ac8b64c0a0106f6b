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
from databases import Database, clickhouse_shop, duckdb_shop, mysql_connection, mysql_shop, postgres_shop, sqlite_shop
from hot_threads import hot, look
from machines import OWNER, Machine, running

from executor import ErrorCode, ExecutorSettings, Job, JobState, Statement
from mcp_server.stops import stop_in_words

pytestmark = pytest.mark.asyncio(loop_scope="module")
KINDS = ("sqlite", "duckdb", "postgres", "mysql", "clickhouse")
SERVERS = ("postgres", "mysql")
_LASTS = 10
"""For how many fifths of a second threads are looked at that may do the worker's own work, which does not fill them."""
_BUSY, _TAKES_PART = 0.4, 0.2
"""Shares of the looks: at the threads of a statement together, and at one of several that hand rows to each other."""


@dataclass
class Threads:
    """Those of a machine's workers while a statement runs in one of them.

    Attributes:
        job: whose statement it is.
        workers: the process ids.
        before: the threads that were at work when it was submitted: other statements'.
        own: those that were at work once it ran, and not before.
    """

    job: Job
    workers: list[int]
    before: set[int]
    own: set[int] = field(default_factory=set)


@dataclass
class Sources:
    """A machine with a source of each kind, and eyes for what runs in them."""

    machine: Machine
    shops: dict[str, Database]
    threads: dict[str, Threads] = field(default_factory=dict)

    def statement(self, kind: str, sql: str, **limits: float) -> Statement:
        return Statement(kind, sql, sql, replace(self.machine.settings.limits.limits(), **limits))

    async def start(self, kind: str, *, fetches: bool = False, **limits: float):
        """An endless job that computes, or sends rows, and the mark in its text."""
        before = await self.warmed_up(kind)
        mark = f"m{uuid.uuid4().hex[:10]}"
        shop = self.shops[kind]
        sql = f"SELECT q.*, '{mark}' AS mark FROM ({shop.endless if fetches else shop.silent}) q"
        big = {"max_rows": 10**10, "max_bytes": 10**12} if fetches else {}
        statement = self.statement(kind, sql, **big, **limits)
        job = await self.machine.executor.submit(statement, owner=OWNER)
        job = await self.machine.until(job, JobState.RUNNING, JobState.FAILED)
        self.threads[mark] = Threads(job, self.machine.fleet.pids(), before)
        if fetches:
            async for seen in self.machine.executor.watch(job.id, owner=OWNER, timeout_s=30):
                if seen.rows:
                    break
        assert await self.soon(lambda: self.begins(kind, mark)), "it is not seen to run, so a stop would prove nothing"
        return job, mark

    async def warmed_up(self, kind: str) -> set[int]:
        """Lets the worker load its drivers and write its history, so that what it does next is the next statement.

        Returns the threads that are at work still: those of other statements.
        """
        first = await self.machine.executor.submit(self.statement(kind, "SELECT 1"), owner=OWNER)
        await self.machine.executor.wait(first.id, owner=OWNER, timeout_s=30)
        others: set[int] = set()
        for threads in self.threads.values():
            if not (await self.machine.executor.get(threads.job.id, owner=OWNER)).is_finished:
                others |= threads.own
        async with asyncio.timeout(20):
            while True:
                seen = hot(await asyncio.to_thread(look, self.machine.fleet.pids()), _TAKES_PART)
                if seen <= others and not (await self.machine.executor.history_state())[1]:
                    return seen

    def begins(self, kind: str, mark: str) -> bool:
        """Whether the statement is seen to run, and from now on where."""
        if kind in SERVERS:
            return self.runs(kind, mark)
        threads = self.threads[mark]
        # three times: the worker's own short work does not fill as much
        threads.own = set.intersection(*(hot(look(threads.workers), _TAKES_PART) for _ in range(3))) - threads.before
        return bool(threads.own)

    def runs(self, kind: str, mark: str) -> bool:
        """Whether the database itself shows the statement, or its threads are at work where it has no server.

        A thread at work that was not when the statement began may be the worker's, which writes down how a job ended.
        It is a statement that has moved there if there is no end to it.
        """
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
        threads = self.threads[mark]
        if busy(look(threads.workers), but=threads.before, only=threads.own):
            return True
        return all(busy(look(threads.workers), but=threads.before) for _ in range(_LASTS))

    def serves(self, query_id: str) -> bool:
        """Whether PostgreSQL has that session."""
        with psycopg.connect(self.shops["postgres"].config.url) as connection:
            told = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
            row = connection.execute(told, (f"awaitsql {query_id}",)).fetchone()
            return bool(row[0])

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


def busy(looks: list[set[int]], *, but: set[int], only: set[int] | None = None) -> bool:
    """Whether some thread was at work in most looks: one of a statement waits for another one that makes its rows."""
    counted = [(seen if only is None else seen & only) - but for seen in looks]
    return sum(map(bool, counted)) >= _BUSY * len(looks)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sources(tmp_path_factory, postgres_url, mysql_url):
    folder = tmp_path_factory.mktemp("cancel")
    async with AsyncExitStack() as stack:
        shops = {
            "sqlite": sqlite_shop(folder),
            "duckdb": duckdb_shop(folder),
            "postgres": stack.enter_context(postgres_shop(postgres_url)),
            "mysql": stack.enter_context(mysql_shop(mysql_url)),
            "clickhouse": clickhouse_shop(folder),
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
    # one that goes on is seen to, each time: else that none is seen would prove nothing, here and in the tests below
    seen = [await asyncio.to_thread(sources.runs, kind, mark) for _ in range(5)]
    known = sources.row(job).get("query_id")
    await sources.machine.executor.cancel(job.id, owner=OWNER)
    job = await sources.machine.until(job, JobState.CANCELLED)
    still_runs = sources.runs(kind, mark)

    assert all(seen)
    assert not still_runs
    assert job.notes["stop_seen"] == ("server" if kind in SERVERS else "call")
    assert job.notes["stopped_after_ms"] >= 0
    assert "the database stopped" in stop_in_words(job)
    # else a worker killed in its first moments would leave a statement that nobody can name
    assert known or kind not in SERVERS


@pytest.mark.parametrize("kind", KINDS)
async def test_a_deadline_ends_with_the_proof_that_the_database_stopped(sources, kind):
    job, mark = await sources.start(kind, timeout_s=4.0)
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


async def test_a_queued_job_is_cancelled_without_a_word_of_a_database(sources):
    silent = sources.statement("sqlite", sources.shops["sqlite"].silent)
    blockers = [
        await sources.machine.executor.submit(silent, owner=OWNER)
        for _ in range(sources.machine.settings.principal_max_running)
    ]
    for job in blockers:
        await sources.machine.until(job, JobState.RUNNING)
    waiting = await sources.machine.executor.submit(sources.statement("sqlite", "SELECT 1"), owner=OWNER)
    cancelled = await sources.machine.executor.cancel(waiting.id, owner=OWNER)
    for job in blockers:
        await sources.machine.executor.cancel(job.id, owner=OWNER)
        await sources.machine.until(job, JobState.CANCELLED)

    assert waiting.state is JobState.QUEUED
    assert cancelled.state is JobState.CANCELLED
    assert "stopped_after_ms" not in cancelled.notes
    assert stop_in_words(cancelled) is None


async def test_a_statement_that_could_not_be_stopped_is_tried_again_until_it_is(sources):
    """An entry whose source was away: what was not seen to stop stays, and is done with once it has."""
    job, _ = await sources.start("postgres")
    stops = f"{sources.machine.settings.namespace}:stops"
    row = sources.row(job)
    assert sources.serves(row["query_id"])
    entry = {name: row[name] for name in ("source", "source_print", "query_id")} | {"job_id": job.id, "at": 4e9}
    with redis.Redis.from_url(sources.machine.broker_url) as connection:
        connection.zadd(stops, {json.dumps(entry): 0})
        # that session, not the mark: a job whose lease was lost meanwhile runs again, in another one
        assert await sources.soon(lambda: not sources.serves(row["query_id"]))
        assert await sources.soon(lambda: not connection.zcard(stops))
        await sources.machine.executor.cancel(job.id, owner=OWNER)
    await sources.machine.until(job, JobState.CANCELLED, JobState.FAILED)
