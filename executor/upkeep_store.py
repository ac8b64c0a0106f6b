"""Keeps the broker's whole in order: keys agreed on, policies published, death mended, room made. Runs no job.

Threads of servers and workers call it; who may do what only one does at a time, the broker says. Names of states and
the allowed moves are written into the scripts from `executor.jobs`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import cast

import redis

from executor.acts import SYSTEM, Act
from executor.errors import SettingsInvalid
from executor.jobs import JobState
from executor.scripts import Scripts
from executor.settings import ExecutorSettings
from executor.signing import Signer, canonical
from executor.standing import standing

MEMORY_WARN_PERCENT = 75
_MEMORY_KNOWN_S = 60


class UpkeepStore:
    """Thread-safe; calls are tried again for a while when the broker is away."""

    def __init__(self, settings: ExecutorSettings, connection: redis.Redis) -> None:
        self._ns = settings.namespace
        self._settings = settings
        self._redis = connection
        self._run = Scripts(settings, connection, "reap", "lead", "evict", "readers", "publish", "renew")

    def check_key(self, signer: Signer) -> None:
        """Agrees on the signing keys with whoever was here before: one of ours is the one they sign with.

        Raises:
            SettingsInvalid: the servers and workers of this configuration use another key.
        """
        name = f"{self._ns}:key"
        ours = signer.key_id()
        known = cast("str | None", self._redis.get(name))
        if known is None:
            self._redis.set(name, ours, nx=True)
            known = cast("str | None", self._redis.get(name)) or ours
        _agree_on_key(signer, known)
        if known != ours:  # a full broker refuses to set even what is there
            self._redis.set(name, ours)

    def now(self) -> float:
        """The broker's time, in Unix seconds: the one that all processes of a configuration have in common."""
        seconds, micros = self._redis.time()
        return seconds + micros / 1e6

    def publish(
        self, signer: Signer, policy_version: str, published: Mapping[str, str], sources: Mapping[str, str]
    ) -> None:
        """Says what servers go by from now on.

        Args:
            signer: with the configuration's keys.
            policy_version: of the policies; what was checked under another does not run.
            published: what else is in force from now on, for the record: names and their versions.
            sources: by name, the fingerprint of each source; a worker that has another leaves its jobs to others.
        """
        payload, signature = signer.sign({"policy_version": policy_version, "issued_at": self.now()})
        told = {"policy_version": policy_version, **published}
        act = Act("configuration_published", SYSTEM, told)
        content = hashlib.blake2b(canonical(told).encode(), digest_size=16).hexdigest()
        self._run("publish", payload, signature, content, json.dumps(sources), act.what, *act.record(signer))

    def renew_policy(self, signer: Signer) -> None:
        """Signs the word on the policies again where the key that signed it does not sign any more.

        Raises:
            StatementFailed: no key that is accepted has signed it.
        """
        name = f"{self._ns}:policy"
        payload, signature = cast("list[str | None]", self._redis.hmget(name, "payload", "signature"))
        if payload is None or signature is None or signature.startswith(f"{signer.key_id()}."):
            return
        text, renewed = signer.sign(signer.open(payload, signature))
        self._run("renew", signature, text, renewed)

    def is_leader(self, who: str, hold_s: float, *, what: str = "reaper") -> bool:
        """Whether `who` may be `what` for the next `hold_s` seconds: one process at a time may."""
        return bool(self._run("lead", what, who, int(hold_s * 1000)))

    def resign(self, who: str, *, what: str = "reaper") -> None:
        """`who`, if it is `what`, is so no longer: the next that asks may be."""
        self._run("lead", what, who, 0)

    def reap(self) -> list[str]:
        """Mends what death left behind; the ids that moved."""
        return cast("list[str]", self._run("reap", self._settings.attempts, self._settings.claim_timeout_s))

    def note_memory(self) -> int | None:
        """Looks how full the broker's memory is, and keeps that for the jobs' views when it is nearly; percent."""
        told = cast("dict[str, int]", self._redis.info("memory"))
        if not told.get("maxmemory"):
            return None
        percent = 100 * told["used_memory"] // told["maxmemory"]
        name = f"{self._ns}:memory"
        if percent >= MEMORY_WARN_PERCENT:
            self._redis.set(name, percent, ex=_MEMORY_KNOWN_S)
        else:
            self._redis.delete(name)
        return percent

    def standing(self, job_ids: Collection[str]) -> dict[str, tuple[JobState, int]]:
        """State and attempt of each of these jobs that has a row."""
        return standing(self._redis, self._ns, job_ids)

    def referenced(self, job_ids: Collection[str]) -> set[str]:
        """Those of the jobs whose rows other jobs have, too."""
        with self._redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.exists(f"{self._ns}:refs:{job_id}")
            return {i for i, there in zip(job_ids, pipe.execute(), strict=True) if there}

    def inputs_in_use(self) -> set[str]:
        """The jobs whose results an unfinished job reads."""
        return {job_id for told in cast("list[str]", self._run("readers")) for job_id in told.split()}

    def evict(self, job_id: str) -> bool:
        """Says that a finished job's rows go; False when they must stay."""
        return bool(self._run("evict", job_id))


def _agree_on_key(signer: Signer, known: str) -> None:
    """Raises `SettingsInvalid` when `known`, the id of the key that another process signs with, is none of ours."""
    if signer.ring().find(known) is None:
        raise SettingsInvalid(
            message="The signing key differs from the one this configuration's other processes use.",
            hint="Give servers and workers the same [executor] signing_key.",
        )
