"""What a server tells of its configuration when workers die under it, or lose threads for good."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from machines import COUNT_A_WHILE, OWNER, Machine, running, settings_for
from test_stuck import STUBBORN

from executor import Figures, JobState


async def figures_once(machine: Machine, holds: Callable[[Figures], bool]) -> Figures:
    async with asyncio.timeout(20):
        while not holds(told := await machine.executor.figures()):
            await asyncio.sleep(0.05)
    return told


async def test_threads_and_workers_that_are_lost_are_counted_until_others_stand_in_their_place(tmp_path, shop):
    async with running(settings_for(tmp_path, shop, cancel_grace_s=0.5, concurrency=4)) as machine:
        await machine.run("SELECT 1")
        (first,) = machine.fleet.pids()
        stuck = await machine.until(await machine.submit(STUBBORN), JobState.RUNNING)
        await machine.executor.cancel(stuck.id, owner=OWNER)
        await machine.until(stuck, JobState.CANCELLED)
        one_less = await figures_once(machine, lambda told: told.queues[0].zombies == 1)
        job = await machine.until(await machine.submit(COUNT_A_WHILE), JobState.RUNNING)
        os.kill(first, signal.SIGKILL)
        job = await machine.until(job, JobState.SUCCEEDED)
        after = await figures_once(machine, lambda told: told.queues[0].slots == 4 and told.queues[0].running == 0)

    assert [queue.name for queue in one_less.queues] == ["statements", "generate"]
    assert (one_less.queues[0].workers, one_less.queues[0].slots) == (1, 3)
    assert one_less.leases_lost == {}
    assert (after.queues[0].workers, after.queues[0].zombies) == (1, 0)
    assert after.leases_lost == {"statements": 1}
    assert after.ended["query", "succeeded", ""] == 2
    assert after.ended["query", "cancelled", ""] == 1
