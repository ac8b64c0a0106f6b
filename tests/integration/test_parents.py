"""Jobs that another package's body works on, and that submit jobs of their own: leases, caps, cancels, deaths."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest
import pytest_asyncio
from machines import COUNT_FOR_EVER, OWNER, Machine, make_shop, running, settings_for

from executor import GENERATE, Answered, ErrorCode, ExecutorError, Job, JobLost, JobState, Lease, Limits, Question

pytestmark = pytest.mark.asyncio(loop_scope="module")
LIMITS = Limits(job_timeout_s=60, queue_timeout_s=30)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    """One machine for the tests that leave nothing behind for each other."""
    folder = tmp_path_factory.mktemp("machine")
    async with running(settings_for(folder, make_shop(folder))) as made:
        yield made


@asynccontextmanager
async def serving(
    machine: Machine, body: Callable[[Lease], Awaitable[Answered]], *, slots: int = 4
) -> AsyncIterator[None]:
    service = asyncio.create_task(machine.executor.serve(GENERATE, body, slots=slots, drain=asyncio.Event()))
    try:
        yield
    finally:
        service.cancel()
        with suppress(asyncio.CancelledError):
            await service


async def ask(machine: Machine, text: str = "how many?", *, owner: str = OWNER, limits: Limits = LIMITS) -> Job:
    return await machine.executor.ask(Question("shop", text, json.dumps({"sql": text}), limits), owner=owner)


def body_over(machine: Machine) -> Callable[[Lease], Awaitable[Answered]]:
    """A body that runs its question, which is SQL, as one child."""

    async def body(lease: Lease) -> Answered:
        lease.enter("executing")
        child = await machine.executor.submit(
            machine.statement(lease.order.question),
            owner=lease.order.owner,
            parent_id=lease.job_id,
            idempotency_key=f"{lease.job_id} 1",
        )
        ended = await machine.executor.wait(child.id, owner=child.owner, timeout_s=lease.seconds_left)
        if ended.error is not None:
            raise ended.error
        if ended.state is JobState.CANCELLED:
            await asyncio.Event().wait()  # with its parent, which is told so in a moment
        await lease.tell({"model": "a body", "tokens": 7})
        return Answered(child.id)

    return body


async def test_the_rows_of_a_parent_are_its_childs_and_the_list_shows_only_the_parent(machine: Machine) -> None:
    sql = "SELECT id, amount FROM orders ORDER BY id"
    owner = "test/owner/of the list"
    async with serving(machine, body_over(machine)):
        parent = await machine.until(await ask(machine, sql, owner=owner), "succeeded", "failed")

    assert (parent.state, parent.error) == (JobState.SUCCEEDED, None)
    assert (parent.shown_sql, parent.rows, parent.notes["question"]) == (sql, 5000, sql)
    assert parent.notes["generated"] == {"model": "a body", "tokens": 7}
    page = await machine.executor.page(parent.id, owner=owner, limit=1000)
    assert page.rows[-1] == [1000, 250]
    assert page.next_cursor is not None
    following = await machine.executor.page(parent.id, owner=owner, cursor=page.next_cursor, limit=1)
    assert following.rows == [[1001, 250.25]]
    assert [job.id for job in await machine.executor.list_jobs(owner=owner)] == [parent.id]
    child = await machine.executor.get(parent.notes["answer_of"], owner=owner)
    assert (child.parent_id, child.proof, child.origins) == (parent.id, parent.proof, parent.origins)

    assert await machine.moves(parent) == ["submitted", "running", "succeeded"]
    with closing(sqlite3.connect(machine.settings.home / "history.sqlite")) as history:
        asked = "SELECT job_id, parent_id, question, generated FROM awaitsql_jobs WHERE kind = 'ask' AND owner = ?"
        told = history.execute(asked, (owner,))
        assert told.fetchall() == [(parent.id, "", sql, '{"model":"a body","tokens":7}')]
        told = history.execute("SELECT parent_id FROM awaitsql_jobs WHERE job_id = ?", (child.id,))
        assert told.fetchall() == [(parent.id,)]


async def test_as_many_parents_as_the_caps_of_statements_do_not_keep_their_children_from_running(
    machine: Machine,
) -> None:
    async with serving(machine, body_over(machine)):
        parents = [await ask(machine, f"SELECT {n} AS n") for n in range(6)]
        ended = [await machine.until(parent, "succeeded", "failed") for parent in parents]

    assert machine.settings.principal_max_running == machine.settings.principal_max_asking == 3
    assert [job.preview for job in ended] == [[[n]] for n in range(6)]


async def test_cancelling_a_parent_stops_its_child_in_the_database_and_says_so(machine: Machine) -> None:
    async with serving(machine, body_over(machine)):
        parent = await ask(machine, COUNT_FOR_EVER)
        child = await child_of(machine, parent)
        await machine.until(child, "running")

        await machine.executor.cancel(parent.id, owner=OWNER)
        ended = await machine.until(child, "cancelled")
        parent = await machine.until(parent, "cancelled")

        assert ended.notes["stop_seen"] == "call"
        seen = await machine.executor.get(parent.id, owner=OWNER)
        assert seen.notes["stop_seen"] == "call"
        assert seen.notes["stopped_after_ms"] < 2000
        with pytest.raises(JobLost):
            await machine.executor.submit(machine.statement("SELECT 1"), owner=OWNER, parent_id=parent.id)


async def test_a_parent_that_is_cancelled_in_the_line_never_runs(tmp_path: Path, shop: Path) -> None:
    async with running(settings_for(tmp_path, shop), workers=0) as machine:
        parent = await ask(machine)
        assert (parent.state, parent.workers_alive) == (JobState.QUEUED, 0)
        cancelled = await machine.executor.cancel(parent.id, owner=OWNER)

    assert cancelled.state is JobState.CANCELLED


async def test_a_body_that_takes_too_long_is_stopped_and_its_child_with_it(machine: Machine) -> None:
    async with serving(machine, body_over(machine)):
        parent = await ask(machine, COUNT_FOR_EVER, limits=Limits(job_timeout_s=2))
        child = await child_of(machine, parent)
        ended = await machine.until(parent, "failed")

        assert ended.error is not None
        assert ended.error.code is ErrorCode.STATEMENT_TIMEOUT
        await machine.until(child, "cancelled")


async def test_what_a_body_raises_is_the_jobs_error_and_a_crash_is_told_without_its_text(machine: Machine) -> None:
    async def body(lease: Lease) -> Answered:
        if lease.order.question == "crash":
            raise RuntimeError("a secret")
        raise ExecutorError.of(ErrorCode.TOO_EXPENSIVE, "too dear", hint="less")

    async with serving(machine, body):
        dear = await machine.until(await ask(machine, "dear"), "failed")
        crashed = await machine.until(await ask(machine, "crash"), "failed")

    assert dear.error is not None and dear.error.as_dict()["code"] == "too_expensive"
    assert crashed.error is not None and crashed.error.code is ErrorCode.STATEMENT_FAILED
    assert "secret" not in json.dumps(crashed.error.as_dict())


async def test_work_that_was_kept_is_there_for_the_next_attempt_after_the_worker_left(machine: Machine) -> None:
    started = asyncio.Event()
    seen: list[tuple[int, str]] = []

    async def body(lease: Lease) -> Answered:
        seen.append((lease.attempt, lease.kept))
        if lease.attempt == 1:
            await lease.keep("half")
            started.set()
            await asyncio.Event().wait()
        return await body_over(machine)(lease)

    parent = await ask(machine, "SELECT 1 AS one")
    async with serving(machine, body):
        await asyncio.wait_for(started.wait(), 20)
    async with serving(machine, body):
        ended = await machine.until(parent, "succeeded", "failed")

    assert (ended.state, ended.preview) == (JobState.SUCCEEDED, [[1]])
    assert seen == [(1, ""), (2, "half")]


def kill(servant: subprocess.Popen[bytes]) -> None:
    with servant:
        servant.send_signal(signal.SIGKILL)


SERVANT = """
import asyncio, sys
from pathlib import Path
from executor import GENERATE, Answered, Executor, ExecutorSettings, Limits, Statement, signing_keys

