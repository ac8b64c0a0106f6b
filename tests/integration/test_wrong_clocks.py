"""Workers whose clocks are minutes off: all that a job's times decide goes by the broker's clock."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import replace

import pyarrow as pa
import pytest
import pytest_asyncio
import redis
from clocks import wrong_clocks
from machines import COUNT_A_WHILE, COUNT_FOR_EVER, OWNER, Machine, make_shop, running, settings_for

from executor import CostGate, ErrorCode, Executor, JobState, Limits, WorkerFleet, open_broker, signing_keys
from executor.results.opening import open_results

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINUTES = 720.0
AHEAD_AND_BEHIND = pytest.mark.parametrize("offset", [MINUTES, -MINUTES], ids=["ahead", "behind"])


@asynccontextmanager
async def machine_with(tmp_path, *offsets: float, **more: object):
    """A machine with a worker for each offset, which has drained events and swept results before the server comes."""
    settings = settings_for(tmp_path, make_shop(tmp_path), **more)
    keys = signing_keys(settings)
    with ExitStack() as stack:
        turns = stack.enter_context(wrong_clocks(tmp_path, *offsets))
        url = stack.enter_context(open_broker(settings))
        fleet = stack.enter_context(WorkerFleet(settings, url, len(offsets)))
        with redis.Redis.from_url(url) as connection:
            await until(lambda: connection.exists(f"{settings.namespace}:drainer"))
        async with Executor(settings, url, keys) as executor:
            yield Machine(settings, executor, fleet, url)
        assert turns.stat().st_size >= len(offsets)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[MINUTES, -MINUTES], ids=["ahead", "behind"])
async def machine(request, tmp_path_factory):
    """One machine, whose worker's clock is ahead or behind, for the tests that leave nothing behind."""
    async with machine_with(tmp_path_factory.mktemp("machine"), request.param) as made:
        yield made


async def until(is_so) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.05)


async def test_a_deadline_comes_neither_early_nor_late(machine):
    job = await machine.run(COUNT_FOR_EVER, timeout_s=60.0, job_timeout_s=2.0)
    long = await machine.run(COUNT_A_WHILE, timeout_s=60.0, job_timeout_s=60.0)

    assert job.error is not None
    assert job.error.code is ErrorCode.STATEMENT_TIMEOUT
    assert job.started_at is not None
    assert job.finished_at is not None
    assert 1.9 <= job.finished_at - job.started_at < 60.0
    assert 0 <= job.notes["stopped_after_ms"] < 60_000
    assert (long.state, long.attempt) == (JobState.SUCCEEDED, 1)
    assert await machine.moves(long) == ["submitted", "running", "succeeded"]


async def test_times_of_a_job_are_in_order_and_its_lease_is_kept(machine):
    job = await machine.submit(COUNT_FOR_EVER)
    running_job = await machine.until(job, JobState.RUNNING)
    assert running_job.started_at is not None
    async with asyncio.timeout(20):  # longer than a lease
        while (seen := await machine.executor.get(job.id, owner=OWNER)).seen_at < running_job.started_at + 4:
            await asyncio.sleep(0.1)
    assert (seen.state, seen.attempt) == (JobState.RUNNING, 1)
    await machine.executor.cancel(job.id, owner=OWNER)
    job = await machine.executor.wait(job.id, owner=OWNER, timeout_s=20)

    assert (job.state, job.attempt) == (JobState.CANCELLED, 1)
    assert 0 <= job.notes["stopped_after_ms"] < 60_000
    assert job.submitted_at <= job.started_at <= job.cancel_requested_at <= job.finished_at
    assert job.finished_at - job.submitted_at < 60
    assert job.expires_at - job.finished_at == pytest.approx(machine.settings.result_ttl_s)


