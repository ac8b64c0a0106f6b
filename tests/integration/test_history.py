"""Every job is on record, once, whatever dies or is flushed in between. Brokers, databases and kills are real."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from fixed_keys import signer_of
from machines import COUNT_FOR_EVER, OWNER, running, settings_for
from sqlalchemy import select, text, update

from executor import ErrorCode, Executor, ExecutorError, JobState, SettingsInvalid, Statement, open_broker, signing_keys
from executor.connections import connect_sync
from executor.history.place import open_history
from executor.history.schema import STEPS, migrate
from executor.history.stream import EventStream
from executor.history.tables import audit, jobs, metadata, streams
from executor.history.verifying import verify
from executor.history.writing import Fenced, HistoryWriter
from executor.results.opening import open_results
from executor.signing import Signer


@pytest.fixture(params=["sqlite", "postgres"])
def history(request: pytest.FixtureRequest, tmp_path) -> Iterator[dict[str, object]]:
    """The ``[executor.history]`` table of a database of the test's own."""
    if request.param == "sqlite":
        yield {"url": f"sqlite:///{tmp_path / 'history.sqlite'}"}
        return
    server = request.getfixturevalue("postgres_url")
    name = f"history_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield {"url": urlsplit(server)._replace(path=f"/{name}").geturl()}
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def until_drained(executor, timeout_s: float = 20) -> None:
    """Waits until no event is in the stream that is not in the history."""
    async with asyncio.timeout(timeout_s):
        while (await executor.history_state())[1] or (await executor.history_state())[0].trouble:
            await asyncio.sleep(0.05)


async def until_recorded(executor, job, *states, timeout_s: float = 20):
    """The job as the history knows it, once it knows it in one of the states."""
    async with asyncio.timeout(timeout_s):
        while (found := await executor.recorded(job.id, owner=job.owner)) is None or found.state not in states:
            await asyncio.sleep(0.05)
    return found


def rows_of(settings, table) -> list:
    engine = open_history(settings)
    with engine.connect() as connection:
        rows = list(connection.execute(select(table).order_by(*table.primary_key)))
    engine.dispose()
    return rows


def flush(machine) -> None:
    with redis.Redis.from_url(machine.broker_url) as connection:
        connection.flushall()


async def test_what_was_recorded_answers_for_a_broker_that_was_flushed(tmp_path, shop, history):
    settings = settings_for(tmp_path, shop, history=history)
    async with running(settings) as machine:
        executor = machine.executor
        whole = await machine.run("SELECT id FROM orders WHERE id <= 3 ORDER BY id")
        wrong = await machine.run("SELECT nope FROM orders")
        gone = await machine.run("SELECT 2 AS n")
        going = await machine.until(await machine.submit(COUNT_FOR_EVER), JobState.RUNNING)
        await until_drained(executor)
        recorded = await executor.recorded(whole.id, owner=OWNER)
        open_results(settings).delete(gone.id)
        flush(machine)

        again = await executor.get(whole.id, owner=OWNER)
        page = await executor.page(whole.id, owner=OWNER, limit=2)
        rest = await executor.page(whole.id, owner=OWNER, cursor=page.next_cursor)
        failed = await executor.get(wrong.id, owner=OWNER)
        told = []
        for job, owner in ((going, OWNER), (gone, OWNER), (going, "another"), (whole, "another"), (wrong, "another")):
            with pytest.raises(ExecutorError) as caught:
                await executor.get(job.id, owner=owner)
            told.append((caught.value.code, caught.value.message.replace(job.id, "ID"), caught.value.hint))
        settled = await until_recorded(executor, going, JobState.FAILED)
        listed = await executor.list_jobs(owner=OWNER)
        report = await executor.verify_history()

    assert recorded is not None
    assert (recorded.owner, recorded.source, recorded.shown_sql) == (OWNER, "shop", whole.shown_sql)
    assert (recorded.state, recorded.attempt, recorded.rows, recorded.bytes) == ("succeeded", 1, 3, whole.bytes)
    assert (recorded.submitted_at, recorded.started_at, recorded.finished_at) == pytest.approx(
        (whole.submitted_at, whole.started_at, whole.finished_at)
    )
    assert (again.state, again.preview, again.summary) == (JobState.SUCCEEDED, [[1], [2], [3]], whole.summary)
    assert page.rows + rest.rows == [[1], [2], [3]]
    assert (failed.state, failed.error.code) == (JobState.FAILED, ErrorCode.STATEMENT_FAILED)
    assert [code for code, *_ in told] == [
        ErrorCode.JOB_LOST,
        ErrorCode.RESULT_EXPIRED,
        *[ErrorCode.JOB_NOT_FOUND] * 3,
    ]
    assert len(set(told[2:])) == 1
    assert told[0][2]
    assert settled.error.code is ErrorCode.JOB_LOST
    assert [(job.id, job.state) for job in listed] == [
        (going.id, JobState.FAILED),
        (gone.id, JobState.SUCCEEDED),
        (wrong.id, JobState.FAILED),
        (whole.id, JobState.SUCCEEDED),
    ]
    assert report.holds


