"""A job that must be told something waits for it, holds nothing meanwhile, and goes on with the answer or ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
import redis
from machines import OWNER, Machine, broker_of, make_shop, running, settings_for

from executor import (
    Answer,
    CostGate,
    ErrorCode,
    InputFailed,
    Job,
    JobNotFound,
    JobState,
    Statement,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER = "test/owner/b"
DEAR = "SELECT count(*) AS n FROM orders"  # 5,000 rows
FOR_EVER = "SELECT count(*) AS n FROM orders a, orders b, orders c WHERE a.amount + b.amount + c.amount < 0"
GATE = CostGate(confirm=1000)
YES = Answer("accept", {"confirm": True})
NO = Answer("decline")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", "configured"])
async def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    with broker_of(request.param) as url:
        folder = tmp_path_factory.mktemp("machine")
        async with running(settings_for(folder, make_shop(folder), broker_url=url)) as made:
            await made.executor.source_schema("shop", wait_s=20)
            yield made


def dear(machine: Machine, sql: str = DEAR, gate: CostGate = GATE, **more: object) -> Statement:
    return replace(machine.statement(sql), cost=gate, **more)  # type: ignore[arg-type]


async def asking(machine: Machine, sql: str = DEAR, gate: CostGate = GATE) -> Job:
    """A job that waits for its answer."""
    job = await machine.executor.submit(dear(machine, sql, gate), owner=OWNER, asks=True)
    return await machine.until(job, JobState.WAITING)


async def answered(machine: Machine, job: Job, answer: Answer) -> Job:
    await machine.executor.answer(job.id, owner=job.owner, answer=answer)
    return await machine.executor.wait(job.id, owner=job.owner, timeout_s=40)


def code_of(job: Job) -> str:
    return str(job.error.code) if job.error is not None else str(job.state)


def held(machine: Machine) -> dict[str, int]:
    """How much the broker holds of jobs that are not finished: slots, counters, places in line, open questions."""
    names = ("running", "dispatched", "queued", "impatient", "turns", "busy:owner", "busy:source", "waiting")
    with redis.Redis.from_url(machine.broker_url, decode_responses=True) as connection:
        found: dict[str, int] = {}
        for name in names:
            key = f"{machine.settings.namespace}:{name}"
            count = connection.hlen if connection.type(key) == "hash" else connection.zcard
            found[name] = count(key)
        return {name: number for name, number in found.items() if number}


async def test_it_asks_holds_nothing_but_its_question_and_runs_after_a_yes(machine: Machine) -> None:
    job = await asking(machine)
    request = job.input_request
    assert request is not None
    assert (request.purpose, request.by, list(request.schema["properties"])) == ("confirm_cost", "client", ["confirm"])
    assert "about 5,000 rows" in request.message
    assert job.input_deadline_at is not None
    assert job.seen_at is not None
    assert 590 < job.input_deadline_at - job.seen_at <= 600
    assert held(machine) == {"waiting": 1}
    done = await answered(machine, job, YES)
    assert done.preview == [[5000]]
    assert (done.input_request, done.input_deadline_at) == (None, None)
    assert await machine.moves(job) == ["submitted", "running", "waiting", "queued", "running", "succeeded"]
    assert held(machine) == {}


async def test_the_time_it_waited_is_not_taken_from_the_time_it_has(machine: Machine) -> None:
    job = await asking(machine)
    await asyncio.sleep(1)
    done = await answered(machine, job, YES)
    assert job.deadline_at is not None
    assert done.deadline_at is not None
    assert done.deadline_at - job.deadline_at >= 1


@pytest.mark.parametrize("answer", [NO, Answer("accept", {"confirm": False})])
async def test_after_a_no_it_is_not_run_and_cannot_be_confirmed_any_more(machine: Machine, answer: Answer) -> None:
    done = await answered(machine, await asking(machine), answer)
    assert code_of(done) == ErrorCode.NEEDS_CONFIRMATION
    assert "confirmation" not in done.notes
    assert held(machine) == {}


async def test_where_nobody_is_there_to_ask_it_fails_with_a_token_as_before(machine: Machine) -> None:
    job = await machine.executor.submit(dear(machine), owner=OWNER)
    job = await machine.executor.wait(job.id, owner=OWNER, timeout_s=40)
    assert code_of(job) == ErrorCode.NEEDS_CONFIRMATION
    assert job.notes["confirmation"]


async def test_the_first_answer_counts_and_said_again_it_changes_nothing(machine: Machine) -> None:
    job = await asking(machine)
    first, again = await asyncio.gather(*(machine.executor.answer(job.id, owner=OWNER, answer=YES) for _ in range(2)))
    assert first.id == again.id == job.id
    with pytest.raises(InputFailed) as other:
        await machine.executor.answer(job.id, owner=OWNER, answer=NO)
    assert other.value.code is ErrorCode.NOT_WAITING
    done = await machine.executor.wait(job.id, owner=OWNER, timeout_s=40)
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 2)
    late = await machine.executor.answer(job.id, owner=OWNER, answer=YES)
    assert late.state is JobState.SUCCEEDED
    assert held(machine) == {}


async def test_nobody_but_its_owner_answers(machine: Machine) -> None:
    job = await asking(machine)
    with pytest.raises(JobNotFound) as caught:
        await machine.executor.answer(job.id, owner=OTHER, answer=YES)
    assert caught.value.code is ErrorCode.JOB_NOT_FOUND
    assert (await machine.executor.get(job.id, owner=OWNER)).state is JobState.WAITING
    await machine.executor.cancel(job.id, owner=OWNER)


@pytest.mark.parametrize(
    "content", [{}, {"confirm": "yes"}, {"confirm": 1}, {"confirm": True, "sql": "x"}, {"other": True}]
)
async def test_an_answer_that_does_not_fit_the_question_is_refused_and_it_waits_on(
    machine: Machine, content: dict[str, object]
) -> None:
    job = await asking(machine)
    with pytest.raises(InputFailed) as caught:
        await machine.executor.answer(job.id, owner=OWNER, answer=Answer("accept", content))
    assert caught.value.code is ErrorCode.INVALID_ANSWER
    assert (await machine.executor.cancel(job.id, owner=OWNER)).state is JobState.CANCELLED


async def test_where_a_person_must_say_yes_a_program_can_only_say_no(machine: Machine) -> None:
    gate = CostGate(confirm=1000, confirm_by="human")
    job = await asking(machine, gate=gate)
    with pytest.raises(InputFailed) as caught:
        await machine.executor.answer(job.id, owner=OWNER, answer=YES)
    assert caught.value.code is ErrorCode.HUMAN_REQUIRED
    assert (await answered(machine, job, replace(YES, by="human"))).preview == [[5000]]
    assert code_of(await answered(machine, await asking(machine, gate=gate), NO)) == ErrorCode.NEEDS_CONFIRMATION


async def test_cancelled_while_it_waits_it_ends_at_once(machine: Machine) -> None:
    job = await asking(machine)
    ended = await machine.executor.cancel(job.id, owner=OWNER)
    assert (ended.state, ended.input_request) == (JobState.CANCELLED, None)
    assert ended.notes["stop_seen"] == "call"
    with pytest.raises(InputFailed) as caught:
        await machine.executor.answer(job.id, owner=OWNER, answer=YES)
    assert caught.value.code is ErrorCode.NOT_WAITING
    assert await machine.moves(job) == ["submitted", "running", "waiting", "cancelled"]
    assert held(machine) == {}


async def test_a_job_that_never_asked_takes_no_answer(machine: Machine) -> None:
    job = await machine.run("SELECT 1")
    with pytest.raises(InputFailed) as caught:
        await machine.executor.answer(job.id, owner=OWNER, answer=YES)
    assert caught.value.code is ErrorCode.NOT_WAITING


async def test_equal_statements_of_one_caller_are_asked_for_each_by_itself(machine: Machine) -> None:
    sql = "SELECT count(*) AS alike FROM orders"
    statement = dear(machine, sql, shared_with="principal")
    jobs = await asyncio.gather(*(machine.executor.submit(statement, owner=OWNER, asks=True) for _ in range(6)))
    for job in jobs:
        await machine.until(job, JobState.WAITING)
    yes = await answered(machine, jobs[0], YES)
    no = await answered(machine, jobs[1], NO)
    assert (yes.preview, code_of(no)) == ([[5000]], ErrorCode.NEEDS_CONFIRMATION)
    for job in jobs[2:]:
        assert (await machine.executor.cancel(job.id, owner=OWNER)).state is JobState.CANCELLED
    assert held(machine) == {}


async def test_a_question_and_an_answer_that_were_not_signed_count_for_nothing(machine: Machine) -> None:
    mine, other = await asking(machine), await asking(machine, DEAR + " WHERE id > 0")
    with redis.Redis.from_url(machine.broker_url, decode_responses=True) as forger:
        key, others = (f"{machine.settings.namespace}:job:{job.id}" for job in (mine, other))
        fields = ("input_request", "input_signature")
        own, anothers = (dict(zip(fields, forger.hmget(row, fields), strict=True)) for row in (key, others))
        forger.hset(key, mapping=anothers)
        with pytest.raises(JobNotFound):  # another job's question stands in it: the row is not ours any more
            await machine.executor.get(mine.id, owner=OWNER)
        forger.hset(key, mapping=own)
        assert code_of(await answered(machine, mine, NO)) == ErrorCode.NEEDS_CONFIRMATION
        await machine.executor.answer(other.id, owner=OWNER, answer=YES)
        assert (await machine.executor.wait(other.id, owner=OWNER, timeout_s=40)).preview == [[5000]]
        third = await asking(machine)
        [*_, replayed] = json.loads(forger.hget(others, "answers"))
        row = f"{machine.settings.namespace}:job:{third.id}"
        told = [*forger.hmget(row, "input_request", "input_signature"), *replayed[2:]]
        forger.hset(row, "answers", json.dumps([told]))
        assert code_of(await answered(machine, third, NO)) == ErrorCode.STATEMENT_FAILED


async def test_cancelled_in_the_moment_in_which_it_asks_it_does_not_wait(machine: Machine) -> None:
    """Whatever wins the race, nothing is left: forty jobs, each cancelled as soon as it runs."""
    ended: list[Job] = []
    for _ in range(40):
        job = await machine.executor.submit(dear(machine), owner=OWNER, asks=True)
        await machine.until(job, JobState.RUNNING, JobState.WAITING)
        await machine.executor.cancel(job.id, owner=OWNER)
        ended.append(await machine.executor.wait(job.id, owner=OWNER, timeout_s=20))
    assert {job.state for job in ended} == {JobState.CANCELLED}
    assert held(machine) == {}
