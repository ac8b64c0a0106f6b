from __future__ import annotations

import asyncio
import io

import pytest
import pytest_asyncio
from machines import COUNT_FOR_EVER, OWNER, broker_of, make_shop, running, settings_for

from executor import ErrorCode, ExecutorError, JobState, new_job_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def settings(tmp_path, shop, broker):
    return settings_for(tmp_path, shop, broker_url=broker)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", "configured"])
async def machine(request, tmp_path_factory):
    """One machine for the tests that leave nothing behind for each other."""
    with broker_of(request.param) as url:
        folder = tmp_path_factory.mktemp("machine")
        shop, wrong = make_shop(folder), folder / "notes.sqlite"
        wrong.write_text("these are notes, " * 400)
        sources = {name: {"kind": "sqlite", "path": path} for name, path in (("shop", shop), ("notes", wrong))}
        async with running(settings_for(folder, shop, broker_url=url, sources=sources)) as running_machine:
            yield running_machine


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", "configured"])
async def idle(request, tmp_path_factory):
    """One machine that nobody works for."""
    with broker_of(request.param) as url:
        folder = tmp_path_factory.mktemp("idle")
        async with running(settings_for(folder, make_shop(folder), broker_url=url), workers=0) as running_machine:
            yield running_machine


async def test_a_statement_becomes_rows_with_columns_a_summary_and_an_expiry(machine):
    job = await machine.run("SELECT id, customer FROM orders WHERE id <= 3 ORDER BY id")

    assert job.state is JobState.SUCCEEDED
    assert job.preview == [[1, "customer 1"], [2, "customer 2"], [3, "customer 3"]]
    assert job.summary is not None
    assert [c.name for c in job.summary.columns] == ["id", "customer"]
    assert job.summary.row_count == 3
    assert job.expires_at is not None


async def test_pages_join_to_the_whole_result_and_say_where_it_ends(machine):
    job = await machine.run("SELECT id FROM orders ORDER BY id")
    seen: list[int] = []
    cursor = None
    while True:
        page = await machine.executor.page(job.id, owner=OWNER, cursor=cursor, limit=700)
        assert page.offset == len(seen)
        seen += [row[0] for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == list(range(1, 5001))


async def test_rows_are_readable_while_the_query_runs(machine):
    endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 4000000000) SELECT n FROM r"
    job = await machine.submit(endless, max_rows=100_000_000, max_bytes=10_000_000_000)
    job = await machine.until(job, JobState.RUNNING)
    async for seen in machine.executor.watch(job.id, owner=OWNER, timeout_s=20):
        if seen.rows > 1000:
            break
    page = await machine.executor.page(job.id, owner=OWNER, limit=5)
    cancelled = await machine.executor.cancel(job.id, owner=OWNER)
    cancelled = await machine.until(cancelled, JobState.CANCELLED)

    assert page.rows == [[1], [2], [3], [4], [5]]
    assert not page.complete
    assert page.next_cursor is not None
    assert cancelled.notes["stopped_after_ms"] < 2000


async def test_more_rows_than_the_limit_are_cut_and_said_to_be(machine):
    job = await machine.run("SELECT id FROM orders ORDER BY id", max_rows=10)

    assert job.summary is not None
    assert job.summary.row_count == 10
    assert job.summary.truncated is not None
    assert job.summary.truncated.reason == "max_rows"


async def test_a_failing_statement_fails_with_the_databases_words(machine):
    job = await machine.run("SELECT nothing FROM orders")
    with pytest.raises(ExecutorError) as caught:
        await machine.executor.page(job.id, owner=OWNER)

    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code is ErrorCode.STATEMENT_FAILED
    assert caught.value.code is ErrorCode.STATEMENT_FAILED


async def test_a_statement_that_runs_too_long_is_stopped(machine):
    job = await machine.submit(COUNT_FOR_EVER, timeout_s=0.5)
    job = await machine.until(job, JobState.FAILED)

    assert job.error is not None
    assert job.error.code is ErrorCode.STATEMENT_TIMEOUT


async def test_a_queued_job_is_cancelled_at_once_and_never_runs(idle):
    job = await idle.submit("SELECT 1")
    assert job.state is JobState.QUEUED
    assert job.workers_alive == 0
    job = await idle.executor.cancel(job.id, owner=OWNER)

    assert job.state is JobState.CANCELLED


