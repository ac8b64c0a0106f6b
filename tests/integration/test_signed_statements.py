"""Whoever can write to the broker can move a signed statement about, and make it run nowhere but where it belongs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis
from machines import OWNER, Machine, running, settings_for

from executor import CostGate, ErrorCode, ExecutorSettings, Job, JobState, signing_keys
from executor.signing import Signer

MALLORY = "test/owner/mallory"


@pytest.fixture
def settings(tmp_path, shop, broker) -> ExecutorSettings:
    return settings_for(tmp_path, shop, broker_url=broker)


class Forger:
    """Somebody who can read and write the broker, and has no key."""

    def __init__(self, machine: Machine) -> None:
        self._namespace = machine.settings.namespace
        self._redis = redis.Redis.from_url(machine.broker_url, decode_responses=True)

    def __enter__(self) -> Forger:
        return self

    def __exit__(self, *_: object) -> None:
        self._redis.close()

    def row(self, job: Job) -> dict[str, str]:
        return self._redis.hgetall(f"{self._namespace}:job:{job.id}")  # pyright: ignore[reportReturnType]

    def change(self, job: Job, **fields: str) -> None:
        self._redis.hset(f"{self._namespace}:job:{job.id}", mapping=fields)

    @property
    def policy(self) -> dict[str, str]:
        return self._redis.hgetall(f"{self._namespace}:policy")  # pyright: ignore[reportReturnType]

    @policy.setter
    def policy(self, fields: dict[str, str]) -> None:
        self._redis.delete(f"{self._namespace}:policy")
        if fields:
            self._redis.hset(f"{self._namespace}:policy", mapping=fields)


Forge = Callable[[Forger, Job, Job], None]


def _under_another_job(forger: Forger, stolen: Job, replayed: Job) -> None:
    row = forger.row(stolen)
    forger.change(replayed, payload=row["payload"], signature=row["signature"])


def _under_another_owner(forger: Forger, _stolen: Job, replayed: Job) -> None:
    forger.change(replayed, owner=MALLORY)


def _under_another_source(forger: Forger, _stolen: Job, replayed: Job) -> None:
    forger.change(replayed, source="other")


def _with(field: str, value: object) -> Forge:
    def forge(forger: Forger, _stolen: Job, replayed: Job) -> None:
        changed = {**json.loads(forger.row(replayed)["payload"]), field: value}
        forger.change(replayed, payload=json.dumps(changed, sort_keys=True, separators=(",", ":")))

    return forge


FORGED: dict[str, Forge] = {
    "under another job": _under_another_job,
    "under another owner": _under_another_owner,
    "under another source": _under_another_source,
    "with other SQL": _with("sql", "SELECT 666"),
    "with another owner": _with("owner", MALLORY),
    "with no cost gate": _with("cost", None),
    "with a yes": _with("confirmed", 1e18),
    "with other policies": _with("policy_version", "another"),
    "with more time": _with("not_after", 1e12),
    "with other limits": _with("limits", {}),
    "with other session settings": _with("session", [["app.tenant", "another"]]),
    "with a higher priority": _with("priority", 100),
    "to share with others": _with("share", "another"),
    "with another proof": _with("proof", [{"table": "t"}]),
}


async def test_a_statement_runs_nowhere_but_where_it_belongs_and_in_no_other_words(settings):
    gate = CostGate(refuse=1e9)
    async with running(settings, workers=0) as machine:
        stolen = await machine.submit("SELECT 'secret' AS s")
        statement = replace(machine.statement("SELECT 1 AS one"), cost=gate)
        replayed = {name: await machine.executor.submit(statement, owner=OWNER) for name in FORGED}
        late = await machine.submit("SELECT 2 AS two")
        with Forger(machine) as forger:
            for name, forge in FORGED.items():
                forge(forger, stolen, replayed[name])
            # with the key: what is old cannot be had otherwise without waiting for a day
            signer = Signer(signing_keys(settings))
            payload = signer.open(*(forger.row(late)[field] for field in ("payload", "signature")))
            text, signature = signer.sign({**payload, "not_after": time.time() - 1})
            forger.change(late, payload=text, signature=signature)
    async with running(settings) as machine:
        with Forger(machine) as forger:
            ended = {name: await _ended(machine, forger, job) for name, job in replayed.items()}
            assert await _ended(machine, forger, late) == (ErrorCode.STATEMENT_EXPIRED, [])
        honest = await machine.until(stolen, JobState.SUCCEEDED)
    assert ended == dict.fromkeys(FORGED, (ErrorCode.STATEMENT_FAILED, []))
    assert honest.preview == [["secret"]]


async def _ended(machine: Machine, forger: Forger, job: Job) -> tuple[str, list[list[Any]]]:
    """How a job ends, as its row says: its error's code and its rows."""
    until = time.monotonic() + 30
    while (row := forger.row(job))["state"] in ("queued", "running"):
        assert time.monotonic() < until, row
        await machine.executor.workers_alive()
    error = json.loads(row["error"]) if row.get("error") else {}
    return error.get("code", ""), json.loads(row.get("preview", "[]"))


