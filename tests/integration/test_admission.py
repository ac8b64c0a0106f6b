"""Who goes next when slots are few, and what a waiting job is told of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import pytest_asyncio
from machines import COUNT_FOR_EVER, Machine, broker_of, make_shop, running, settings_for

from executor import PRIORITIES, Job, JobState

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(tmp_path_factory):
    """One slot, so that the order in which jobs start is the order in which they were chosen."""
    with broker_of("embedded") as url:
        folder = tmp_path_factory.mktemp("machine")
        settings = settings_for(folder, make_shop(folder), broker_url=url, concurrency=1)
        async with running(settings) as running_machine:
            await running_machine.executor.source_schema("shop", wait_s=20)
            yield running_machine


async def in_class(machine: Machine, name: str, owner: str, sql: str = "SELECT 1") -> Job:
    statement = replace(machine.statement(sql), priority=PRIORITIES[name])
    return await machine.executor.submit(statement, owner=owner)


async def held(machine: Machine) -> Job:
    """A job that takes the one slot until it is cancelled."""
    job = await machine.submit(COUNT_FOR_EVER, owner="holder")
    return await machine.until(job, JobState.RUNNING)


async def release(machine: Machine, holder: Job) -> None:
    await machine.executor.cancel(holder.id, owner="holder")
    await machine.until(holder, JobState.CANCELLED)


async def places(machine: Machine, jobs: list[Job]) -> list[int | None]:
    return [(await machine.executor.get(job.id, owner=job.owner)).place for job in jobs]


async def test_higher_classes_go_first_and_the_lowest_is_not_passed_by_for_ever(machine):
    holder = await held(machine)
    submitted: dict[str, str] = {}
    waiting: list[Job] = []
    for name, count in (("low", 2), ("normal", 6), ("high", 20)):
        for _ in range(count):
            job = await in_class(machine, name, f"owner of {name}")
            submitted[job.id] = name[0]
            waiting.append(job)
    told = await places(machine, waiting)
    await release(machine, holder)
    ended = [await machine.until(job, JobState.SUCCEEDED) for job in waiting]
    started = sorted(ended, key=lambda job: job.started_at or 0)

    assert "".join(submitted[job.id] for job in started) == "hhhhn" * 4 + "l" + "hhhhn" + "n" + "l"
    assert [job.id for _, job in sorted(zip(told, waiting, strict=True))] == [job.id for job in started]
    assert sorted(p for p in told if p is not None) == list(range(1, 29))


async def test_owners_of_one_class_take_turns_and_each_is_told_its_true_place(machine):
    holder = await held(machine)
    many = [await in_class(machine, "normal", "many") for _ in range(4)]
    few = [await in_class(machine, "normal", "few") for _ in range(2)]
    one = await in_class(machine, "normal", "one")
    told = await places(machine, [*many, *few, one])
    await machine.executor.cancel(many[1].id, owner="many")
    after_a_cancel = await places(machine, [*many, *few, one])
    await release(machine, holder)
    kept = [await machine.until(job, JobState.SUCCEEDED) for job in (many[0], *many[2:], *few, one)]

    assert told == [1, 4, 6, 7, 2, 5, 3]
    assert after_a_cancel == [1, None, 4, 6, 2, 5, 3]
    started = [job.id for job in sorted(kept, key=lambda job: job.started_at or 0)]
    assert started == [j.id for j in (many[0], few[0], one, many[2], few[1], many[3])]


async def test_seconds_are_told_from_what_jobs_of_the_source_took_and_not_before_one_did(tmp_path, shop):
    count = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {}) SELECT COUNT(*) FROM r"
    async with running(settings_for(tmp_path, shop, concurrency=1)) as machine:
        await machine.executor.source_schema("shop", wait_s=20)
        holder = await held(machine)
        unknown = await in_class(machine, "normal", "first", count.format(1_000_000))
        unknown = await machine.executor.get(unknown.id, owner="first")
        await release(machine, holder)
        took = await machine.until(unknown, JobState.SUCCEEDED)
        seconds = (took.finished_at or 0) - (took.started_at or 0)
        holder = await held(machine)
        waiting = [await in_class(machine, "normal", "again") for _ in range(3)]
        now = [await machine.executor.get(job.id, owner="again") for job in waiting]
        await release(machine, holder)

    assert (unknown.place, unknown.starts_in_s) == (1, None)
    assert [job.place for job in now] == [1, 2, 3]
    first, second, third = (job.starts_in_s for job in now)
    assert first is not None
    assert second is not None
    assert third is not None
    # the clocks of three looks differ by what the looks took
    assert second - first == pytest.approx(seconds, rel=0.2, abs=0.05)
    assert third - second == pytest.approx(seconds, rel=0.2, abs=0.05)


async def test_a_job_that_is_far_back_is_told_no_false_place(tmp_path, shop):
    async with running(settings_for(tmp_path, shop), workers=0) as machine:
        many = [await in_class(machine, "normal", "many") for _ in range(230)]
        other = await in_class(machine, "normal", "other")
        asked = [many[0], many[50], many[-1], other]
        async with asyncio.timeout(20):
            while (await places(machine, asked))[3] is None:
                await asyncio.sleep(0.05)
        told = await places(machine, asked)

    # the source's schema is read by a job of its own, which is first or second in line
    assert told in ([1, 53, None, 3], [2, 53, None, 3])