async def test_one_owners_job_is_not_found_by_another_in_the_same_words_as_an_unknown_one(machine):
    job = await machine.run("SELECT 1")
    told = []
    for job_id in (job.id, new_job_id()):
        with pytest.raises(ExecutorError) as caught:
            await machine.executor.get(job_id, owner="somebody/else/b")
        told.append((caught.value.code, caught.value.message.replace(job_id, "ID"), caught.value.hint))

    assert told[0] == told[1]
    assert told[0][0] is ErrorCode.JOB_NOT_FOUND


async def test_the_same_idempotency_key_gives_the_same_job_and_other_sql_a_conflict(machine):
    statement, other = machine.statement("SELECT 1"), machine.statement("SELECT 2")
    first = await machine.executor.submit(statement, owner=OWNER, idempotency_key="k")
    again = await machine.executor.submit(statement, owner=OWNER, idempotency_key="k")
    elsewhere = await machine.executor.submit(statement, owner="b", idempotency_key="k")
    with pytest.raises(ExecutorError) as caught:
        await machine.executor.submit(other, owner=OWNER, idempotency_key="k")

    assert again.id == first.id
    assert elsewhere.id != first.id
    assert caught.value.code is ErrorCode.IDEMPOTENCY_CONFLICT


async def test_the_last_of_a_keys_callers_to_give_up_takes_the_job_along_and_nobody_elses_word_counts(machine):
    statement = machine.statement(COUNT_FOR_EVER)
    job = await machine.executor.submit(statement, owner=OWNER, idempotency_key="given up")
    for _ in range(2):
        await machine.executor.submit(statement, owner=OWNER, idempotency_key="given up")
    await machine.until(job, JobState.RUNNING)
    for _ in range(2):
        await machine.executor.give_up(job.id, owner=OWNER)
    with pytest.raises(ExecutorError) as caught:
        await machine.executor.give_up(job.id, owner="b")
    before = await machine.executor.get(job.id, owner=OWNER)
    await machine.executor.give_up(job.id, owner=OWNER)
    after = await machine.executor.wait(job.id, owner=OWNER, timeout_s=20)

    assert caught.value.code is ErrorCode.JOB_NOT_FOUND
    assert (before.state, before.cancel_requested_at) == (JobState.RUNNING, None)
    assert after.state is JobState.CANCELLED


async def test_a_cursor_of_another_job_is_refused(machine):
    first = await machine.run("SELECT id FROM orders")
    second = await machine.run("SELECT id FROM orders")
    cursor = (await machine.executor.page(first.id, owner=OWNER, limit=10)).next_cursor
    with pytest.raises(ExecutorError) as caught:
        await machine.executor.page(second.id, owner=OWNER, cursor=cursor)

    assert caught.value.code is ErrorCode.INVALID_CURSOR


async def test_a_job_that_nobody_takes_fails_with_no_workers(idle):
    job = await idle.submit("SELECT 1", queue_timeout_s=1.0)
    job = await idle.until(job, JobState.FAILED)

    assert job.error is not None
    assert job.error.code is ErrorCode.NO_WORKERS


async def test_a_full_queue_refuses_and_stores_nothing(tmp_path, shop, broker):
    settings = settings_for(tmp_path, shop, broker_url=broker, queue_depth=3)
    async with running(settings, workers=0) as machine:
        jobs = [await machine.submit("SELECT 1") for _ in range(2)]
        with pytest.raises(ExecutorError) as caught:
            # the source's schema job waits in the same queue, and may come after these two
            jobs.append(await machine.submit("SELECT 1"))
            await machine.submit("SELECT 1")
        listed = await machine.executor.list_jobs(owner=OWNER)

    assert caught.value.code is ErrorCode.QUEUE_FULL
    assert {job.id for job in listed} == {job.id for job in jobs}


async def test_one_owners_many_jobs_do_not_hold_up_anothers(machine):
    hogs = [await machine.submit(COUNT_FOR_EVER, owner="hog") for _ in range(12)]
    quick = await machine.run("SELECT 1", owner="quick")
    async with asyncio.timeout(20):  # a slot that was given to a job is taken a moment later
        while (running_now := await _count_running(machine, hogs)) < machine.settings.principal_max_running:
            await asyncio.sleep(0.01)
    for job in hogs:
        await machine.executor.cancel(job.id, owner="hog")
    ends = [await machine.until(job, JobState.CANCELLED) for job in hogs]

    assert quick.state is JobState.SUCCEEDED
    assert running_now == machine.settings.principal_max_running
    assert len(ends) == 12