async def test_a_statement_does_not_run_after_a_change_of_the_policies_whose_older_word_cannot_be_brought_back(
    settings,
):
    async with running(settings, workers=0, policy_version="before") as machine:
        jobs = [await machine.submit("SELECT 'secret' AS s") for _ in range(2)]
        with Forger(machine) as forger:
            before = forger.policy
    async with running(settings, policy_version="after") as machine:
        heard = await machine.run("SELECT 1 AS one")  # the worker has heard of the new ones by now
        with Forger(machine) as forger:
            forger.policy = before
            replayed = await machine.submit("SELECT 2 AS two")
            row = forger.row(jobs[0])
            forger.change(replayed, payload=row["payload"], signature=row["signature"])
            forger.change(jobs[0], owner=jobs[0].owner)
            kept = await machine.run("SELECT 3 AS three")
            jobs = [await machine.until(job, JobState.FAILED) for job in jobs]
    assert heard.preview == [[1]]
    assert kept.preview == [[3]]
    assert [job.error.code for job in jobs if job.error] == [ErrorCode.POLICY_CHANGED] * 2


async def test_without_the_key_neither_a_word_on_the_policies_nor_a_schema_is_believed(settings):
    async with running(settings) as machine:
        # read beforehand: reading a schema is an order, too, which would be refused as the statements below are
        true = await machine.executor.source_schema("shop", wait_s=20)
    async with running(settings, policy_version="some") as machine:
        # without a word on the policies nothing runs that was checked under some
        with Forger(machine) as forger:
            word, forger.policy = forger.policy, {}
            unheard = await machine.run("SELECT 1 AS one")
            forger.policy = {"payload": '{"issued_at":9e99,"policy_version":"some"}', "signature": "0" * 64}
            forged_word = await machine.run("SELECT 2 AS two")
            forger.policy = word
        # the key of a single machine is made by itself, and its owner's only
        assert (settings.home / "signing.key").stat().st_mode & 0o777 == 0o600
        assert settings.home.stat().st_mode & 0o077 == 0
        with redis.Redis.from_url(machine.broker_url, decode_responses=True) as forger:
            key = f"{settings.namespace}:schema:shop:{settings.fingerprint_of('shop')}"
            signed = forger.hgetall(key)
            forged = signed["payload"].replace("customer", "anything")
            assert forged != signed["payload"]
            forger.hset(key, "payload", forged)
    async with running(settings) as machine:
        assert (await machine.executor.source_schema("shop", wait_s=20)).hash() == true.hash()
    assert unheard.error is not None
    assert unheard.error.code is ErrorCode.POLICY_CHANGED
    assert forged_word.error is not None
    assert forged_word.error.code is ErrorCode.STATEMENT_FAILED
