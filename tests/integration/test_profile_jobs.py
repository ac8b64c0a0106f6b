"""The job that profiles a source: on a real broker, by real workers, which die and are wanted by others meanwhile."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest
from machines import COUNT_FOR_EVER, Machine, running, settings_for

from executor import ErrorCode, ExecutorError, Job, JobState, SourceProfile

TABLES = 120


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A SQLite file with many tables that take a while to read, and a key between each and the first."""
    path = tmp_path / "wide.sqlite"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, city TEXT)")
        cities = ("Bern", "Basel", "Genf", "Zug")
        made.executemany("INSERT INTO customers VALUES (?, ?)", [(n, cities[n % 4]) for n in range(1, 101)])
        for number in range(1, TABLES):
            made.execute(f"CREATE TABLE t{number} (n INTEGER PRIMARY KEY, customer_id INTEGER, word TEXT)")
            made.execute(
                f"INSERT INTO t{number} WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 4000)"
                " SELECT i, 1 + i % 100, 'word ' || i FROM r"
            )
    made.close()
    return path


async def every(machine: Machine) -> set[tuple[str, str]]:
    schema = await machine.executor.source_schema("shop", wait_s=30)
    return {(table.schema, table.name) for table in schema.tables}


async def profiled(machine: Machine, *, anew: bool = False) -> tuple[Job, SourceProfile]:
    tables = await every(machine)
    job = await machine.executor.profile("shop", tables, anew=anew)
    job = await machine.until(job, JobState.SUCCEEDED, timeout_s=60)
    return job, await machine.executor.source_profile("shop", tables=tables)


async def test_a_profile_says_what_the_tables_hold_and_how_far_it_is(tmp_path, wide):
    async with running(settings_for(tmp_path, wide)) as machine:
        job, profile = await profiled(machine)
        [customers] = [table for table in profile.tables if table.name == "customers"]
        values = [v async for block in machine.executor.listed_values("shop", customers) for v in block]

    assert job.notes["tables"] == {"done": TABLES, "total": TABLES}
    assert profile.complete
    assert len(profile.tables) == TABLES
    assert [(c.name, c.distinct, sorted(c.values)) for c in customers.columns] == [
        ("id", 100, []),
        ("city", 4, ["Basel", "Bern", "Genf", "Zug"]),
    ]
    assert {(v.column, v.value, v.rows) for v in values} == {("city", c, 25) for c in ("Bern", "Basel", "Genf", "Zug")}
    assert {(one.table, one.key.ref_table) for one in profile.inferred} == {
        (f"t{n}", "customers") for n in range(1, TABLES)
    }


async def test_the_first_who_asks_for_a_profile_sets_the_job_going_and_may_wait_for_it(tmp_path, shop):
    async with running(settings_for(tmp_path, shop)) as machine:
        tables = await every(machine)
        profile = await machine.executor.source_profile("shop", tables=tables, wait_s=30)

    assert [table.row_count for table in profile.tables] == [5000]


async def test_nothing_is_read_by_itself_where_the_configuration_says_so(tmp_path, shop):
    settings = settings_for(tmp_path, shop, profile={"automatic": False})
    async with running(settings) as machine:
        tables = await every(machine)
        unread = await machine.executor.source_profile("shop", tables=tables, wait_s=1)
        _, read = await profiled(machine)

    assert unread.tables == ()
    assert len(read.tables) == 1


async def test_only_the_tables_that_changed_are_read_again_unless_all_are_asked_for(tmp_path, shop):
    async with running(settings_for(tmp_path, shop)) as machine:
        _, first = await profiled(machine)
        _, second = await profiled(machine)
        _, third = await profiled(machine, anew=True)
        with sqlite3.connect(shop) as made:
            made.execute("INSERT INTO orders VALUES (9000, 'new customer', 1.0)")
        made.close()
        _, fourth = await profiled(machine)

    versions = [profile.tables[0].version for profile in (first, second, third, fourth)]
    assert versions[0] == versions[1]
    assert len(set(versions[1:])) == 3
    assert fourth.tables[0].row_count == 5001


async def test_what_may_not_be_shared_any_more_is_forgotten(tmp_path, shop):
    async with running(settings_for(tmp_path, shop)) as machine:
        _, before = await profiled(machine)
        job = await machine.executor.profile("shop", set())
        await machine.until(job, JobState.SUCCEEDED)
        everything = await machine.executor.source_profile("shop", tables=await every(machine))
        left = [b async for b in machine.executor.listed_values("shop", before.tables[0])]

    assert before.tables[0].listed == ("customer",)
    assert everything.tables == ()
    assert left == []


async def test_a_killed_worker_costs_no_table_that_was_read(tmp_path, wide):
    async with running(settings_for(tmp_path, wide)) as machine:
        tables = await every(machine)
        job = await machine.executor.profile("shop", tables)
        async for seen in machine.executor.watch(job.id, owner=job.owner, timeout_s=30):
            if seen.notes.get("tables", {"done": 0})["done"] >= 10:
                break
        os.kill(machine.fleet.pids()[0], signal.SIGKILL)
        early = await machine.executor.source_profile("shop", tables=tables)
        job = await machine.until(job, JobState.SUCCEEDED, timeout_s=60)
        profile = await machine.executor.source_profile("shop", tables=tables)

    versions = {table.name: table.version for table in profile.tables}
    assert job.attempt == 2
    assert len(versions) == TABLES
    assert early.tables
    assert {t.name: t.version for t in early.tables}.items() <= versions.items()


async def test_a_profile_gives_its_slot_to_callers(tmp_path, wide):
    settings = settings_for(tmp_path, wide, concurrency=1, profile={"max_rows": 4001})
    async with running(settings) as machine:
        tables = await every(machine)
        job = await machine.executor.profile("shop", tables)
        await machine.until(job, JobState.RUNNING)
        asked = [await machine.run(f"SELECT {n}") for n in range(3)]
        job = await machine.until(job, JobState.SUCCEEDED, timeout_s=60)

    assert [one.preview for one in asked] == [[[0]], [[1]], [[2]]]
    assert asked[0].finished_at < job.finished_at
    assert job.attempt > 1
    assert job.notes["tables"]["done"] == TABLES


async def test_a_profile_can_be_cancelled(tmp_path, wide):
    async with running(settings_for(tmp_path, wide, concurrency=1)) as machine:
        tables = await every(machine)
        holder = await machine.until(await machine.submit(COUNT_FOR_EVER), JobState.RUNNING)
        job = await machine.executor.profile("shop", tables)
        await machine.executor.cancel(job.id, owner=job.owner)
        job = await machine.until(job, JobState.CANCELLED)
        await machine.executor.cancel(holder.id, owner=holder.owner)

    assert job.error is None


async def test_profiles_are_no_callers_jobs(tmp_path, shop):
    async with running(settings_for(tmp_path, shop)) as machine:
        job, _ = await profiled(machine)
        mine = await machine.executor.list_jobs(owner="test/owner/a")
        with pytest.raises(ExecutorError) as caught:
            await machine.executor.get(job.id, owner="test/owner/a")

    assert mine == []
    assert caught.value.code is ErrorCode.JOB_NOT_FOUND
