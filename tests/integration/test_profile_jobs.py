"""The job that profiles a source: on a real broker, by real workers, which die and are wanted by others meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from machines import COUNT_FOR_EVER, Machine, make_shop, running, settings_for

from executor import ErrorCode, ExecutorError, Job, JobState, SourceProfile

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLES = 80
SHOPS = ("waited", "again", "forgotten", "own")


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with many tables that take a while to read, and a key between each and the first."""
    path = tmp_path_factory.mktemp("wide") / "wide.sqlite"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, city TEXT)")
        cities = ("Bern", "Basel", "Genf", "Zug")
        made.executemany("INSERT INTO customers VALUES (?, ?)", [(n, cities[n % 4]) for n in range(1, 101)])
        for number in range(1, TABLES):
            made.execute(f"CREATE TABLE t{number} (n INTEGER PRIMARY KEY, customer_id INTEGER, word TEXT)")
            made.execute(
                f"INSERT INTO t{number} WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 20000)"
                " SELECT i, 1 + i % 100, 'word ' || i FROM r"
            )
    made.close()
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory, wide: Path) -> AsyncIterator[Machine]:
    """With a source for each test, of which nothing is known before."""
    folder = tmp_path_factory.mktemp("profiles")
    files = {name: folder / f"{name}.sqlite" for name in SHOPS}
    shop = make_shop(folder)
    for file in files.values():
        shutil.copy(shop, file)
    files |= {"wide": wide, "killed": Path(shutil.copy(wide, folder / "killed.sqlite"))}
    sources = {name: {"kind": "sqlite", "path": file} for name, file in files.items()}
    async with running(settings_for(folder, shop, sources=sources)) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def narrow_machine(tmp_path_factory: pytest.TempPathFactory, wide: Path) -> AsyncIterator[Machine]:
    """One that runs a single statement at a time, and reads nothing by itself."""
    folder = tmp_path_factory.mktemp("profiles")
    files = {
        "shop": wide,
        "orders": make_shop(folder),
        "cancelled": Path(shutil.copy(wide, folder / "cancelled.sqlite")),
    }
    sources = {name: {"kind": "sqlite", "path": file} for name, file in files.items()}
    profile = {"automatic": False, "max_rows": 20001}
    async with running(settings_for(folder, wide, sources=sources, concurrency=1, profile=profile)) as started:
        yield started


async def every(machine: Machine, source: str) -> set[tuple[str, str]]:
    schema = await machine.executor.source_schema(source, wait_s=30)
    return {(table.schema, table.name) for table in schema.tables}


async def profiled(machine: Machine, source: str, *, anew: bool = False) -> tuple[Job, SourceProfile]:
    tables = await every(machine, source)
    job = await machine.executor.profile(source, tables, anew=anew)
    job = await machine.until(job, JobState.SUCCEEDED, timeout_s=60)
    return job, await machine.executor.source_profile(source, tables=tables)


async def test_a_profile_says_what_the_tables_hold_and_how_far_it_is(machine):
    job, profile = await profiled(machine, "wide")
    [customers] = [table for table in profile.tables if table.name == "customers"]
    values = [v async for block in machine.executor.listed_values("wide", customers) for v in block]

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


async def test_the_first_who_asks_for_a_profile_sets_the_job_going_and_may_wait_for_it(machine):
    tables = await every(machine, "waited")
    profile = await machine.executor.source_profile("waited", tables=tables, wait_s=30)

    assert [table.row_count for table in profile.tables] == [5000]


async def test_nothing_is_read_by_itself_where_the_configuration_says_so(narrow_machine):
    tables = await every(narrow_machine, "orders")
    unread = await narrow_machine.executor.source_profile("orders", tables=tables, wait_s=1)
    _, read = await profiled(narrow_machine, "orders")

    assert unread.tables == ()
    assert len(read.tables) == 1


async def test_only_the_tables_that_changed_are_read_again_unless_all_are_asked_for(machine):
    _, first = await profiled(machine, "again")
    _, second = await profiled(machine, "again")
    _, third = await profiled(machine, "again", anew=True)
    with sqlite3.connect(machine.settings.sources["again"].path) as made:
        made.execute("INSERT INTO orders VALUES (9000, 'new customer', 1.0)")
    made.close()
    _, fourth = await profiled(machine, "again")

    versions = [profile.tables[0].version for profile in (first, second, third, fourth)]
    assert versions[0] == versions[1]
    assert len(set(versions[1:])) == 3
    assert fourth.tables[0].row_count == 5001


async def test_what_may_not_be_shared_any_more_is_forgotten(machine):
    _, before = await profiled(machine, "forgotten")
    job = await machine.executor.profile("forgotten", set())
    await machine.until(job, JobState.SUCCEEDED)
    everything = await machine.executor.source_profile("forgotten", tables=await every(machine, "forgotten"))
    left = [b async for b in machine.executor.listed_values("forgotten", before.tables[0])]

    assert before.tables[0].listed == ("customer",)
    assert everything.tables == ()
    assert left == []


async def test_profiles_are_no_callers_jobs(machine):
    job, _ = await profiled(machine, "own")
    mine = await machine.executor.list_jobs(owner="test/owner/a")
    with pytest.raises(ExecutorError) as caught:
        await machine.executor.get(job.id, owner="test/owner/a")

    assert mine == []
    assert caught.value.code is ErrorCode.JOB_NOT_FOUND


async def test_a_profile_can_be_cancelled(narrow_machine):
    machine = narrow_machine
    tables = await every(machine, "cancelled")
    holder = await machine.until(await machine.submit(COUNT_FOR_EVER), JobState.RUNNING)
    job = await machine.executor.profile("cancelled", tables)
    await machine.executor.cancel(job.id, owner=job.owner)
    job = await machine.until(job, JobState.CANCELLED)
    again = await machine.executor.profile("cancelled", tables)
    same = await machine.executor.profile("cancelled", tables)
    await machine.executor.cancel(again.id, owner=again.owner)
    await machine.executor.cancel(holder.id, owner=holder.owner)
    await machine.until(holder, JobState.CANCELLED)

    assert job.error is None
    assert again.state is JobState.QUEUED
    assert again.id == same.id != job.id


async def test_a_profile_gives_its_slot_to_callers(narrow_machine):
    machine = narrow_machine
    tables = await every(machine, "shop")
    job = await machine.executor.profile("shop", tables)
    await machine.until(job, JobState.RUNNING)
    asked = [await machine.run(f"SELECT {n}") for n in range(3)]
    job = await machine.until(job, JobState.SUCCEEDED, timeout_s=60)

    assert [one.preview for one in asked] == [[[0]], [[1]], [[2]]]
    assert asked[0].finished_at < job.finished_at
    assert job.attempt > 1
    assert job.notes["tables"]["done"] == TABLES


async def test_a_killed_worker_costs_no_table_that_was_read(machine):
    tables = await every(machine, "killed")
    job = await machine.executor.profile("killed", tables)
    async for seen in machine.executor.watch(job.id, owner=job.owner, timeout_s=30):
        if seen.notes.get("tables", {"done": 0})["done"] >= 10:
            break
    os.kill(machine.fleet.pids()[0], signal.SIGKILL)
    early = await machine.executor.source_profile("killed", tables=tables)
    job = await machine.until(job, JobState.SUCCEEDED, timeout_s=60)
    profile = await machine.executor.source_profile("killed", tables=tables)

    versions = {table.name: table.version for table in profile.tables}
    assert job.attempt == 2
    assert len(versions) == TABLES
    assert early.tables
    assert {t.name: t.version for t in early.tables}.items() <= versions.items()
