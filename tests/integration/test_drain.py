"""Workers that are asked to go, as processes: what they finish, what they give to others, what they say."""

from __future__ import annotations

import asyncio
import json
import time

import redis
from machines import COUNT_A_WHILE, COUNT_FOR_EVER, COUNTED, running, settings_for
from worker_processes import slow_to_begin, worker_process, write_config

from executor import EXIT_ASKED, GENERATE, JobState


async def test_a_worker_asked_to_stop_finishes_what_runs_and_takes_nothing_new(tmp_path, shop):
    async with running(settings_for(tmp_path, shop), workers=0) as machine:
        config = write_config(tmp_path / "a.toml", machine)
        with worker_process(config, tmp_path / "log") as worker:
            job = await machine.until(await machine.submit(COUNT_A_WHILE), JobState.RUNNING)
            worker.ask_to_leave()
            async with asyncio.timeout(10):
                while not (seen := await machine.executor.workers())[0].leaves:
                    await asyncio.sleep(0.02)
            late = await machine.submit("SELECT 1")
            view = await machine.executor.get(late.id, owner=late.owner)
            job = await machine.until(job, JobState.SUCCEEDED)
            code = await asyncio.to_thread(worker.exit_code)
            left_over = await machine.executor.get(late.id, owner=late.owner)
            nobody = await machine.executor.workers()
        with worker_process(config, tmp_path / "log2"):
            late = await machine.until(late, JobState.SUCCEEDED)

    assert seen[0].busy >= 1
    assert seen[0].pid == worker.process.pid
    assert view.workers_alive == 0
    assert (job.attempt, job.preview) == (1, COUNTED)
    assert code == EXIT_ASKED
    assert (left_over.state, nobody) == (JobState.QUEUED, [])
    assert late.preview == [[1]]


async def test_a_job_that_is_claimed_and_not_begun_is_finished_too(tmp_path, shop):
    async with running(settings_for(tmp_path, shop), workers=0) as machine:
        config = write_config(tmp_path / "a.toml", machine)
        with worker_process(config, tmp_path / "log", environment=slow_to_begin(1.0)) as worker:
            job = await machine.until(await machine.submit("SELECT 1"), JobState.RUNNING)
            worker.ask_to_leave()
            code = await asyncio.to_thread(worker.exit_code)
            job = await machine.executor.get(job.id, owner=job.owner)

    assert [line["running"] for line in worker.said("worker_leaving")] == [0], "it had begun already"
    assert (code, job.state, job.attempt, job.preview) == (EXIT_ASKED, JobState.SUCCEEDED, 1, [[1]])


async def test_a_job_that_is_claimed_when_time_is_up_is_given_back_and_never_begun(tmp_path, shop):
    async with running(settings_for(tmp_path, shop, drain_timeout_s=0, attempts=1), workers=0) as machine:
        config = write_config(tmp_path / "a.toml", machine)
        with worker_process(config, tmp_path / "log", environment=slow_to_begin(1.0)) as worker:
            job = await machine.until(await machine.submit(COUNT_FOR_EVER), JobState.RUNNING)
            worker.ask_to_leave()
            code = await asyncio.to_thread(worker.exit_code)
            job = await machine.executor.get(job.id, owner=job.owner)
            reasons = await machine.reasons(job)

    assert (code, job.state, job.attempt) == (EXIT_ASKED, JobState.QUEUED, 2)
    assert [line["seen"] for line in worker.said("job_given_back") if line["job_id"] == job.id] == ["call"]
    assert "worker left, stop seen by call" in reasons


async def test_what_is_not_finished_in_time_goes_to_another_worker_at_once_and_is_nobodys_loss(tmp_path, shop):
    # attempts=1: one loss would end the job; a lease of a minute: nothing here waits for one
    settings = settings_for(tmp_path, shop, drain_timeout_s=0.5, lease_s=60, attempts=1)
    async with running(settings, workers=0) as machine:
        config = write_config(tmp_path / "a.toml", machine)
        with worker_process(config, tmp_path / "log") as first:
            job = await machine.until(await machine.submit(COUNT_FOR_EVER), JobState.RUNNING)
            with worker_process(config, tmp_path / "log2") as second:
                began = time.monotonic()
                first.ask_to_leave()
                code = await asyncio.to_thread(first.exit_code)
                async with asyncio.timeout(10):
                    while (again := await machine.executor.get(job.id, owner=job.owner)).attempt == 1 or (
                        again.state is not JobState.RUNNING
                    ):
                        await asyncio.sleep(0.02)
                took_s = time.monotonic() - began
                await machine.executor.cancel(job.id, owner=job.owner)
                await machine.until(job, JobState.CANCELLED)
                reasons = await machine.reasons(job)
                assert second.process.poll() is None

    assert code == EXIT_ASKED
    assert (again.state, again.attempt) == (JobState.RUNNING, 2)
    assert "worker left, stop seen by call" in reasons
    assert took_s < 6, "not after a lease"


