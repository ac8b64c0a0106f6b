"""How long until a job runs again whose worker was killed (-9), and what an idle server and worker take of memory.

    PYTHONPATH=.:tests:tests/integration python benchmarks/recovery.py [--rounds 5]

Three deaths, each with the default settings (lease 10 s): the worker is a child of the server, which sees it die; the
worker is nobody's child, as on another machine, so only its lease tells; and a ticket dies with a worker that had
fetched it and not claimed its job. Bars: 11 s, and 300 MB (PSS, the broker included).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import tempfile
import time
from pathlib import Path

import psutil
import redis
from machines import COUNT_FOR_EVER, OWNER, Machine, make_shop, running

from executor import ExecutorSettings, Job, JobState, WorkerFleet


def settings_of(folder: Path) -> ExecutorSettings:
    """The defaults over a small SQLite file."""
    sources = {"shop": {"kind": "sqlite", "path": make_shop(folder)}}
    return ExecutorSettings.model_validate({"state_dir": folder / "state", "sources": sources})


async def attempt(machine: Machine, job: Job, number: int) -> Job:
    """The job once it runs for the `number`-th time."""
    while job.attempt < number or job.state is not JobState.RUNNING:
        await asyncio.sleep(0.02)
        job = await machine.executor.get(job.id, owner=OWNER)
    return job


async def killed(machine: Machine) -> float:
    """Seconds from the kill until the job runs again."""
    job = await attempt(machine, await machine.submit(COUNT_FOR_EVER), 1)
    (pid,) = machine.fleet.pids()
    began = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    await attempt(machine, job, 2)
    took = time.perf_counter() - began
    await machine.executor.cancel(job.id, owner=OWNER)
    await machine.until(job, JobState.CANCELLED)
    return took


async def unclaimed(machine: Machine) -> float:
    """Seconds from the kill of a worker that had a ticket in its hands and had not claimed the job, until it runs."""
    (pid,) = machine.fleet.pids()
    psutil.Process(pid).suspend()  # it waits at the queue, so the broker hands the ticket to its socket
    job = await machine.submit(COUNT_FOR_EVER)
    with redis.Redis.from_url(machine.broker_url) as connection:
        assert not connection.llen(f"{machine.settings.namespace}:tickets")
    began = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    await attempt(machine, job, 1)
    took = time.perf_counter() - began
    await machine.executor.cancel(job.id, owner=OWNER)
    await machine.until(job, JobState.CANCELLED)
    return took


def idle_mb() -> float:
    """PSS of this process and all its children, in MB."""
    me = psutil.Process()
    return sum(p.memory_full_info().pss for p in [me, *me.children(recursive=True)]) / 1e6


async def measure(rounds: int) -> None:
    """Prints a line for each death."""
    with tempfile.TemporaryDirectory(prefix="awaitsql-bench-") as folder:
        settings = settings_of(Path(folder))
        async with running(settings) as machine:
            await machine.run("SELECT 1")
            print(f"idle, this client with its broker and a worker: {idle_mb():.0f} MB", flush=True)
            seen = [await killed(machine) for _ in range(rounds)]
            print(f"a child killed:           {', '.join(f'{s:.1f}' for s in seen)} s", flush=True)
            lost = [await unclaimed(machine) for _ in range(max(1, rounds // 2))]
            print(f"a ticket lost:            {', '.join(f'{s:.1f}' for s in lost)} s", flush=True)
        async with running(settings) as machine:
            with WorkerFleet(settings, machine.broker_url, 1) as spare:
                first = psutil.Process(spare.pids()[0])
                first.suspend()
                job = await attempt(machine, await machine.submit(COUNT_FOR_EVER), 1)
                first.resume()
                (pid,) = machine.fleet.pids()
                psutil.Process(pid).suspend()
                began = time.perf_counter()
                await attempt(machine, job, 2)
                print(f"a worker nobody saw die:  {time.perf_counter() - began:.1f} s", flush=True)
                psutil.Process(pid).kill()
                await machine.executor.cancel(job.id, owner=OWNER)
                await machine.until(job, JobState.CANCELLED)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    asyncio.run(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