@AHEAD_AND_BEHIND
async def test_rows_of_a_worker_with_a_wrong_clock_are_read_and_shared_by_others(tmp_path, offset):
    async with machine_with(tmp_path, offset, 0.0) as machine:
        statement = replace(machine.statement("SELECT id FROM orders ORDER BY id"), shared_with="principal")
        jobs = []
        for _ in range(6):
            job = await machine.executor.submit(statement, owner=OWNER, fresh=len(jobs) % 2 == 0)
            jobs.append(await machine.executor.wait(job.id, owner=OWNER, timeout_s=20))
            assert job.rows_at is None or 0 <= job.submitted_at - job.rows_at < 60
        assert [job.notes.get("shared") for job in jobs] == [None, "stored"] * 3
        for job in jobs:
            first = await machine.executor.page(job.id, owner=OWNER, limit=4_000)
            rest = await machine.executor.page(job.id, owner=OWNER, cursor=first.next_cursor, limit=4_000)
            assert [row[0] for row in first.rows + rest.rows] == list(range(1, 5001))


async def test_a_yes_to_an_expensive_statement_holds_whatever_the_workers_clock_says(machine):
    statement = replace(
        machine.statement("SELECT count(*) AS n FROM orders a, orders b WHERE b.id <= 9"), cost=CostGate(confirm=1)
    )
    asked = await machine.executor.submit(statement, owner=OWNER)
    asked = await machine.executor.wait(asked.id, owner=OWNER, timeout_s=20)
    assert asked.error is not None
    assert asked.error.code is ErrorCode.NEEDS_CONFIRMATION
    job = await machine.executor.submit(statement, owner=OWNER, confirm=asked.notes["confirmation"])
    job = await machine.executor.wait(job.id, owner=OWNER, timeout_s=40)
    assert job.preview == [[45_000]]


@AHEAD_AND_BEHIND
async def test_results_that_the_broker_forgot_stay_for_their_lifetime_and_no_longer(tmp_path, offset):
    young, old = "00000-00000-00000-00000-0", "11111-11111-11111-11111-1"
    settings = settings_for(tmp_path, make_shop(tmp_path), result_ttl_s=360)
    results = open_results(settings)
    for job_id in (young, old):
        with results.writer(job_id, 1, limits=Limits()) as writer:
            writer.write(pa.record_batch({"id": [1]}))
            writer.finish()
    then = time.time() - 480
    for file in (settings.results_root / old).rglob("*"):
        os.utime(file, (then, then))
    with wrong_clocks(tmp_path, offset):
        async with running(settings):
            await until(lambda: old not in {kept.job_id for kept in results.inventory()})
            assert {kept.job_id for kept in results.inventory()} == {young}


async def test_the_history_keeps_what_is_young_and_dates_what_it_settles_as_the_broker_would(tmp_path):
    async with machine_with(tmp_path, -MINUTES, history={"keep_days": MINUTES / 86_400 / 2}) as machine:
        lost = await machine.submit(COUNT_FOR_EVER)
        lost = await machine.until(lost, JobState.RUNNING)
        await machine.moves(lost)
        with redis.Redis.from_url(machine.broker_url) as connection:
            # the broker's loss of the job, and what tells the history to look
            connection.delete(f"{machine.settings.namespace}:job:{lost.id}", f"{machine.settings.namespace}:epoch")
        async with asyncio.timeout(20):
            while not (past := await machine.executor.recorded(lost.id, owner=OWNER)).is_finished:
                await asyncio.sleep(0.1)
        assert past.error is not None
        assert past.error.code is ErrorCode.JOB_LOST
        assert 0 <= past.finished_at - past.submitted_at < 60


async def test_the_history_does_not_expire_early(tmp_path):
    async with machine_with(tmp_path, MINUTES, history={"keep_days": MINUTES / 86_400 / 2}) as machine:
        first = await machine.run("SELECT 1")
        await machine.moves(first)
        # drained a round later, and what is too old goes between rounds
        second = await machine.run("SELECT 2")
        assert await machine.moves(second) == ["submitted", "running", "succeeded"]
        assert await machine.moves(first) == ["submitted", "running", "succeeded"]
        with closing(sqlite3.connect(machine.settings.home / "history.sqlite")) as history:
            told = [content for (content,) in history.execute("SELECT content FROM awaitsql_audit")]
        assert not any('"expired"' in content for content in told)
