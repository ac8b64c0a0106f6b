"""What dies in the middle, and what the job says afterwards. Every process here is real and is killed for real."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing

import psutil
import psycopg
import pytest
import redis.asyncio
from machines import COUNT_A_WHILE, COUNT_FOR_EVER, COUNTED, OWNER, running, settings_for
from worker_processes import slow_to_begin, worker_process, write_config

from executor import ErrorCode, ExecutorError, JobState


async def until(condition, timeout_s: float = 20) -> None:
    """Waits until `condition()` holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.05)


def broker_process(machine) -> psutil.Process:
    """The embedded Valkey of this machine."""
    path = machine.broker_url.removeprefix("unix://").partition("?")[0]
    for process in psutil.Process().children(recursive=True):
        if "valkey" in process.name() and any(path in part for part in process.cmdline()):
            return process
    raise AssertionError("no Valkey of ours")


async def test_a_worker_killed_with_a_job_running_costs_an_attempt_and_no_job(tmp_path, shop):
    async with running(settings_for(tmp_path, shop)) as machine:
        job = await machine.until(await machine.submit(COUNT_A_WHILE), JobState.RUNNING)
        os.kill(machine.fleet.pids()[0], signal.SIGKILL)
        job = await machine.until(job, JobState.SUCCEEDED)

    assert job.attempt == 2
    assert job.preview == COUNTED


async def test_a_job_that_kills_every_worker_stops_after_its_attempts(tmp_path, shop):
    async with running(settings_for(tmp_path, shop, attempts=2)) as machine:
        job = await machine.submit(COUNT_FOR_EVER)
        for _ in range(2):
            job = await machine.until(job, JobState.RUNNING)
            pid = machine.fleet.pids()[0]
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid: pid not in machine.fleet.pids())
            job = await machine.until(job, JobState.QUEUED, JobState.FAILED)
        job = await machine.until(job, JobState.FAILED)
        after = await machine.run("SELECT 1")

    assert job.error is not None
    assert job.error.code is ErrorCode.WORKER_LOST
    assert after.state is JobState.SUCCEEDED


async def test_a_worker_that_comes_to_its_job_after_the_lease_does_not_begin_its_statement(
    tmp_path, shop, postgres_url
):
    sources = {"shop": {"kind": "postgres", "url": postgres_url}}
    settings = settings_for(tmp_path, shop, sources=sources, lease_s=1.5, beat_s=0.3, attempts=2)
    mark, seen, late_s = f"marked {uuid.uuid4().hex}", 0, 2.5
    async with running(settings, workers=0) as machine:
        config = write_config(tmp_path / "a.toml", machine)
        with (
            psycopg.connect(postgres_url, autocommit=True) as there,
            worker_process(config, tmp_path / "log", environment=slow_to_begin(late_s)),
        ):
            job = await machine.submit(f"SELECT pg_sleep(1) AS slept /* {mark} */")
            last_look = float("inf")
            while time.monotonic() < last_look:
                told = "SELECT pid FROM pg_stat_activity WHERE position(%s IN query) > 0 AND pid <> pg_backend_pid()"
                seen += len(there.execute(told, (mark,)).fetchall())
                await asyncio.sleep(0.05)
                if not (job := await machine.executor.get(job.id, owner=OWNER)).is_finished:
                    last_look = time.monotonic() + late_s

    assert job.error is not None
    assert job.error.code is ErrorCode.WORKER_LOST
    assert seen == 0


async def holder(machine, job):
    """The process id of the worker that holds the job's lease."""
    async with redis.asyncio.Redis.from_url(machine.broker_url, decode_responses=True) as connection:
        worker = await connection.hget(f"{machine.settings.namespace}:job:{job.id}", "lease_owner")
    return machine.fleet.pid_of(worker)


async def test_a_frozen_worker_loses_its_lease_and_its_late_word_does_not_count(tmp_path, shop):
    async with running(settings_for(tmp_path, shop), workers=2) as machine:
        job = await machine.until(await machine.submit(COUNT_A_WHILE), JobState.RUNNING)
        frozen = psutil.Process(await holder(machine, job))
        frozen.suspend()
        try:
            job = await machine.until(job, JobState.SUCCEEDED)
        finally:
            frozen.resume()
        first = job
        # the frozen worker wakes, notices, and is of use again
        await until(frozen.is_running)
        after = await machine.run("SELECT 1")
        again = await machine.executor.get(job.id, owner=OWNER)

    assert first.attempt == 2
    assert again == first or (again.state, again.attempt, again.finished_at) == (
        first.state,
        first.attempt,
        first.finished_at,
    )
    assert after.state is JobState.SUCCEEDED


async def test_the_only_worker_frozen_past_its_lease_runs_the_job_again_itself_once(tmp_path, shop):
    async with running(settings_for(tmp_path, shop)) as machine:
        job = await machine.until(await machine.submit(COUNT_A_WHILE.replace("3000000", "6000000")), JobState.RUNNING)
        worker = psutil.Process(machine.fleet.pids()[0])
        worker.suspend()
        job = await machine.until(job, JobState.QUEUED)
        worker.resume()
        job = await machine.until(job, JobState.SUCCEEDED, JobState.FAILED)

    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    assert job.preview == [[6_000_000]]


