"""Equal statements share one run and one result; each job keeps a handle, an owner and an end of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
import redis
from machines import COUNT_FOR_EVER, OWNER, Machine, broker_of, make_shop, running, settings_for

from executor import ErrorCode, ExecutorError, Job, JobState, Statement
from executor.connections import connect_sync
from executor.results.opening import open_results
from executor.sweeper import Sweeper
from executor.upkeep_store import UpkeepStore

pytestmark = pytest.mark.asyncio(loop_scope="module")
OTHER = "test/owner/b"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", "configured"])
async def machine(request, tmp_path_factory) -> AsyncIterator[Machine]:
    with broker_of(request.param) as url:
        folder = tmp_path_factory.mktemp("machine")
        settings = settings_for(folder, make_shop(folder), broker_url=url)
        async with running(settings, workers=2) as running_machine:
            await running_machine.executor.source_schema("shop", wait_s=20)
            yield running_machine


def has_row(machine: Machine, job: Job) -> bool:
    with redis.Redis.from_url(machine.broker_url) as reader:
        return bool(reader.exists(f"{machine.settings.namespace}:job:{job.id}"))


def shared(machine: Machine, sql: str, among: str = "principal") -> Statement:
    return replace(machine.statement(sql), shared_with=among)  # type: ignore[arg-type]


async def submit(machine: Machine, sql: str, *, owner: str = OWNER, among: str = "principal", **how: bool) -> Job:
    return await machine.executor.submit(shared(machine, sql, among), owner=owner, **how)


def runs_alike(number: int) -> str:
    """A statement that runs until it is stopped, and is not the one of another test."""
    return COUNT_FOR_EVER.replace("AS n FROM r", f"AS n{number} FROM r")


def takes_a_while(number: int) -> str:
    return runs_alike(number).replace("4000000000", "2500000")


async def three(machine: Machine, sql: str) -> list[Job]:
    """The leader, running, and two that joined it: one of its owner's and one of another's."""
    leader = await machine.until(await submit(machine, sql, among="equal_grant"), JobState.RUNNING)
    joined = [await submit(machine, sql, owner=owner, among="equal_grant") for owner in (OWNER, OTHER)]
    assert [job.state for job in joined] == [JobState.RUNNING] * 2
    assert [job.notes["shared"] for job in joined] == ["joined"] * 2
    return [leader, *joined]


async def test_an_equal_statement_is_given_the_rows_that_are_there_under_a_handle_of_its_own(machine):
    sql = "SELECT id, customer FROM orders ORDER BY id DESC"
    first = await machine.until(await submit(machine, sql), JobState.SUCCEEDED)
    second = await submit(machine, sql)
    third = await submit(machine, sql)
    pages = [await machine.executor.page(job.id, owner=OWNER, limit=2000) for job in (first, second, third)]
    later = await machine.executor.page(third.id, owner=OWNER, cursor=pages[2].next_cursor, limit=2)

    assert len({first.id, second.id, third.id}) == 3
    assert (second.state, third.state) == (JobState.SUCCEEDED, JobState.SUCCEEDED)
    assert second.notes["shared"] == "stored"
    assert "shared" not in first.notes
    assert second.rows_at == third.rows_at == first.finished_at
    assert pages[0].rows == pages[1].rows == pages[2].rows
    assert later.rows[0][0] == pages[2].rows[-1][0] - 1
    assert await machine.moves(second) == ["submitted", "running", "succeeded"]


async def test_rows_are_not_shared_with_other_owners_other_limits_fresh_calls_or_what_is_not_pure(machine):
    sql = "SELECT count(*) AS all_of_them FROM orders"
    await machine.until(await submit(machine, sql), JobState.SUCCEEDED)
    fewer = replace(shared(machine, sql), limits=replace(machine.settings.limits.limits(), max_rows=7))
    jobs = [
        await submit(machine, sql, owner=OTHER),
        await submit(machine, sql, among="equal_grant"),
        await submit(machine, sql, fresh=True),
        await machine.executor.submit(fewer, owner=OWNER),
        await machine.submit(sql),
        await machine.executor.submit(replace(shared(machine, sql), policy_hash="another"), owner=OWNER),
    ]

    assert ["shared" in job.notes for job in jobs] == [False] * 6
    await machine.until(jobs[2], JobState.SUCCEEDED)
    again = await submit(machine, sql)
    assert again.rows_at == (await machine.executor.get(jobs[2].id, owner=OWNER)).finished_at


async def test_equal_grants_share_where_the_policy_says_so_and_handles_stay_their_owners(machine):
    sql = "SELECT id FROM orders WHERE id < 40"
    first = await machine.until(await submit(machine, sql, among="equal_grant"), JobState.SUCCEEDED)
    second = await submit(machine, sql, owner=OTHER, among="equal_grant")
    page = await machine.executor.page(second.id, owner=OTHER, limit=500)

    assert second.notes["shared"] == "stored"
    assert len(page.rows) == 39
    for job, stranger in ((first, OTHER), (second, OWNER)):
        with pytest.raises(ExecutorError) as caught:
            await machine.executor.page(job.id, owner=stranger)
        assert caught.value.code is ErrorCode.JOB_NOT_FOUND


async def test_rows_are_too_old_once_the_file_has_changed_or_their_time_is_over(tmp_path, shop):
    import sqlite3

    async with running(settings_for(tmp_path, shop, cache_ttl_s=1.0)) as machine:
        sql = "SELECT max(id) FROM orders"
        first = await machine.until(await submit(machine, sql), JobState.SUCCEEDED)
        with sqlite3.connect(shop) as changing:
            changing.execute("INSERT INTO orders VALUES (9000, 'new', 1)")
        changing.close()
        second = await machine.until(await submit(machine, sql), JobState.SUCCEEDED)
        hit = await submit(machine, sql)
        async with asyncio.timeout(20):
            while "shared" in (late := await submit(machine, sql)).notes:
                await asyncio.sleep(0.1)
        late = await machine.until(late, JobState.SUCCEEDED)

    assert (first.preview, second.preview) == ([[5000]], [[9000]])
    assert hit.rows_at == second.finished_at
    assert late.submitted_at - (second.finished_at or 0) >= 1.0


async def test_joined_jobs_end_with_the_run_each_once_and_with_the_same_rows(machine):
    jobs = await three(machine, takes_a_while(1))
    ended = [await machine.until(job, JobState.SUCCEEDED) for job in jobs]

    assert [job.preview for job in ended] == [[[2_500_000]]] * 3
    assert {job.rows_of for job in ended} == {jobs[0].id}
    assert [await machine.moves(job) for job in jobs] == [["submitted", "running", "succeeded"]] * 3


async def test_a_failure_reaches_all_that_joined(machine):
    statement = replace(shared(machine, runs_alike(2)), limits=replace(machine.settings.limits.limits(), timeout_s=0.6))
    jobs = [await machine.executor.submit(statement, owner=OWNER) for _ in range(3)]
    ended = [await machine.until(job, JobState.FAILED) for job in jobs]
    again = await machine.executor.submit(statement, owner=OWNER)
    await machine.executor.cancel(again.id, owner=OWNER)

    assert [job.error.code for job in ended if job.error] == [ErrorCode.STATEMENT_TIMEOUT] * 3
    assert "shared" not in again.notes
    await machine.until(again, JobState.CANCELLED)


async def test_who_cancels_leaves_alone_and_the_last_one_stops_the_database(machine):
    leader, second, third = await three(machine, runs_alike(3))
    left = await machine.executor.cancel(second.id, owner=OWNER)
    led = await machine.executor.cancel(leader.id, owner=OWNER)
    goes_on = await machine.executor.get(third.id, owner=OTHER)
    joins = await submit(machine, runs_alike(3), among="equal_grant")
    await machine.executor.cancel(joins.id, owner=OWNER)
    last = await machine.executor.cancel(third.id, owner=OTHER)
    last = await machine.until(last, JobState.CANCELLED)

    assert (left.state, led.state) == (JobState.CANCELLED, JobState.CANCELLED)
    assert (goes_on.state, goes_on.cancel_requested_at) == (JobState.RUNNING, None)
    assert joins.notes["shared"] == "joined"
    assert last.notes["stopped_after_ms"] < 5000
    for job in (leader, second, third, joins):
        assert await machine.moves(job) == ["submitted", "running", "cancelled"]


async def test_rows_reach_those_who_stay_when_the_leader_leaves(machine):
    leader, second, third = await three(machine, takes_a_while(4))
    await machine.executor.cancel(leader.id, owner=OWNER)
    ended = [await machine.until(job, JobState.SUCCEEDED) for job in (second, third)]
    hit = await submit(machine, takes_a_while(4), among="equal_grant")
    pages = [await machine.executor.page(job.id, owner=job.owner, columns=["n4"]) for job in (*ended, hit)]

    assert [page.rows for page in pages] == [[[2_500_000]]] * 3
    assert {job.rows_of for job in (*ended, hit)} == {leader.id}


async def test_a_queued_statement_is_joined_and_goes_on_without_its_first_caller(tmp_path, shop):
    async with running(settings_for(tmp_path, shop), workers=0) as machine:
        jobs = [await submit(machine, "SELECT 7 AS seven") for _ in range(3)]
        assert len({(await machine.executor.get(job.id, owner=OWNER)).place for job in jobs}) == 1
        gone = await machine.executor.cancel(jobs[0].id, owner=OWNER)
    async with running(machine.settings) as machine:
        ended = [await machine.until(job, JobState.SUCCEEDED) for job in jobs[1:]]
        told = [await machine.moves(job) for job in jobs]

    assert gone.state is JobState.CANCELLED
    assert [job.preview for job in ended] == [[[7]]] * 2
    assert {job.rows_of for job in ended} == {jobs[1].id}
    assert told == [["submitted", "cancelled"], *[["submitted", "running", "succeeded"]] * 2]


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_lost_worker_moves_the_run_of_all_to_the_next(machine, leaves):
    leader, *joined = await three(machine, takes_a_while(5 + leaves))
    with redis.Redis.from_url(machine.broker_url, decode_responses=True) as reader:
        key = f"{machine.settings.namespace}:job:{leader.id}"
        pid = machine.fleet.pid_of(str(reader.hget(key, "lease_owner")))
    if leaves:
        await machine.executor.cancel(leader.id, owner=OWNER)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    jobs = joined if leaves else [leader, *joined]
    ended = [await machine.until(job, JobState.SUCCEEDED) for job in jobs]
    pages = [await machine.executor.page(job.id, owner=job.owner, limit=5) for job in ended]

    assert [job.attempt for job in ended] == [2] * len(jobs)
    assert {job.rows_of for job in ended} == {jobs[0].id}
    assert [page.rows for page in pages] == [[[2_500_000]]] * len(jobs)
    for job in jobs:
        assert await machine.moves(job) == ["submitted", "running", "queued", "running", "succeeded"]


async def test_each_that_joined_waits_in_the_queue_as_long_as_it_may(tmp_path, shop):
    async with running(settings_for(tmp_path, shop), workers=0) as machine:
        statement = shared(machine, "SELECT 8 AS eight")
        statement = replace(statement, limits=replace(statement.limits, queue_timeout_s=2.0))
        first = await machine.executor.submit(statement, owner=OWNER)
        async with asyncio.timeout(10):
            while (await machine.executor.submit(statement, owner=OWNER)).submitted_at < first.submitted_at + 1.2:
                await asyncio.sleep(0.3)
        [last, *_] = await machine.executor.list_jobs(owner=OWNER)
        ended = await machine.until(first, JobState.FAILED)
        waits = await machine.executor.get(last.id, owner=OWNER)
        gone = await machine.until(last, JobState.FAILED)

    assert waits.state is JobState.QUEUED
    assert gone.finished_at is not None
    assert ended.finished_at is not None
    assert gone.finished_at - last.submitted_at >= 2.0
    assert [job.error.code for job in (ended, gone) if job.error] == [ErrorCode.NO_WORKERS] * 2


async def test_a_row_that_points_to_rows_of_another_statement_is_passed_over_for_what_was_recorded(machine):
    secret = await machine.run("SELECT id FROM orders WHERE id > 300", owner=OTHER)
    mine = await machine.until(await submit(machine, "SELECT id FROM orders WHERE id > 4000"), JobState.SUCCEEDED)
    with redis.Redis.from_url(machine.broker_url, decode_responses=True) as forger:
        key = f"{machine.settings.namespace}:job:"
        row = forger.hgetall(f"{key}{secret.id}")
        forger.hset(
            f"{key}{mine.id}",
            mapping={"rows_of": secret.id, "rows_payload": row["payload"], "rows_signature": row["signature"]},
        )
    recorded = await machine.moves(mine)
    page = await machine.executor.page(mine.id, owner=OWNER, limit=500)

    assert recorded[-1] == "succeeded"
    assert [row[0] for row in page.rows] == list(range(4001, 4501))


async def test_rows_stay_as_long_as_a_job_has_them_and_go_with_the_last(tmp_path, shop):
    async with running(settings_for(tmp_path, shop, result_ttl_s=2.0)) as machine:
        sql = "SELECT id FROM orders WHERE id > 100"
        first = await machine.until(await submit(machine, sql), JobState.SUCCEEDED)
        async with asyncio.timeout(20):
            while (second := await submit(machine, sql)).submitted_at < (first.finished_at or 0) + 1.2:
                await asyncio.sleep(0.1)
        assert second.rows_of == first.id
        results = open_results(machine.settings)
        sweeper = Sweeper(machine.settings, UpkeepStore(machine.settings, connect_sync(machine.broker_url)), results)
        async with asyncio.timeout(20):
            while has_row(machine, first):
                await asyncio.sleep(0.05)
        swept_early = sweeper.sweep()
        page = await machine.executor.page(second.id, owner=OWNER, limit=4000)
        async with asyncio.timeout(20):
            while results.current(first.id) is not None:
                sweeper.sweep()
                await asyncio.sleep(0.1)
        stayed = has_row(machine, second)

    assert swept_early == 0
    assert len(page.rows) > 1000
    assert not stayed
