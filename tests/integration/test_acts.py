"""Refusals, what is published and rotated keys, on a running configuration: on record, and nothing stands still."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
import redis
from machines import COUNT_A_WHILE, OWNER, running, settings_for

from executor import (
    GENERATE,
    Answered,
    Executor,
    ExecutorError,
    ExecutorSettings,
    JobState,
    Lease,
    Statement,
    Wanted,
    open_broker,
    signing_keys,
)
from executor.auditing import export_audit
from executor.connections import connect_sync
from executor.history.drainer import Drainer
from executor.history.place import open_history
from executor.history.stream import EventStream
from executor.history.verifying import verify
from executor.signing import Signer
from executor.upkeep_store import UpkeepStore
from mcp_server.machine import running_machine
from mcp_server.settings import McpServerSettings, Settings
from mcp_server.sql import StatementRefused
from mcp_server.submission import checked_statement


def recorded(settings: ExecutorSettings, *what: str) -> list[dict[str, Any]]:
    """The rows of these kinds, as an export has them."""
    lines = [json.loads(line) for line in export_audit(settings, signing_keys(settings), Wanted(what=what))]
    return lines[:-1]


async def until_drained(executor: Executor) -> None:
    async with asyncio.timeout(30):
        while (await executor.history_state())[1]:
            await asyncio.sleep(0.05)


async def test_a_flood_of_refusals_is_counted_and_other_records_are_not_driven_out(tmp_path: Path, shop: Path):
    settings = settings_for(tmp_path, shop)
    refusal = {"source": "shop", "dialect": "sqlite", "code": "not_read_only", "message": "no", "position": 1}
    with open_broker(settings) as url:
        async with Executor(settings, url, signing_keys(settings), policy_version="p1") as executor:
            for number in range(100):
                await executor.tell_refusal(owner="a/b/flood", sql=f"DROP TABLE t{number} -- {'x' * 5_000}", **refusal)
            await executor.tell_refusal(owner="a/b/calm", sql="DROP TABLE u", **refusal)
            EventStream(settings, connect_sync(url)).tell_counted()
            await until_drained(executor)
            report = await executor.verify_history()

    refused = recorded(settings, "refused")
    assert [line["who"]["subject"] for line in refused] == [*["flood"] * 60, "calm"]
    assert all(len(line["told"]["asked"]) <= 2_000 for line in refused)
    assert [(line["told"]["asked"], line["told"]["policy_version"]) for line in refused[-1:]] == [
        ("DROP TABLE u", "p1")
    ]
    assert [line["told"] for line in recorded(settings, "refused_more")] == [{"owner": "a/b/flood", "refused": 40}]
    assert report.holds


async def test_what_is_published_is_on_record_once(tmp_path: Path, shop: Path):
    settings = settings_for(tmp_path, shop)
    with open_broker(settings) as url:
        for version, published in [("p1", {}), ("p1", {}), ("p2", {}), ("p2", {"glossary": "g1"})]:
            keys = signing_keys(settings)
            async with Executor(settings, url, keys, policy_version=version, published=published) as executor:
                await until_drained(executor)

    told = [line["told"] for line in recorded(settings, "configuration_published")]
    assert [(one["policy_version"], one.get("glossary")) for one in told] == [("p1", None), ("p2", None), ("p2", "g1")]


async def test_a_worker_that_is_stopped_in_order_is_on_record(tmp_path: Path, shop: Path):
    settings = settings_for(tmp_path, shop)
    async with running(settings) as machine:
        await machine.run("SELECT 1 AS one")
        [pid] = machine.fleet.pids()
        os.kill(pid, signal.SIGTERM)
        async with asyncio.timeout(30):
            while not recorded(settings, "worker_drained"):
                await asyncio.sleep(0.1)

    [line] = recorded(settings, "worker_drained")
    assert (line["who"]["subject"], line["told"]["worker"].startswith("fleet:")) == ("system", True)


async def test_a_worker_of_questions_that_is_stopped_in_order_is_on_record(tmp_path: Path, shop: Path):
    async def body(lease: Lease) -> Answered:
        raise AssertionError(lease)  # nobody asks

    settings = settings_for(tmp_path, shop)
    async with running(settings, workers=0) as machine:
        drain = asyncio.Event()
        service = asyncio.create_task(machine.executor.serve(GENERATE, body, slots=1, drain=drain, worker="scribe"))
        async with asyncio.timeout(30):
            while not await machine.executor.workers():
                await asyncio.sleep(0.05)
        drain.set()
        assert await service
        await until_drained(machine.executor)

    [line] = recorded(settings, "worker_drained")
    assert (line["who"]["subject"], line["told"]["worker"]) == ("system", "scribe")


async def test_jobs_from_before_a_rotation_run_and_are_read_until_their_key_is_removed(tmp_path: Path, shop: Path):
    settings = settings_for(tmp_path, shop, concurrency=1)
    async with running(settings, policy_version="p1") as machine:
        going = await machine.submit(COUNT_A_WHILE)
        await machine.until(going, JobState.RUNNING)
        waiting = await machine.submit("SELECT 1 AS one")
        keys = signing_keys(settings)
        ring, _ = keys.change(lambda ring: ring.rotated(now=time.time(), after_s=0, accepted_s=3_600, kept_s=1e9))
        old, new = ring.keys
        with redis.Redis.from_url(machine.broker_url, decode_responses=True) as broker:
            async with asyncio.timeout(20):
                while not broker.hget(f"{settings.namespace}:policy", "signature").startswith(new.id):
                    await asyncio.sleep(0.05)
            assert broker.get(f"{settings.namespace}:key") == new.id
        after = await machine.run("SELECT 2 AS two")
        ended = [await machine.until(job, JobState.SUCCEEDED) for job in (going, waiting)]
        await until_drained(machine.executor)
        keys.change(lambda ring: ring.without(old.id, now=time.time()))
        machine.executor._signer.look()
        with pytest.raises(ExecutorError):
            await machine.executor.get(waiting.id, owner=OWNER)
        still = await machine.executor.get(after.id, owner=OWNER)
        report = await machine.executor.verify_history()

    assert [job.state for job in (*ended, after, still)] == [JobState.SUCCEEDED] * 4
    assert report.holds


async def test_with_literals_redacted_no_literal_is_in_the_history(tmp_path: Path):
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE people AS SELECT 1 AS id, 'canary' AS name")
    told = {"state_dir": tmp_path / "state", "sources": {"shop": {"kind": "duckdb", "path": path}}}
    executor = ExecutorSettings.model_validate({**told, "history": {"literals": "redact"}})
    settings = Settings(executor, McpServerSettings())
    asked = {
        "run": "SELECT id FROM people WHERE name = 'canary' -- canary",
        "failed": "SELECT CAST(name || 'canary' AS INTEGER) AS n FROM people",
        "refused": "DROP TABLE people; SELECT 'canary'",
        "misspelt": 'SELECT id FROM people WHERE name = "canary"',
        "broken": "SELECT 'canary",
    }
    async with running_machine(settings, workers=1, submits=True) as machine:
        refused: list[str] = []
        for sql in asked.values():
            try:
                statement = await checked_statement(
                    machine.executor,
                    machine.policies,
                    settings.principal,
                    sql,
                    source="shop",
                    limits=executor.limits.limits(),
                )
            except StatementRefused as error:
                refused.append(error.code)
                continue
            job = await machine.executor.submit(statement, owner=settings.principal.owner)
            await machine.executor.wait(job.id, owner=job.owner, timeout_s=40)
        await until_drained(machine.executor)

    submits = [line["told"] for line in recorded(executor, "submitted") if line["told"]["kind"] == "query"]
    failed = [json.loads(line["content"]["error"]) for line in recorded(executor, "failed")]
    signer = Signer(signing_keys(executor))
    written = b"".join(file.read_bytes() for file in executor.home.glob("history.sqlite*"))
    assert len(refused) == 3
    assert submits[0]["asked"] == "SELECT id FROM people WHERE name = ?"
    assert "?" in submits[0]["ran"]
    assert signer.is_mac(bytes.fromhex(submits[0]["asked_hash"]), "recorded sql", asked["run"].encode())
    assert [error["code"] for error in failed] == ["statement_failed"]
    assert len(recorded(executor, "refused")) == 3
    assert b"people" in written
    assert b"canary" not in written


KILLED = """
import os, signal, sys
from executor import ExecutorSettings, signing_keys
from executor.history import writing
from executor.history.drainer import Drainer
from executor.history.stream import EventStream
from executor.signing import Signer
from executor.connections import connect_sync
from executor.upkeep_store import UpkeepStore

