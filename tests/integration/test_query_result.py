"""SQL over stored results: as a job, guarded, for the owner of all that it reads, from either store."""

from __future__ import annotations

import pytest
import pytest_asyncio
from machines import COUNT_FOR_EVER, OWNER, make_shop, running, settings_for
from object_stores import bucket

from executor import (
    ErrorCode,
    ExecutorError,
    JobKind,
    JobState,
    Statement,
    inputs_of,
    origins_of_results,
    schema_of_results,
)
from executor.connections import connect_sync
from executor.results.opening import open_results
from executor.sweeper import Sweeper
from executor.upkeep_store import UpkeepStore
from mcp_server.policy import Grant, TableGrant
from mcp_server.sql import RefusalCode, StatementRefused, check

pytestmark = pytest.mark.asyncio(loop_scope="module")
WHOLE = Grant(others=TableGrant(), version="whole")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["local", "S3 over HTTP"])
async def machine(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("machine")
    more = {} if request.param == "local" else {"object_store": bucket(request.getfixturevalue("s3_endpoint"), folder)}
    async with running(settings_for(folder, make_shop(folder), **more)) as running_machine:
        yield running_machine


def over(machine, sql: str, jobs) -> Statement:
    checked = check(sql, source_schema=schema_of_results(jobs), grant=WHOLE, limits=machine.settings.limits.limits())
    return Statement(
        checked.source,
        checked.sql,
        checked.shown_sql,
        checked.limits,
        kind=JobKind.QUERY_RESULT,
        inputs=inputs_of(jobs),
        origins=origins_of_results(jobs),
    )


async def ran(machine, statement: Statement, owner: str = OWNER):
    job = await machine.executor.submit(statement, owner=owner)
    return await machine.executor.wait(job.id, owner=owner, timeout_s=40)


async def test_results_are_joined_by_name_and_the_answer_is_a_result_again(machine):
    orders = await machine.run("SELECT id, customer, amount, id FROM orders")
    names = await machine.run("SELECT DISTINCT customer FROM orders WHERE id <= 2")
    jobs = await machine.executor.inputs([orders.id, names.id], owner=OWNER)
    sql = "SELECT r2.customer, count(*) AS n, max(id_2) AS last FROM r1 JOIN r2 USING (customer) GROUP BY 1 ORDER BY 1"
    joined = await ran(machine, over(machine, sql, jobs))
    assert joined.error is None
    assert (joined.kind, joined.source) == (JobKind.QUERY_RESULT, "job results")
    assert joined.preview == [["customer 1", 100, 4951], ["customer 2", 100, 4952]]
    assert joined.origins == orders.origins
    again = await ran(machine, over(machine, "SELECT sum(n) AS n FROM r1", [joined]))
    assert again.preview == [[200]]


async def test_only_the_named_results_can_be_read(machine):
    one = await machine.run("SELECT 1 AS a")
    for sql in ("SELECT * FROM r2", "SELECT * FROM '/etc/passwd'", "SELECT * FROM read_csv('/etc/passwd')"):
        with pytest.raises(StatementRefused) as refused:
            over(machine, sql, [one])
        assert refused.value.code in (
            RefusalCode.UNKNOWN_TABLE,
            RefusalCode.FUNCTION_NOT_ALLOWED,
            RefusalCode.CONSTRUCT_NOT_ALLOWED,
        )
    # and where the guard would have let it pass, DuckDB does not
    statement = over(machine, "SELECT * FROM r1", [one])
    for sql in ("SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM 'https://example.org/x.csv'"):
        unguarded = Statement(
            "job results",
            sql,
            sql,
            statement.limits,
            kind=JobKind.QUERY_RESULT,
            inputs=statement.inputs,
            origins=statement.origins,
        )
        failed = await ran(machine, unguarded)
        assert failed.error is not None
        assert failed.error.code == ErrorCode.STATEMENT_FAILED


async def test_a_result_of_somebody_else_is_not_found_when_submitted_and_when_run(machine):
    one = await machine.run("SELECT 1 AS a")
    with pytest.raises(ExecutorError) as unknown:
        await machine.executor.inputs([one.id], owner="test/owner/b")
    assert unknown.value.code == ErrorCode.JOB_NOT_FOUND
    failed = await ran(machine, over(machine, "SELECT a FROM r1", [one]), owner="test/owner/b")
    assert failed.error is not None
    assert failed.error.code == ErrorCode.JOB_NOT_FOUND
    running_job = await machine.submit(COUNT_FOR_EVER)
    with pytest.raises(ExecutorError) as unfinished:
        await machine.executor.inputs([running_job.id], owner=OWNER)
    assert unfinished.value.code == ErrorCode.RESULT_EXPIRED
    await machine.executor.cancel(running_job.id, owner=OWNER)


async def test_inputs_that_are_gone_read_as_expired(machine):
    one = await machine.run("SELECT 1 AS a")
    open_results(machine.settings).delete(one.id)
    failed = await ran(machine, over(machine, "SELECT a FROM r1", [one]))
    assert failed.error is not None
    assert failed.error.code == ErrorCode.RESULT_EXPIRED


async def test_inputs_are_kept_while_a_job_that_reads_them_lives(machine):
    one = await machine.run("SELECT id FROM orders")
    endless = "SELECT count(*) AS n FROM r1 AS a, r1 AS b, r1 AS c, r1 AS d WHERE a.id + b.id + c.id + d.id = 7"
    job = await machine.executor.submit(over(machine, endless, [one]), owner=OWNER)
    job = await machine.until(job, JobState.RUNNING)
    settings = machine.settings.model_copy(update={"results_max_bytes": 1, "result_ttl_s": 0})
    with connect_sync(machine.broker_url) as connection:
        sweeper = Sweeper(settings, UpkeepStore(settings, connection), open_results(settings))
        sweeper.sweep(late_word_s=0)
        assert (await machine.executor.page(one.id, owner=OWNER, limit=3)).rows == [[1], [2], [3]]
        await machine.executor.cancel(job.id, owner=OWNER)
        job = await machine.until(job, JobState.CANCELLED)
        assert job.notes["stopped_after_ms"] < 2_000
        sweeper.sweep(late_word_s=0)
    with pytest.raises(ExecutorError) as evicted:
        await machine.executor.page(one.id, owner=OWNER, limit=3)
    assert evicted.value.code == ErrorCode.RESULT_EXPIRED
