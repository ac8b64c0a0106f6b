"""What happens to a job that waits for an answer while processes die, time passes, or the queue is full."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from machines import OWNER, Machine, running, settings_for
from test_waiting import FOR_EVER, YES, answered, asking, code_of, held

from executor import (
    ErrorCode,
    Executor,
    ExecutorError,
    ExecutorSettings,
    InputFailed,
    JobState,
    WorkerFleet,
    open_broker,
    signing_keys,
)


async def test_nobody_answers_in_time_and_it_fails(tmp_path, shop, broker) -> None:
    async with running(settings_for(tmp_path, shop, broker_url=broker, input_timeout_s=1)) as machine:
        job = await asking(machine)
        ended = await machine.executor.wait(job.id, owner=OWNER, timeout_s=20)
        assert code_of(ended) == ErrorCode.INPUT_TIMEOUT
        with pytest.raises(InputFailed):
            await machine.executor.answer(job.id, owner=OWNER, answer=YES)
        assert await machine.moves(job) == ["submitted", "running", "waiting", "failed"]
        assert held(machine) == {}


async def test_jobs_that_wait_for_an_answer_count_against_the_depth_of_the_queue(tmp_path, shop) -> None:
    async with running(settings_for(tmp_path, shop, queue_depth=2)) as machine:
        await machine.executor.source_schema("shop", wait_s=20)
        for _ in range(2):
            await asking(machine)
        with pytest.raises(ExecutorError) as caught:
            await machine.submit("SELECT 1")
        assert caught.value.code is ErrorCode.QUEUE_FULL


async def kill(machine: Machine) -> None:
    pid = machine.fleet.pids()[0]
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        while pid in machine.fleet.pids():
            await asyncio.sleep(0.05)


async def test_the_worker_dies_after_the_question_and_again_after_the_answer(tmp_path, shop, broker) -> None:
    async with running(settings_for(tmp_path, shop, broker_url=broker)) as machine:
        job = await asking(machine, FOR_EVER)
        await kill(machine)
        assert (await machine.executor.get(job.id, owner=OWNER)).state is JobState.WAITING
        await machine.executor.answer(job.id, owner=OWNER, answer=YES)
        await machine.until(job, JobState.RUNNING)
        await kill(machine)
        # the answer is kept: the next attempt does not ask again
        async for seen in machine.executor.watch(job.id, owner=OWNER, timeout_s=30):
            assert seen.state is not JobState.WAITING
            if seen.attempt == 3 and seen.stage == "executing":
                break
        assert seen.attempt == 3
        await machine.executor.cancel(job.id, owner=OWNER)
        ended = await machine.executor.wait(job.id, owner=OWNER, timeout_s=20)
        assert ended.state is JobState.CANCELLED
        assert held(machine) == {}


async def test_the_server_is_another_between_question_and_answer(tmp_path, shop, broker) -> None:
    settings: ExecutorSettings = settings_for(tmp_path, shop, broker_url=broker)
    keys = signing_keys(settings)
    with open_broker(settings) as url, WorkerFleet(settings, url, 1) as fleet:
        async with Executor(settings, url, keys) as first:
            job = await asking(Machine(settings, first, fleet, url))
        async with Executor(settings, url, keys) as second:
            machine = Machine(settings, second, fleet, url)
            again = await second.get(job.id, owner=OWNER)
            assert again.input_request == job.input_request
            assert (await answered(machine, again, YES)).preview == [[5000]]
