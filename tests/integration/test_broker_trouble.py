"""A broker or a disk in trouble is told at once, in words."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis
from databases import duckdb_shop
from machines import OWNER, Machine, running, settings_for
from test_kills import broker_process

from executor import ErrorCode, ExecutorError, JobState, Statement
from executor.valkey import find_server


@contextmanager
def small_disk(folder: Path) -> Iterator[str]:
    """A broker whose files may have 64 kB, as on a disk that is full then."""
    path = folder / "b.sock"
    told = f"trap '' XFSZ; ulimit -f 128; exec {find_server()} --port 0 --unixsocket {path} --dir {folder} --save ''"
    policy = "--appendonly yes --appendfsync everysec --maxmemory-policy noeviction --auto-aof-rewrite-percentage 0"
    with subprocess.Popen(["/bin/sh", "-c", f"{told} {policy}"], stdout=subprocess.DEVNULL) as server:
        until = time.monotonic() + 20
        while not path.exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        yield f"unix://{path}?db=0"
        server.kill()


async def test_a_broker_that_cannot_write_its_log_takes_no_job_and_says_why(tmp_path, shop):
    with small_disk(tmp_path) as url:
        async with running(settings_for(tmp_path, shop, broker_url=url), workers=0) as machine:
            with pytest.raises(ExecutorError) as caught:
                for _ in range(400):
                    await machine.submit("SELECT 1")
            # a refusal that cannot be put on record is one all the same
            refusal = {"source": "shop", "dialect": "duckdb", "code": "not_read_only", "message": "no", "position": 1}
            await machine.executor.tell_refusal(owner=OWNER, sql="DROP TABLE t", **refusal)
            with pytest.raises(ExecutorError) as unchanged:
                await machine.executor.reload(machine.executor.settings, policy_version="p2", published={})

    assert unchanged.value.code is ErrorCode.EXECUTOR_UNAVAILABLE
    assert caught.value.code is ErrorCode.STORE_FULL
    assert "disk" in caught.value.message


async def test_a_frozen_broker_is_told_within_seconds_by_every_call(tmp_path, shop):
    async with running(settings_for(tmp_path, shop), workers=1) as machine:
        job = await machine.run("SELECT 1")
        await machine.executor.source_schema("shop")
        frozen = broker_process(machine)
        frozen.suspend()
        try:
            calls = (
                machine.submit("SELECT 1"),
                machine.executor.get(job.id, owner=OWNER),
                machine.executor.cancel(job.id, owner=OWNER),
                machine.executor.list_jobs(owner=OWNER),
                machine.executor.workers_alive(),
                machine.executor.source_profile("shop", tables=[("main", "orders")]),
            )
            began = time.monotonic()
            told = await asyncio.gather(*calls, return_exceptions=True)
            took = time.monotonic() - began
        finally:
            frozen.resume()
        after = await machine.run("SELECT 2")

    assert [t.code for t in told] == [ErrorCode.EXECUTOR_UNAVAILABLE] * len(calls)
    assert took < 30, "without a bound of ours each call tries for about a minute"
    assert after.state is JobState.SUCCEEDED


def limit_files(machine: Machine, size: int) -> None:
    """From here on no worker can write more than `size` bytes to a file, as on a full disk."""
    for pid in machine.fleet.pids():
        psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (size, size))


async def test_a_full_disk_for_results_fails_the_job_and_leaves_nothing(tmp_path):
    shop = duckdb_shop(tmp_path)
    settings = settings_for(tmp_path, tmp_path / "x", sources={"shop": shop.config.model_dump()})
    async with running(settings) as machine:
        await machine.run("SELECT 1")
        limit_files(machine, 200_000)
        statement = Statement("shop", shop.many, shop.many, settings.limits.limits())
        job = await machine.executor.submit(statement, owner=OWNER)
        job = await machine.until(job, JobState.FAILED, JobState.SUCCEEDED)
        async with asyncio.timeout(10):  # the worker tells the end first and then deletes
            while (settings.results_root / job.id).exists():
                await asyncio.sleep(0.05)
        small = await machine.run("SELECT 2")

    assert job.error is not None
    assert job.error.code is ErrorCode.STORE_FULL
    assert small.preview == [[2]]


async def test_a_broker_that_fills_is_told_of_before_it_is_full(tmp_path, shop):
    async with running(settings_for(tmp_path, shop, embedded_memory_mb=16), workers=1) as machine:
        before = await machine.run("SELECT 1")
        with redis.Redis.from_url(machine.broker_url) as connection:
            while connection.info("memory")["used_memory"] < 0.85 * 16 * 2**20:
                connection.set(f"junk:{time.monotonic_ns()}", b"x" * 200_000)
            async with asyncio.timeout(20):
                while "broker_memory" not in (job := await machine.run("SELECT 2")).notes:
                    await asyncio.sleep(0.2)

    assert "broker_memory" not in before.notes
    assert 75 <= job.notes["broker_memory"] <= 100
