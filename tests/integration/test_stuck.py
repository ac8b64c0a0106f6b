"""Threads that do not come back, and jobs that kill their worker each time."""

from __future__ import annotations

import asyncio
import contextlib

import psutil
from machines import COUNT_FOR_EVER, OWNER, running, settings_for

from executor import ErrorCode, JobState
from mcp_server.stops import stop_in_words

STUBBORN = "SELECT instr(hex(zeroblob(4000000)), hex(zeroblob(2000000)) || '1') AS n"
"""One opcode of SQLite's that takes minutes and looks at no interrupt before it is done."""


async def test_a_thread_that_does_not_come_back_is_replaced_and_its_job_says_so(tmp_path, shop):
    async with running(settings_for(tmp_path, shop, cancel_grace_s=1, concurrency=2)) as machine:
        await machine.run("SELECT 1")
        (stuck,) = machine.fleet.pids()
        job = await machine.until(await machine.submit(STUBBORN), JobState.RUNNING)
        await asyncio.to_thread(psutil.Process(stuck).cpu_percent, 0.5)  # it is in the opcode by then
        await machine.executor.cancel(job.id, owner=OWNER)
        ended = await machine.until(job, JobState.CANCELLED)
        async with asyncio.timeout(30):
            while "stop_seen" not in (proved := await machine.executor.get(job.id, owner=OWNER)).notes:
                await asyncio.sleep(0.05)
        after = await machine.run("SELECT 2")
        pids = machine.fleet.pids()

    assert "stop_seen" not in ended.notes
    assert stop_in_words(ended) == "the database has not been seen to stop yet"
    assert proved.notes["stop_seen"] == "process"
    assert not psutil.pid_exists(stuck)
    assert stuck not in pids
    assert after.preview == [[2]]


async def test_a_statement_that_kills_its_worker_each_time_stops_after_its_attempts(tmp_path, shop):
    """The kernel ends each worker that has used another second of processor: a real death, by the statement's doing."""
    settings = settings_for(tmp_path, shop, attempts=3)
    async with running(settings) as machine:
        await machine.run("SELECT 1")
        job = await machine.submit(COUNT_FOR_EVER)
        mortal: set[int] = set()
        async with asyncio.timeout(80):
            while not job.is_finished:
                job = await machine.executor.get(job.id, owner=OWNER)
                for pid in set(machine.fleet.pids()) - mortal if job.state is JobState.RUNNING else ():
                    with contextlib.suppress(psutil.NoSuchProcess):
                        worker = psutil.Process(pid)
                        used = int(sum(worker.cpu_times()[:2]))
                        worker.rlimit(psutil.RLIMIT_CPU, (used + 2, used + 2))
                        mortal.add(pid)
                await asyncio.sleep(0.05)
        after = await machine.run("SELECT 2")

    assert job.error is not None
    assert job.error.code is ErrorCode.WORKER_LOST
    assert len(mortal) == settings.attempts
    assert after.preview == [[2]]