async def test_while_the_history_is_away_events_wait_and_a_list_reaches_beyond_what_the_broker_keeps(tmp_path, shop):
    nowhere = tmp_path / "nowhere"
    nowhere.write_text("a file where a folder should be")
    settings = settings_for(tmp_path, shop, result_ttl_s=1, history={"url": f"sqlite:///{nowhere}/history.sqlite"})
    async with running(settings) as machine:
        job = await machine.run("SELECT 1 AS kept")
        state, waiting = await machine.executor.history_state()
        with redis.Redis.from_url(machine.broker_url) as connection:
            async with asyncio.timeout(20):
                while connection.exists(f"{machine.settings.namespace}:job:{job.id}"):
                    await asyncio.sleep(0.05)
        nowhere.unlink()
        recorded = await until_recorded(machine.executor, job, JobState.SUCCEEDED)
        new = await machine.run("SELECT 1 AS new")
        listed = await machine.executor.list_jobs(owner=OWNER)
        others = await machine.executor.list_jobs(owner="another")

    assert [found.id for found in listed] == [new.id, job.id]
    assert listed[1].shown_sql == "SELECT 1 AS kept"
    assert others == []
    assert (job.state, state.trouble != "", waiting > 0) == (JobState.SUCCEEDED, True, True)
    assert recorded.shown_sql == "SELECT 1 AS kept"


@pytest.fixture
def broker_of_settings(tmp_path, shop, history):
    settings = settings_for(tmp_path, shop, history=history)
    with open_broker(settings) as url:
        yield settings, url


async def submit_some(settings, url: str, count: int) -> list[str]:
    """Jobs that nobody runs: each is one event. The executor's own drainer is kept from starting by a lease."""
    with redis.Redis.from_url(url) as connection:
        connection.set(f"{settings.namespace}:drainer", "the test", px=60_000)
    async with Executor(settings, url, signing_keys(settings)) as executor:
        statement = Statement("shop", "SELECT 1", "SELECT 1", settings.limits.limits())
        return [(await executor.submit(statement, owner=OWNER)).id for _ in range(count)]


def drain_all(settings, url: str, both_took_over: Barrier | None = None, *, batch: int = 7) -> int:
    """Takes the chain over, waits for the other if there is one, writes all; how often it was fenced off."""
    engine = open_history(settings)
    stream = EventStream(settings, connect_sync(url))
    signer = Signer(signing_keys(settings))
    fenced = 0
    while True:
        try:
            writer = HistoryWriter(engine, signer, settings.namespace)
            place = writer.place(stream.epoch())
            if both_took_over is not None:
                both_took_over.wait(20)
                both_took_over = None
            while True:
                found = stream.next(place.epoch, place.position, batch)
                assert found is not None
                place = writer.write(place, found, now=time.time())
                if not found.events:
                    engine.dispose()
                    return fenced
        except Fenced:
            fenced += 1


async def test_a_process_that_leaves_has_recorded_its_jobs_and_lets_the_next_lead_at_once(broker_of_settings):
    settings, url = broker_of_settings
    async with Executor(settings, url, signing_keys(settings)) as executor:
        job = await executor.submit(Statement("shop", "SELECT 1", "SELECT 1", settings.limits.limits()), owner=OWNER)

    assert job.id in [row.job_id for row in rows_of(settings, jobs)]
    with redis.Redis.from_url(url) as connection:
        assert not connection.exists(f"{settings.namespace}:drainer", f"{settings.namespace}:reaper")


async def test_two_drainers_at_once_write_each_event_once(broker_of_settings):
    settings, url = broker_of_settings
    ids = await submit_some(settings, url, 100)
    both = Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        fenced = [each.result() for each in [pool.submit(drain_all, settings, url, both) for _ in range(2)]]
    engine = open_history(settings)
    report = verify(engine, Signer(signing_keys(settings)), settings.namespace)
    engine.dispose()

    submitted = [row.job_id for row in rows_of(settings, audit) if json.loads(row.content)["what"] == "submitted"]
    assert sum(fenced) > 0
    assert [job for job in submitted if job in set(ids)] == ids
    assert len(submitted) == len(set(submitted))
    assert report.holds