async def _count_running(machine, jobs):
    looks = [await machine.executor.get(job.id, owner=job.owner) for job in jobs]
    return sum(job.state is JobState.RUNNING for job in looks)


async def test_a_schema_arrives_from_a_worker(machine):
    schema = await machine.executor.source_schema("shop", wait_s=20)

    assert [(t.schema, t.name) for t in schema.tables] == [("main", "orders")]
    assert [c.name for c in schema.tables[0].columns] == ["id", "customer", "amount"]


async def test_without_workers_a_schema_is_not_ready(idle):
    with pytest.raises(ExecutorError) as caught:
        await idle.executor.source_schema("shop", wait_s=0.2)

    assert caught.value.code is ErrorCode.SOURCE_NOT_READY


async def test_a_file_that_is_no_database_is_told_by_the_schema(machine):
    with pytest.raises(ExecutorError) as caught:
        await machine.executor.source_schema("notes", wait_s=20)

    assert caught.value.code is ErrorCode.SOURCE_UNAVAILABLE


async def test_a_result_is_exported_whole_in_every_format(machine):
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet

    job = await machine.run("SELECT id, customer FROM orders ORDER BY id")
    files = {}
    for name in ("csv", "json", "parquet", "arrow"):
        files[name] = io.BytesIO()
        await machine.executor.export(job.id, owner=OWNER, format=name, out=files[name])
        files[name] = io.BytesIO(files[name].getvalue())
    tables = [
        pa.csv.read_csv(files["csv"]),
        pa.json.read_json(files["json"]),
        pa.parquet.read_table(files["parquet"]),
        pa.ipc.open_file(files["arrow"]).read_all(),
    ]

    for table in tables:
        assert table.column_names == ["id", "customer"]
        assert table.column("id").to_pylist() == list(range(1, 5001))


async def test_many_callers_wait_for_their_jobs_at_once(machine):
    jobs = await asyncio.gather(*(machine.run(f"SELECT {i} AS i", owner=f"o{i % 7}") for i in range(60)))

    assert [job.preview for job in jobs] == [[[i]] for i in range(60)]


async def test_servers_with_different_keys_do_not_share_a_configuration(machine):
    from fixed_keys import FixedKeys

    from executor import Executor, KeyRing

    other = Executor(machine.settings, machine.broker_url, FixedKeys(KeyRing.read("another key" * 4)))
    with pytest.raises(ExecutorError) as caught:
        await other.__aenter__()

    assert caught.value.code is ErrorCode.INVALID_SETTINGS


async def test_work_left_queued_goes_on_at_the_next_start_and_a_forged_row_does_not_run_and_is_nobodys(settings):
    import redis

    async with running(settings, workers=0) as machine:
        left = await machine.submit("SELECT 5 AS five")
        forged, stolen = await machine.submit("SELECT 1"), await machine.submit("SELECT 'secret'")
        with redis.Redis.from_url(machine.broker_url, decode_responses=True) as forger:
            key = f"{settings.namespace}:job:{forged.id}"
            forger.hset(key, "payload", forger.hget(key, "payload").replace("SELECT 1", "SELECT 666"))
            forger.hset(f"{settings.namespace}:job:{stolen.id}", "owner", "mallory")
        codes = []
        for job, owner in ((forged, OWNER), (stolen, "mallory")):
            with pytest.raises(ExecutorError) as caught:
                await machine.executor.get(job.id, owner=owner)
            codes.append(caught.value.code)
    async with running(settings) as machine:
        left = await machine.until(left, JobState.SUCCEEDED)
        refused = await machine.until(stolen, JobState.FAILED)
        with redis.Redis.from_url(machine.broker_url, decode_responses=True) as reader:
            key = f"{settings.namespace}:job:{forged.id}"
            async with asyncio.timeout(20):
                while reader.hget(key, "state") in ("queued", "running"):
                    await asyncio.sleep(0.05)
            row = reader.hgetall(key)

    assert left.preview == [[5]]
    assert codes == [ErrorCode.JOB_NOT_FOUND] * 2
    assert refused.error is not None
    assert refused.error.code is ErrorCode.STATEMENT_FAILED
    assert refused.preview == []
    assert row["state"] == "failed"
    assert "preview" not in row