async def main():
    settings = ExecutorSettings.model_validate_json(sys.stdin.readline())
    async with Executor(settings, sys.argv[1], signing_keys(settings), submits=False) as executor:
        async def body(lease):
            sql = lease.order.question
            child = await executor.submit(
                Statement("shop", sql, sql, settings.limits.limits()), owner=lease.order.owner,
                parent_id=lease.job_id, idempotency_key=lease.job_id + " 1")
            await executor.wait(child.id, owner=child.owner, timeout_s=60)
            return Answered(child.id)
        await executor.serve(GENERATE, body, slots=2, drain=asyncio.Event(), worker=sys.argv[2])

asyncio.run(main())
"""


async def test_a_killed_body_is_resumed_elsewhere_and_its_child_is_run_once(machine: Machine) -> None:
    def start(name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", SERVANT, machine.broker_url, name]
        servant = subprocess.Popen(command, stdin=subprocess.PIPE, env=dict(os.environ))
        assert servant.stdin is not None
        servant.stdin.write(machine.settings.model_dump_json().encode() + b"\n")
        servant.stdin.flush()
        return servant

    sql = COUNT_FOR_EVER.replace("4000000000", "12000000")
    parent = await ask(machine, sql)
    first = start("first")
    child = await child_of(machine, parent)
    await machine.until(child, "running")
    kill(first)
    second = start("second")
    try:
        ended = await machine.until(parent, "succeeded", "failed", timeout_s=60)
    finally:
        kill(second)

    assert (ended.state, ended.preview) == (JobState.SUCCEEDED, [[12000000]])
    assert ended.notes["answer_of"] == child.id
    assert await machine.moves(parent) == ["submitted", "running", "queued", "running", "succeeded"]
    assert await machine.moves(child) == ["submitted", "running", "succeeded"]


async def child_of(machine: Machine, parent: Job) -> Job:
    """The parent's first child, once it is there."""
    import redis.asyncio

    async with asyncio.timeout(30), redis.asyncio.Redis.from_url(machine.broker_url, decode_responses=True) as broker:
        while not (found := await broker.lrange(f"{machine.settings.namespace}:children:{parent.id}", 0, -1)):
            await asyncio.sleep(0.05)
    return await machine.executor.get(found[0], owner=parent.owner)