async def test_a_drainer_killed_between_commit_and_trim_leaves_nothing_to_be_written_twice(broker_of_settings):
    settings, url = broker_of_settings
    ids = await submit_some(settings, url, 20)
    program = (
        "import json, os, signal, sys\n"
        "from executor import ExecutorSettings, signing_keys\n"
        "from executor.history.place import open_history\n"
        "from executor.history.stream import EventStream\n"
        "from executor.history.writing import HistoryWriter\n"
        "from executor.signing import Signer\n"
        "from executor.connections import connect_sync\n"
        "settings = ExecutorSettings.model_validate_json(sys.argv[1])\n"
        "writer = HistoryWriter(open_history(settings), Signer(signing_keys(settings)), settings.namespace)\n"
        "stream = EventStream(settings, connect_sync(sys.argv[2]))\n"
        "place = writer.place(stream.epoch())\n"
        "writer.write(place, stream.next(place.epoch, place.position, 9), now=0.0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, settings.model_dump_json(), url]
    killed = await asyncio.to_thread(subprocess.run, command, env=environment, timeout=60, check=False)
    with redis.Redis.from_url(url) as connection:
        untrimmed = connection.xlen(f"{settings.namespace}:events")
    drain_all(settings, url)

    submitted = [row.job_id for row in rows_of(settings, audit)]
    assert killed.returncode == -signal.SIGKILL
    assert untrimmed >= 20
    assert [job for job in submitted if job in set(ids)] == ids
    assert len(submitted) == len(set(submitted))


async def test_events_that_were_dropped_are_recorded_as_a_gap(tmp_path, shop):
    settings = settings_for(tmp_path, shop)
    with open_broker(settings) as url:
        await submit_some(settings, url, 10)
        drain_all(settings, url)
        ids = await submit_some(settings, url, 10)
        with redis.Redis.from_url(url) as connection:
            connection.xtrim(f"{settings.namespace}:events", maxlen=3, approximate=False)
            added = connection.xinfo_stream(f"{settings.namespace}:events")["entries-added"]
        drain_all(settings, url)

    told = [json.loads(row.content) for row in rows_of(settings, audit)]
    gap = [content for content in told if content["what"] == "gap"]
    assert [content["events"] for content in gap] == [added - (len(told) - 1)]
    kept = [row.job_id for row in rows_of(settings, audit) if row.job_id in ids]
    assert kept
    assert kept == ids[-len(kept) :]


async def test_records_take_a_bounded_part_of_the_broker(tmp_path, shop):
    settings = settings_for(tmp_path, shop, embedded_memory_mb=16)
    with open_broker(settings) as url:
        await submit_some(settings, url, 1)
        long = "SELECT '" + "x" * 19_000 + "'"
        async with Executor(settings, url, signing_keys(settings)) as executor:
            statement = Statement("shop", "SELECT 1", long, settings.limits.limits())
            for _ in range(250):
                await executor.submit(statement, owner=OWNER)
        with redis.Redis.from_url(url) as connection:
            size = connection.memory_usage(f"{settings.namespace}:events", samples=0)

    assert 500_000 < size < 3_000_000


async def test_a_changed_row_breaks_the_chain_and_expiry_does_not(broker_of_settings):
    settings, url = broker_of_settings
    signer = Signer(signing_keys(settings))
    await submit_some(settings, url, 10)
    drain_all(settings, url)
    now = time.time()
    engine = open_history(settings)
    writer = HistoryWriter(engine, signer, settings.namespace)
    middle = rows_of(settings, audit)[4].at
    gone = writer.expire(middle, now=now)
    expired = verify(engine, signer, settings.namespace)
    other_key = verify(engine, signer_of("k"), settings.namespace)
    with engine.begin() as connection:
        connection.execute(update(audit).where(audit.c.seq == 7).values(content='{"what":"submitted"}'))
    changed = verify(engine, signer, settings.namespace)
    engine.dispose()

    assert gone > 0
    assert (expired.holds, expired.first) == (True, gone + 1)
    assert not other_key.holds
    assert (changed.holds, changed.broken_at) == (False, 7)


async def test_a_chain_rewritten_without_the_key_is_told_for_ever(tmp_path, shop):
    settings = settings_for(tmp_path, shop)
    signer = Signer(signing_keys(settings))
    with open_broker(settings) as url:
        await submit_some(settings, url, 5)
        drain_all(settings, url)
        engine = open_history(settings)
        forger = HistoryWriter(engine, signer_of("f"), settings.namespace)
        forger.settle(dict.fromkeys(forger.unfinished()[:1], _lost()), now=time.time())
        await submit_some(settings, url, 1)
        drain_all(settings, url)
        report = verify(engine, signer, settings.namespace)
        engine.dispose()

    assert not report.holds
    assert report.broken_at is not None


def _lost():
    from executor.history.stream import Told

    return Told()


async def test_a_record_that_was_not_signed_is_on_record_and_nobody_s(tmp_path, shop):
    settings = settings_for(tmp_path, shop)
    with open_broker(settings) as url:
        await submit_some(settings, url, 1)
        with redis.Redis.from_url(url, decode_responses=True) as connection:
            stream = f"{settings.namespace}:events"
            forged = connection.xrange(stream)[-1][1]
            record = {**json.loads(forged["record"]), "owner": "victim"}
            forged |= {"record": json.dumps(record, sort_keys=True, separators=(",", ":"))}
            connection.xadd(stream, {**forged, "job": "0000A-0000B-0000C-0000D-E"})
        drain_all(settings, url)

    rows = rows_of(settings, jobs)
    assert {row.owner for row in rows if row.job_id == "0000A-0000B-0000C-0000D-E"} == {""}
    assert any("0000A" in row.job_id and "victim" in row.content for row in rows_of(settings, audit))


@pytest.mark.parametrize(
    "entry",
    [
        {"any": "thing"},
        {"job": "0000A-0000B-0000C-0000D-E", "from": "queued", "to": "running", "reason": "claimed", "at": "nan"},
        {"job": "0000A-0000B-0000C-0000D-E", "from": "", "to": "queued", "reason": "a\0b", "at": "1"},
        {"job": "", "from": "", "to": "act", "reason": "x", "at": "1", "attempt": "9" * 30},
        {"job": "", "from": "", "to": "act", "reason": "x", "at": "1", "v": "new"},
        {"job": "", "from": "a", "to": "failed", "reason": "x", "at": "1", "error": "[no JSON"},
        {"job": "", "from": "", "to": "act", "reason": b"\xff\xfe", "at": "1", b"\xc3": "x"},
    ],
)
async def test_an_entry_that_nobody_can_read_is_on_record_and_holds_up_nothing(broker_of_settings, entry):
    settings, url = broker_of_settings
    with redis.Redis.from_url(url, decode_responses=True) as connection:
        connection.xadd(f"{settings.namespace}:events", entry)
    [after] = await submit_some(settings, url, 1)
    drain_all(settings, url)

    kept = rows_of(settings, audit)
    assert after in [row.job_id for row in kept]
    assert [row.job_id for row in kept if "forged" in row.content] == [""]


async def test_programs_that_start_at_once_make_the_tables_once(tmp_path, shop, history):
    settings = settings_for(tmp_path, shop, history=history)
    with ThreadPoolExecutor(6) as pool:
        for engine in pool.map(lambda _: open_history(settings), range(6)):
            engine.dispose()
    engine = open_history(settings)
    with engine.begin() as connection:
        found = metadata.__class__()
        found.reflect(connection)
        assert {t.name: set(t.columns.keys()) for t in found.sorted_tables} == {
            t.name: set(t.columns.keys()) for t in metadata.sorted_tables
        }
        connection.execute(text(f"UPDATE awaitsql_history_version SET version = {len(STEPS) + 1}"))
    with pytest.raises(SettingsInvalid) as caught:
        migrate(engine)
    engine.dispose()

    assert "newer program" in caught.value.hint
    assert rows_of_version(caught.value.message) == len(STEPS) + 1


def rows_of_version(message: str) -> int:
    return int(message.partition("version ")[2].partition(";")[0])


async def test_a_broker_that_comes_back_with_an_older_state_is_told(tmp_path, shop):
    settings = settings_for(tmp_path, shop)
    with open_broker(settings) as url:
        await submit_some(settings, url, 5)
        drain_all(settings, url)
        with redis.Redis.from_url(url) as connection:
            stream = f"{settings.namespace}:events"
            last = connection.xinfo_stream(stream)["last-generated-id"]
            connection.delete(stream)
            ids = await submit_some(settings, url, 2)
        drain_all(settings, url)

    told = [json.loads(row.content) for row in rows_of(settings, audit)]
    assert [content["committed"] for content in told if content["what"] == "rewound"] == [last.decode()]
    assert set(ids) <= {row.job_id for row in rows_of(settings, audit)}
    assert len(rows_of(settings, streams)) == 1