async def test_a_second_signal_hurries(tmp_path, shop):
    async with running(settings_for(tmp_path, shop, drain_timeout_s=600), workers=0) as machine:
        config = write_config(tmp_path / "a.toml", machine)
        with worker_process(config, tmp_path / "log") as worker:
            job = await machine.until(await machine.submit(COUNT_FOR_EVER), JobState.RUNNING)
            worker.ask_to_leave()
            async with asyncio.timeout(10):
                while not worker.said("worker_leaving"):
                    await asyncio.sleep(0.02)
            still = await machine.executor.get(job.id, owner=job.owner)
            worker.ask_to_leave()
            code = await asyncio.to_thread(worker.exit_code)
            job = await machine.executor.get(job.id, owner=job.owner)

    assert still.state is JobState.RUNNING
    assert (code, job.state, job.attempt) == (EXIT_ASKED, JobState.QUEUED, 2)


async def test_slots_of_one_that_leaves_are_not_taken_from_the_others(tmp_path, shop):
    settings = settings_for(tmp_path, shop, concurrency=2, drain_timeout_s=600, principal_max_running=8)
    async with running(settings, workers=0) as machine:
        config = write_config(tmp_path / "a.toml", machine)
        with worker_process(config, tmp_path / "log") as first:
            held = [await machine.submit(COUNT_FOR_EVER + f" LIMIT {n}") for n in (1, 2)]
            for job in held:
                await machine.until(job, JobState.RUNNING)
            with worker_process(config, tmp_path / "log2"):
                first.ask_to_leave()
                async with asyncio.timeout(10):
                    while not any(worker.leaves for worker in await machine.executor.workers()):
                        await asyncio.sleep(0.02)
                others = [await machine.submit(COUNT_FOR_EVER + f" LIMIT {n}") for n in (3, 4)]
                for job in others:
                    await machine.until(job, JobState.RUNNING, timeout_s=10)


async def test_a_service_of_questions_that_drains_finishes_its_own_and_takes_none(tmp_path, shop):
    from test_parents import ask, body_over

    async with running(settings_for(tmp_path, shop)) as machine:
        may_end, drain = asyncio.Event(), asyncio.Event()
        answers = body_over(machine)

        async def body(lease):
            await may_end.wait()
            return await answers(lease)

        service = asyncio.create_task(machine.executor.serve(GENERATE, body, slots=4, drain=drain))
        job = await machine.until(await ask(machine, "SELECT 1"), JobState.RUNNING)
        drain.set()
        async with asyncio.timeout(10):
            while not any(worker.leaves for worker in await machine.executor.workers()):
                await asyncio.sleep(0.02)
        late = await ask(machine, "SELECT 2")
        may_end.set()
        job = await machine.until(job, JobState.SUCCEEDED)
        in_order = await asyncio.wait_for(service, 20)
        late = await machine.executor.get(late.id, owner=late.owner)

    assert (job.attempt, job.preview, in_order) == (1, [[1]], True)
    assert (late.state, late.attempt, late.workers_alive) == (JobState.QUEUED, 1, 0)


async def test_a_worker_that_was_told_nonsense_still_ends_with_its_parent(tmp_path, shop):
    async with running(settings_for(tmp_path, shop)) as machine:
        await machine.run("SELECT 1 AS one")
        [child] = machine.fleet._children.values()
        assert child.stdin is not None
        child.stdin.write(b"{}\n")
        child.stdin.close()
        code = await asyncio.to_thread(child.wait, 10)

    assert code == EXIT_ASKED


async def test_a_statement_that_was_left_on_another_server_is_not_said_to_have_stopped(tmp_path, shop):
    settings = settings_for(tmp_path, shop)
    async with running(settings) as machine:
        job = await machine.run("SELECT 1 AS one")
        told = {"source": "shop", "query_id": "1:x", "job_id": job.id, "at": time.time()}
        here, elsewhere = (
            json.dumps({**told, "source_print": source_print})
            for source_print in (settings.fingerprint_of("shop"), "the server of before")
        )
        with redis.Redis.from_url(machine.broker_url, decode_responses=True) as broker:
            name = f"{settings.namespace}:stops"
            broker.zadd(name, {elsewhere: 1, here: 2})
            async with asyncio.timeout(20):
                while broker.zscore(name, here) is not None:
                    await asyncio.sleep(0.05)
            left = broker.zrange(name, 0, -1)

    assert left == [elsewhere]
