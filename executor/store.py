"""The workers' half of the broker: jobs claimed, told of, ended. One script in ``lua/`` a move, atomic there.

Names of states and the allowed moves are written into the scripts from `executor.jobs`. The servers' half is
`executor.client_store`, and what keeps the whole in order `executor.upkeep_store`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import cast

import redis

from executor.acts import SYSTEM, Act
from executor.jobs import JobState, StopSeen
from executor.profile_store import ProfileStore
from executor.schema_store import opened_schema, schema_key, signed_schema
from executor.scripts import Scripts
from executor.settings import RECORD_VERSION, ExecutorSettings
from executor.signing import Signer
from executor.standing import standing

log = logging.getLogger(__name__)

_STOP_AGAIN_S = 10.0
_STOP_KEPT_S = 3600.0
"""How long after a failure a statement is tried to be stopped again, and how long at all."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker gets for a ticket: the signed payload, when the job must be over, whose row and source it is.

    `ends_at` is of this process's `time.monotonic`: the clock on the worker's wall decides nothing. So is `sure_until`:
    until then the lease is this worker's, though no beat was told, and that with half of its time to spare.
    `policy` is the version of the policies as some server signed it, with its signature; both empty where none did.
    `answers` is what the job was told so far; `executor.answering.opened_answers` reads it.
    `waited_s` is how long it was in line, `trace` the context of the span that it was submitted in.
    """

    payload: str
    signature: str
    ends_at: float
    owner: str
    source: str
    policy: tuple[str, str]
    answers: str
    waited_s: float
    trace: str
    sure_until: float


@dataclass(frozen=True, slots=True)
class LeftRunning:
    """A statement that was left on a server: on which source as configured then, under which query id, by which job."""

    source: str
    source_print: str
    query_id: str
    job_id: str
    entry: str


class WorkerStore:
    """Thread-safe; calls are tried again for a while when the broker is away."""

    def __init__(self, settings: ExecutorSettings, connection: redis.Redis) -> None:
        self._ns = settings.namespace
        self._settings = settings
        self._redis = connection
        self._run = Scripts(
            settings,
            connection,
            *("claim", "beat", "note", "wait", "finish", "enrol", "depart", "give_way", "give_back", "return_ticket"),
            *("abandon", "take_stop", "stopped", "act"),
        )

    def now(self) -> float:
        """The broker's time, in Unix seconds: the one that all processes of a configuration have in common."""
        seconds, micros = self._redis.time()
        return seconds + micros / 1e6

    def claim(self, job_id: str, attempt: str, worker: str, sources: str, named: str) -> Claim | None:
        """The job, if the ticket is still good and this worker is one that can run it.

        Args:
            job_id: the ticket's.
            attempt: likewise.
            worker: who asks.
            sources: by name, the fingerprint of each source as it is configured here, as JSON.
            named: those whose sessions are named by the job's attempt, with spaces between and around them.
        """
        nonce, lease_s = token_hex(8), self._settings.lease_s
        sure_until = time.monotonic() + lease_s / 2
        told = (job_id, attempt, worker, lease_s, nonce, RECORD_VERSION, sources, named)
        answer = cast("list[str]", self._run("claim", *told))
        if len(answer) < 2:
            if answer and answer[0] != "worker":
                log.warning(
                    "job_left_for_another", extra={"job_id": job_id, "why": answer[0], "record_here": RECORD_VERSION}
                )
            return None
        ends_at = time.monotonic() + float(answer[2])
        policy, waited_s = (answer[5], answer[6]), float(answer[8])
        return Claim(
            answer[0], answer[1], ends_at, answer[3], answer[4], policy, answer[7], waited_s, answer[9], sure_until
        )

    def shown_sql(self, job_id: str) -> str:
        """The job's statement as its caller may read it."""
        return cast("str | None", self._redis.hget(f"{self._ns}:job:{job_id}", "shown_sql")) or ""

    def kept(self, job_id: str) -> tuple[str, str] | None:
        """What an earlier attempt at the job has kept of its work, and its signature."""
        payload, signature = cast(
            "list[str | None]", self._redis.hmget(f"{self._ns}:job:{job_id}", "kept_payload", "kept_signature")
        )
        return None if payload is None or signature is None else (payload, signature)

    def note(self, job_id: str, attempt: str, worker: str, fields: Mapping[str, str]) -> bool:
        """Adds fields to the row of a job that `worker` runs; False when the lease was lost."""
        flat = [part for pair in fields.items() for part in pair]
        return bool(self._run("note", job_id, attempt, worker, *flat))

    def tell(self, signer: Signer, act: Act) -> None:
        """Puts an act into the event stream, to be on record."""
        self._run("act", act.what, *act.record(signer))

    def leave(self, signer: Signer, worker: str) -> None:
        """A worker goes in order: what it still holds is given back, and its going is put on record."""
        self.depart(worker, lost=False)
        self.tell(signer, Act("worker_drained", SYSTEM, {"worker": worker}))

    def beat(
        self, job_id: str, attempt: str, worker: str, *, stage: str, rows: int, size: int, query_id: str | None
    ) -> str:
        """Extends the lease and tells progress: ``ok``, ``cancel`` or ``lost``."""
        lease = self._settings.lease_s
        return cast("str", self._run("beat", job_id, attempt, worker, lease, stage, rows, size, query_id or ""))

    def give_way(self, job_id: str, attempt: str, worker: str) -> bool:
        """Puts a running job back in line where others wait for its slot: whether it did, or somebody else has."""
        return self._run("give_way", job_id, attempt, worker) != "go_on"

    def profile(self, signer: Signer, source: str, fingerprint: str) -> ProfileStore:
        """Where a source's profile is kept."""
        return ProfileStore(self._ns, self._redis, signer, source, fingerprint)

    def schema(self, signer: Signer, source: str, fingerprint: str) -> str | None:
        """As `executor.client_store.ClientStore.schema`."""
        told = cast("dict[str, str]", self._redis.hgetall(schema_key(self._ns, source, fingerprint)))
        return opened_schema(told, signer, source, fingerprint)

    def finish(
        self, job_id: str, attempt: str, worker: str, state: JobState, reason: str, fields: Mapping[str, str]
    ) -> bool:
        """The last word; False when the lease was lost and the word does not count."""
        flat = [part for pair in fields.items() for part in pair]
        return bool(self._run("finish", job_id, attempt, worker, state, reason, *flat))

    def wait(
        self,
        job_id: str,
        attempt: str,
        worker: str,
        request: tuple[str, str],
        timeout_s: float,
        fields: Mapping[str, str],
    ) -> bool:
        """The job waits for an answer from now on, without lease and slot; False when the lease was lost.

        Args:
            job_id: the job's.
            attempt: the one that asks.
            worker: who runs it.
            request: as `executor.answering.signed_request` made it.
            timeout_s: seconds after which it fails with ``input_timeout``.
            fields: added to its row.
        """
        flat = [part for pair in fields.items() for part in pair]
        return bool(self._run("wait", job_id, attempt, worker, *request, timeout_s, *flat))

    def enrol(
        self,
        worker: str,
        slots: int,
        ttl_s: float,
        about: str,
        *,
        queue: str = "",
        zombies: int = 0,
        leaves: bool = False,
    ) -> int:
        """Tells that the worker of a queue is alive; the number of its workers alive.

        Args:
            worker: its name.
            slots: jobs it can run at once, beside its `zombies`; of one that leaves, those that it still runs.
            ttl_s: seconds after which it is taken to be dead.
            about: as `executor.enrolled.told_of` made it.
            queue: the one it serves.
            zombies: slots that are held by threads that do not come back.
            leaves: whether it takes no more jobs.
        """
        return int(self._run("enrol", worker, slots, ttl_s, queue, zombies, about, "leaves" if leaves else ""))

    def give_back(self, job_id: str, attempt: str, worker: str, seen: str) -> bool:
        """Puts a running job back in line because the worker leaves; False when the lease was lost.

        Args:
            job_id: the job's.
            attempt: the one that ran it.
            worker: who ran it.
            seen: how its statement was seen to have stopped; empty where it was not, and some worker is to stop it.
        """
        return bool(self._run("give_back", job_id, attempt, worker, seen))

    def return_ticket(self, job_id: str, attempt: str) -> None:
        """Puts a queued job back in line whose ticket came to a worker that leaves."""
        self._run("return_ticket", job_id, attempt)

    def depart(self, worker: str, *, lost: bool) -> int:
        """Tells that the worker is gone; the number of its jobs that go elsewhere."""
        return int(self._run("depart", worker, "lost" if lost else "left"))

    def standing(self, job_id: str) -> tuple[JobState, int] | None:
        """State and attempt of a job; None when there is no such row."""
        return standing(self._redis, self._ns, [job_id]).get(job_id)

    def signed(self, job_id: str) -> tuple[str, str] | None:
        """What a server signed of the job, and the signature; None when there is no such row."""
        payload, signature = cast(
            "list[str | None]", self._redis.hmget(f"{self._ns}:job:{job_id}", "payload", "signature")
        )
        return None if payload is None or signature is None else (payload, signature)

    def abandon(self, job_id: str, worker: str, source: str, query_id: str | None) -> None:
        """Tells that a job was ended and its statement was not seen to stop: some worker is to see to it."""
        self._run("abandon", job_id, worker, source, query_id or "")

    def take_stop(self) -> LeftRunning | None:
        """A statement that may still run on a server with nobody to stop it; taken again later unless `stopped`."""
        text = cast("str", self._run("take_stop", _STOP_AGAIN_S, _STOP_KEPT_S))
        if not text:
            return None
        told: dict[str, str] = json.loads(text)
        return LeftRunning(told["source"], told["source_print"], told["query_id"], told["job_id"], entry=text)

    def stopped(self, job_id: str, how: StopSeen, entry: str = "") -> None:
        """Tells that the statement of an ended job was seen to have stopped; `entry` as `take_stop` gave it."""
        self._run("stopped", job_id, how, entry)

    def save_schema(self, signer: Signer, source: str, fingerprint: str, text: str) -> None:
        """Keeps the schema of a source, as it is configured, for the servers; signed."""
        payload, signature = signed_schema(text, signer, source, fingerprint)
        key = schema_key(self._ns, source, fingerprint)
        self._redis.hset(key, mapping={"payload": payload, "signature": signature})
