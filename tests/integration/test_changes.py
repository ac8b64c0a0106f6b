"""Following several jobs at once: each as it is, then after each change, over one connection and without asking."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from machines import COUNT_A_WHILE, COUNT_FOR_EVER, OWNER, running, settings_for

from executor import JobState, new_job_id


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
