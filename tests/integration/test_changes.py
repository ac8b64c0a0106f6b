"""Following several jobs at once: each as it is, then after each change, over one connection and without asking."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from machines import COUNT_A_WHILE, COUNT_FOR_EVER, OWNER, Machine, running, settings_for
from test_kills import broker_process

from executor import ExecutorError, Job, JobState, new_job_id


@pytest.fixture
def settings(tmp_path, shop, broker):
    return settings_for(tmp_path, shop, broker_url=broker)


async def test_every_job_is_told_of_at_first_and_until_its_end_and_no_other_is(settings):
    async with running(settings) as machine:
        first = await machine.submit(COUNT_A_WHILE)
        second = await machine.submit(COUNT_FOR_EVER)
        foreign = await machine.submit("SELECT 1", owner="test/owner/b")
        seen: dict[str, list[JobState]] = {}
        async with (
            asyncio.timeout(60),
            aclosing(machine.executor.changes([first.id, second.id, foreign.id, new_job_id()], owner=OWNER)) as changes,
        ):
            async for job in changes:
                seen.setdefault(job.id, []).append(job.state)
                if job.id == first.id and job.is_finished:
                    await machine.executor.cancel(second.id, owner=OWNER)
                if job.id == second.id and job.is_finished:
                    break

    assert set(seen) == {first.id, second.id}
    assert seen[first.id][-1] is JobState.SUCCEEDED
    assert seen[second.id][-1] is JobState.CANCELLED
    for states in seen.values():
        assert sum(state.is_terminal for state in states) == 1


async def test_an_end_that_nobody_could_be_told_of_is_seen_when_the_broker_is_back(tmp_path, shop):
    async with running(settings_for(tmp_path, shop)) as machine:
        job = await machine.submit(COUNT_FOR_EVER)
        await machine.until(job, JobState.RUNNING)
        async with aclosing(machine.executor.changes([job.id], owner=OWNER)) as changes:
            assert (await anext(changes)).id == job.id
            broker_process(machine).kill()
            async with asyncio.timeout(60):
                while not (await cancelled(machine, job)):
                    await asyncio.sleep(0.2)
                async for seen in changes:
                    if seen.is_finished:
                        break
    assert seen.state is JobState.CANCELLED


async def cancelled(machine: Machine, job: Job) -> bool:
    """Whether the broker took the order."""
    try:
        await machine.executor.cancel(job.id, owner=OWNER)
    except ExecutorError:
        return False
    return True
