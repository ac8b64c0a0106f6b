"""Whoever waits for a job is woken, and told its end with its row; what none of ours has sent changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import redis
from machines import OWNER, Machine, running, settings_for

from executor import Executor, Job, JobState
from executor.client_store import ClientStore
from executor.signals import ChangeListener

GARBAGE = ("", "a b c", "[]", "{}", "7", "null", '[["x"]]', "not json", b"\xff\xfe", "[" * 200_000)


async def test_the_end_comes_with_the_row_and_nobody_asks_for_it(tmp_path, shop, broker, monkeypatch):
    asked: list[str] = []
    get = ClientStore.get

    async def counted(store: ClientStore, job_id: str) -> Job | None:
        asked.append(job_id)
        return await get(store, job_id)

    async with running(settings_for(tmp_path, shop, broker_url=broker)) as machine:
        await machine.run("SELECT 1")
        monkeypatch.setattr(ClientStore, "get", counted)
        ends = [await _waited(machine, f"SELECT {n}") for n in range(20)]
        failed = await _waited(machine, "SELECT nothing")

    assert [job.preview for job in ends] == [[[n]] for n in range(20)]
    # the row is asked for only where something was heard of the job before anybody waited for it
    assert len(set(asked) - {failed.id}) < 5
    assert failed.state is JobState.FAILED


async def test_a_large_row_is_asked_for(tmp_path, shop):
    async with running(settings_for(tmp_path, shop)) as machine:
        job = await _waited(machine, "SELECT id, customer || hex(zeroblob(300)) FROM orders LIMIT 100")

    assert job.state is JobState.SUCCEEDED
    assert job.preview[0][0] == 1


async def test_what_none_of_ours_has_sent_wakes_nobody_for_long_and_stops_nothing(tmp_path, shop):
    async with running(settings_for(tmp_path, shop)) as machine:
        namespace, name = machine.settings.namespace, _listener(machine.executor).name
        channels = (f"{namespace}:changed", f"{namespace}:ended:{name}")
        with redis.Redis.from_url(machine.broker_url) as stranger:
            for garbage in GARBAGE:
                waits = asyncio.create_task(_waited(machine, "SELECT 1"))
                for channel in channels:
                    stranger.publish(channel, garbage)
                assert (await waits).preview == [[1]]


async def test_a_row_that_was_not_signed_is_not_believed(tmp_path, shop):
    async with running(settings_for(tmp_path, shop)) as machine:
        one, other = await machine.run("SELECT 1"), await machine.run("SELECT 2")
        row = _row(machine.broker_url, machine.settings.namespace, one)
        for forged in (
            {**row, "payload": row["payload"].replace("SELECT 1", "SELECT 3")},
            {**row, "signature": "0"},
            {"state": "succeeded"},
            _row(machine.broker_url, machine.settings.namespace, other),
        ):
            flat = [part for pair in forged.items() for part in pair]
            found = await machine.executor._known.get(
                one.id, owner=OWNER, last_row=[flat, -1, "-1", False, "", str(one.seen_at)]
            )
            assert (found.id, found.preview) == (one.id, [[1]])


async def _waited(machine: Machine, sql: str) -> Job:
    """As a server does: the job that was submitted is the first look at it."""
    job = await machine.submit(sql)
    return await machine.executor.wait(job.id, owner=OWNER, timeout_s=40, known=job)


def _listener(executor: Executor) -> ChangeListener:
    return executor._changes


def _row(url: str, namespace: str, job: Job) -> dict[str, Any]:
    with redis.Redis.from_url(url, decode_responses=True) as connection:
        return connection.hgetall(f"{namespace}:job:{job.id}")