settings, url, point = ExecutorSettings.model_validate_json(sys.argv[1]), sys.argv[2], sys.argv[3]

def dies(owner, name, after):
    inner = getattr(owner, name)
    def killed(*args, **more):
        if after:
            inner(*args, **more)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, killed)

dies(*{
    "read": (EventStream, "next", True),
    "before the rows": (writing, "append", False),
    "before the commit": (writing, "append", True),
    "committed": (writing.HistoryWriter, "write", True),
    "before the witness": (EventStream, "keep_witness", False),
    "witnessed": (EventStream, "keep_witness", True),
}[point])
connection = connect_sync(url)
with Drainer(settings, UpkeepStore(settings, connection), connection, Signer(signing_keys(settings))) as drainer:
    drainer._thread.join(60)
"""

POINTS = ["read", "before the rows", "before the commit", "committed", "before the witness", "witnessed"]


async def test_a_drainer_killed_at_any_point_leaves_every_event_once(tmp_path: Path, shop: Path):
    settings = settings_for(tmp_path, shop)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    statement = Statement("shop", "SELECT 1", "SELECT 1", settings.limits.limits())
    ids: list[str] = []
    with open_broker(settings) as url:
        with redis.Redis.from_url(url) as broker:
            lease = f"{settings.namespace}:drainer"
            for point in POINTS:
                broker.set(lease, "the test", px=60_000)
                async with Executor(settings, url, signing_keys(settings)) as executor:
                    ids += [(await executor.submit(statement, owner=OWNER, fresh=True)).id for _ in range(3)]
                broker.delete(lease)
                command = [sys.executable, "-c", KILLED, settings.model_dump_json(), url, point]
                died = await asyncio.to_thread(subprocess.run, command, env=environment, timeout=60, check=False)
                assert died.returncode == -signal.SIGKILL, point
            broker.delete(lease)
        connection = connect_sync(url)
        signer = Signer(signing_keys(settings))
        with Drainer(settings, UpkeepStore(settings, connection), connection, signer):
            async with asyncio.timeout(30):
                while [line["job_id"] for line in recorded(settings, "submitted") if line["job_id"] in ids] != ids:
                    await asyncio.sleep(0.05)
                while EventStream(settings, connection).witness(signer) is None:
                    await asyncio.sleep(0.05)
        witness = EventStream(settings, connection).witness(signer)
        engine = open_history(settings)
        report = verify(engine, signer, settings.namespace, witness)
        engine.dispose()

    assert report.holds, report.message
    assert report.remarks == ()
