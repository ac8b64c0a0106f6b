"""Versions of job records beside each other: an older record is run, a newer one left to who can read it.

Workers of another version are processes whose `RECORD_VERSION` is another, see tests/other_version.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from machines import OWNER, running, settings_for
from worker_processes import worker_process, write_config

from executor import ErrorCode, ExecutorError, JobState, signing_key
from executor.signing import SIGNED_FOR_S, Signer

TESTS = Path(__file__).parents[1]
WRITTEN_BY_VERSION_1 = TESTS / "fixtures" / "records" / "job_of_version_1.json"
"""A job's row and its event as they were before records had a version; only the signature is made anew."""


def of_version(version: int) -> dict[str, str]:
    """The environment of a worker of another version."""
    return {"PYTHONPATH": str(TESTS / "other_version"), "TEST_RECORD_VERSION": str(version)}


def put_old_job(machine: Any, **changes: Any) -> str:
    """Puts that job in line, signed for this configuration and this day; its id."""
    told = json.loads(WRITTEN_BY_VERSION_1.read_text())
    row, namespace, now = told["row"], machine.settings.namespace, time.time()
    row["payload"] |= {
        "source_fingerprint": machine.settings.fingerprint_of("shop"),
        "issued_at": now,
        "not_after": now + SIGNED_FOR_S,
        **changes,
    }
    signer = Signer(signing_key(machine.settings))
    row["payload"], row["signature"] = signer.sign(row["payload"])
    [event] = told["events"]
    event["mac"] = signer.sign(json.loads(event["record"]))[1]
    with redis.Redis.from_url(machine.broker_url) as broker:
        broker.hset(f"{namespace}:job:{row['id']}", mapping=row)
        broker.zadd(f"{namespace}:queued", {row["id"]: now})
        broker.zadd(f"{namespace}:impatient", {row["id"]: now + 600})
        broker.xadd(f"{namespace}:events", event)
        # as one whose ticket was lost: it is handed out again
        broker.zadd(f"{namespace}:dispatched", {row["id"]: now - 60})
    return row["id"]


async def test_a_job_that_the_version_before_wrote_is_run_and_recorded(tmp_path, shop):
    async with running(settings_for(tmp_path, shop)) as machine:
        job = await machine.executor.get(put_old_job(machine), owner=OWNER)
        assert job.state is JobState.QUEUED
        job = await machine.until(job, JobState.SUCCEEDED)
        moves = await machine.moves(job)
        recorded = await machine.executor.recorded(job.id, owner=OWNER)

    assert job.preview == [[5000]]
    assert moves == ["submitted", "running", "succeeded"]
    assert recorded is not None
    assert recorded.shown_sql == "SELECT COUNT(*) AS n FROM orders"


async def test_a_server_says_of_a_newer_record_that_it_cannot_read_it(tmp_path, shop):
    async with running(settings_for(tmp_path, shop), workers=0) as machine:
        job_id = put_old_job(machine, record=99)
        mine = await machine.submit("SELECT 1")
        with pytest.raises(ExecutorError) as caught:
            await machine.executor.get(job_id, owner=OWNER)
        listed = await machine.executor.list_jobs(owner=OWNER)

    assert caught.value.code is ErrorCode.EXECUTOR_UNAVAILABLE
    assert "newer version" in caught.value.message
    assert [job.id for job in listed] == [mine.id]


async def test_in_a_mixed_fleet_each_job_is_run_by_a_worker_that_can_read_it(tmp_path, shop):
    async with running(settings_for(tmp_path, shop), workers=0) as machine:
        config = write_config(tmp_path / "a.toml", machine)
        with worker_process(config, tmp_path / "old.log", environment=of_version(1)) as old:
            left = await machine.submit("SELECT 0")
            async for seen in machine.executor.watch(left.id, owner=OWNER, timeout_s=20):
                if seen.notes.get("waits_for") or seen.is_finished:
                    break
            by_itself = await machine.executor.get(put_old_job(machine), owner=OWNER)
            by_itself = await machine.until(by_itself, JobState.SUCCEEDED)

            with worker_process(config, tmp_path / "new.log") as new:
                jobs = [left, *[await machine.submit(f"SELECT {n}") for n in range(1, 6)]]
                ended = [await machine.until(job, JobState.SUCCEEDED) for job in jobs]
                fleet = await machine.executor.workers()
                pids = {new.process.pid: 2, old.process.pid: 1}
            said = old.said("job_left_for_another")

    assert (seen.state, seen.notes["waits_for"]) == (JobState.QUEUED, "record")
    assert by_itself.preview == [[5000]]
    assert [job.preview for job in ended] == [[[n]] for n in range(6)]
    assert [job.attempt for job in ended] == [1] * 6, "left where it was, it is nobody's attempt"
    assert {worker.pid: worker.record for worker in fleet} == pids
    assert (said[0]["why"], said[0]["record_here"]) == ("record", 1)


async def test_an_event_of_a_newer_version_waits_in_the_stream_for_a_process_that_can_read_it(tmp_path, shop):
    async with running(settings_for(tmp_path, shop), workers=0) as machine:
        config = write_config(tmp_path / "a.toml", machine)
        job = await machine.submit("SELECT 1")
        assert await machine.moves(job) == ["submitted"]
        with redis.Redis.from_url(machine.broker_url, decode_responses=True) as broker:
            stream = f"{machine.settings.namespace}:events"
            told = {
                "job": job.id,
                "from": "queued",
                "to": "queued",
                "reason": "as only version 3 does",
                "at": "1",
                "v": "3",
            }
            broker.xadd(stream, told)
            with worker_process(config, tmp_path / "new.log", environment=of_version(3)):
                job = await machine.until(job, JobState.SUCCEEDED)
                async with asyncio.timeout(30):
                    while broker.xlen(stream):
                        await asyncio.sleep(0.05)
                records = await machine.records(job)

    assert [record["reason"] for record in records][:2] == ["submitted", "as only version 3 does"]
    assert [record["what"] for record in records][-1] == "succeeded"