async def test_what_the_database_cannot_stop_ends_at_its_deadline(tmp_path, shop):
    # one opcode of SQLite's, which looks at no interrupt before it is done
    stubborn = "SELECT instr(hex(zeroblob(4000000)), hex(zeroblob(2000000)) || '1') AS n"
    async with running(settings_for(tmp_path, shop, cancel_grace_s=1)) as machine:
        job = await machine.submit(stubborn, timeout_s=1.0)
        job = await machine.until(job, JobState.FAILED, JobState.SUCCEEDED)
        after = await machine.run("SELECT 1")

    assert job.error is not None
    assert job.error.code is ErrorCode.STATEMENT_TIMEOUT
    assert after.state is JobState.SUCCEEDED


async def test_a_broker_killed_under_a_running_job_comes_back_with_the_job(tmp_path, shop):
    async with running(settings_for(tmp_path, shop, fsync="always")) as machine:
        job = await machine.until(await machine.submit(COUNT_A_WHILE), JobState.RUNNING)
        killed = broker_process(machine)
        killed.kill()
        job = await machine.until(job, JobState.SUCCEEDED)
        after = await machine.run("SELECT 1")
        is_new = broker_process(machine).pid != killed.pid

    assert job.preview == COUNTED
    assert after.state is JobState.SUCCEEDED
    assert is_new


async def test_a_full_broker_takes_no_job_and_finishes_its_own_and_a_flushed_one_stops_the_orphan(tmp_path, shop):
    """And both serve on afterwards."""
    async with running(settings_for(tmp_path, shop, embedded_memory_mb=16)) as machine:
        job = await machine.until(await machine.submit(COUNT_A_WHILE), JobState.RUNNING)
        with redis.Redis.from_url(machine.broker_url) as connection:
            # in ever smaller pieces: where a large one is refused, a small one still fits
            for size in (500_000, 20_000, 500, 50):
                with pytest.raises(redis.exceptions.OutOfMemoryError):
                    for i in range(100_000):
                        connection.set(f"junk:{size}:{i}", b"x" * size)
            with pytest.raises(ExecutorError) as caught:
                await machine.submit("SELECT 1")
            job = await machine.until(job, JobState.SUCCEEDED)
            connection.delete(*connection.keys("junk:*"))
        after = await machine.run("SELECT 1")

        assert caught.value.code is ErrorCode.STORE_FULL
        assert job.preview == COUNTED
        assert after.state is JobState.SUCCEEDED

        job = await machine.until(await machine.submit(COUNT_FOR_EVER), JobState.RUNNING)
        async with asyncio.timeout(20):
            while await machine.executor.recorded(job.id, owner=OWNER) is None:
                await asyncio.sleep(0.05)
        with redis.Redis.from_url(machine.broker_url) as connection:
            connection.flushall()
        with pytest.raises(ExecutorError) as caught:
            await machine.executor.get(job.id, owner=OWNER)
        worker = psutil.Process(machine.fleet.pids()[0])
        await asyncio.to_thread(worker.cpu_percent, None)
        await until(lambda: worker.cpu_percent(0.3) < 50)
        after = await machine.run("SELECT 1")

    assert caught.value.code is ErrorCode.JOB_LOST
    assert after.state is JobState.SUCCEEDED


async def test_random_kills_lose_no_job_and_finish_none_twice(tmp_path, shop):
    import random

    chance = random.Random(20261123)
    sql = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 100000) SELECT {i}, COUNT(*) FROM r"
    async with running(settings_for(tmp_path, shop, fsync="always", attempts=20), workers=2) as machine:
        jobs = [await machine.submit(sql.format(i=i), owner=f"o{i % 5}") for i in range(60)]
        for _ in range(4):
            await asyncio.sleep(chance.uniform(0.2, 0.8))
            if chance.random() < 0.3:
                broker_process(machine).kill()
            elif machine.fleet.pids():
                os.kill(chance.choice(machine.fleet.pids()), signal.SIGKILL)
        ends = [await machine.until(job, "succeeded", "failed", "cancelled", timeout_s=60) for job in jobs]
        async with asyncio.timeout(20):
            while (await machine.executor.history_state())[1]:
                await asyncio.sleep(0.05)
        report = await machine.executor.verify_history()
        with redis.Redis.from_url(machine.broker_url, decode_responses=True) as connection:
            left = {
                name: connection.exists(f"{machine.settings.namespace}:{name}")
                for name in ("running", "dispatched", "queued", "impatient", "ring", "busy:owner", "busy:source")
            }

    with closing(sqlite3.connect(machine.settings.home / "history.sqlite")) as history:
        recorded = history.execute("SELECT job_id, content FROM awaitsql_audit").fetchall()
    ended = [job for job, told in recorded if json.loads(told)["what"] in ("succeeded", "failed", "cancelled")]
    assert [job.preview for job in ends] == [[[i, 100_000]] for i in range(60)]
    assert {job.id for job in jobs} <= set(ended)
    assert len(ended) == len(set(ended))
    assert report.holds
    assert left == dict.fromkeys(left, 0)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_command_that_started_it(tmp_path, shop, how):
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from machines import COUNT_FOR_EVER, running, settings_for\n"
        "from mcp_server.commands.follow import run_until_interrupted\n"
        "async def main():\n"
        f"    settings = settings_for(Path({str(tmp_path)!r}), Path({str(shop)!r}))\n"
        "    async with running(settings) as machine:\n"
        "        job = await machine.until(await machine.submit(COUNT_FOR_EVER), 'running')\n"
        "        print('running', flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "run_until_interrupted(main)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"running\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        parent.send_signal(how)
        gone, alive = psutil.wait_procs(children, timeout=15)
        for process in alive:
            process.kill()
        parent.wait(15)

    assert len(gone) >= 2
    assert alive == []
