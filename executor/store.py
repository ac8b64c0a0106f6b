"""The job's row in Redis or Valkey: its keys, its scripts, and the way from fields to a `Job` and back.

Every move is one script in ``lua/``, atomic in the broker. Names of states and the allowed moves are written into the
scripts from `executor.jobs`. `ClientStore` is the asynchronous half for servers, `WorkerStore` the other for workers
and the reaper; no call exists in both.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, cast

import redis
import redis.asyncio
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from executor.answering import opened_request, signed_answer
from executor.answers import Answer, InputRequest
from executor.enrolled import WorkerSeen, worker_seen
from executor.errors import ErrorCode, ExecutorError, JobLost, SettingsInvalid, StatementFailed, SubmitRefused
from executor.figures import Figures, figures_of
from executor.jobs import (
    QUEUES,
    Job,
    JobKind,
    JobState,
    Limits,
    Origin,
    ResultColumn,
    ResultSummary,
    StopSeen,
    Truncated,
)
from executor.orders import cautions_of, proof_of
from executor.profile_store import VERSION, ProfileHead, ProfileStore, profile_key, profile_of
from executor.profiles import SourceProfile
from executor.scripts import script
from executor.settings import RECORD_VERSION, ExecutorSettings
from executor.signing import Signer

log = logging.getLogger(__name__)

_CONNECTIONS = 32
_TURN_S = 20.0
"""How long a call waits for its turn on a connection."""

_ASKED = ["input_request", "input_signature", "answers"]

_STOP_AGAIN_S = 10.0
_STOP_KEPT_S = 3600.0
"""How long after a failure a statement is tried to be stopped again, and how long at all."""

MEMORY_WARN_PERCENT = 75
_MEMORY_KNOWN_S = 60

BROKER_ERRORS = (RedisConnectionError, RedisTimeoutError, OSError)


class NewerRecord(Exception):
    """Made by a newer version: to be left to whoever can read it."""


def broker_away(error: BaseException) -> ExecutorError:
    """The one error for a broker that does not answer."""
    return SubmitRefused(
        ErrorCode.EXECUTOR_UNAVAILABLE,
        f"The job broker does not answer ({type(error).__name__}).",
        hint="Nothing is lost: jobs already submitted go on when it is back. Call again in a few seconds.",
    )


def broker_full() -> ExecutorError:
    """The one error for a broker whose memory is full."""
    return SubmitRefused(
        ErrorCode.STORE_FULL,
        "The job broker's memory is full; the job was not taken.",
        hint="Jobs it holds go on. Raise [executor] embedded_memory_mb or the broker's maxmemory, or lower "
        "result_ttl_s.",
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker gets for a ticket: the signed payload, when the job must be over, whose row and source it is.

    `ends_at` is of this process's `time.monotonic`: the clock on the worker's wall decides nothing.
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


@dataclass(frozen=True, slots=True)
class LeftRunning:
    """A statement that was left on a server: on which source, under which query id, by which job."""

    source: str
    query_id: str
    job_id: str
    entry: str


def result_fields(summary: ResultSummary, preview: list[list[Any]]) -> dict[str, str]:
    """A stored result as fields of the job's row."""
    cut = summary.truncated
    told = {
        "columns": [{"name": column.name, "type": column.type} for column in summary.columns],
        "row_count": summary.row_count,
        "bytes": summary.bytes,
        "truncated": None if cut is None else {"reason": cut.reason, "limit": cut.limit},
        "stats": summary.stats,
    }
    return {
        "rows": str(summary.row_count),
        "bytes": str(summary.bytes),
        "summary": json.dumps(told, separators=(",", ":")),
        "preview": json.dumps(preview, separators=(",", ":")),
    }


def _summary(text: str | None) -> ResultSummary | None:
    if not text:
        return None
    raw: dict[str, Any] = json.loads(text)
    cut = raw["truncated"]
    return ResultSummary(
        columns=tuple(ResultColumn(**c) for c in raw["columns"]),
        row_count=raw["row_count"],
        bytes=raw["bytes"],
        truncated=Truncated(**cut) if cut else None,
        stats=tuple(raw["stats"]),
    )


def _time(text: str | None) -> float | None:
    return float(text) if text else None


def job_of(
    row: Mapping[str, str],
    payload: Mapping[str, Any],
    *,
    answer: Mapping[str, Any] | None = None,
    place: int = -1,
    starts_in_s: float = -1,
    workers_alive: int | None = None,
    seen_at: float | None = None,
    input_request: InputRequest | None = None,
) -> Job:
    """The job that a row and its signed payload tell of. Whose it is, is what was signed.

    What was read, and under which policy, the payload of the job that brought the rows tells: its own, or `answer`.
    """
    read = payload if answer is None else answer
    notes: dict[str, Any] = {}
    if row.get("stopped_after_ms"):
        notes["stopped_after_ms"] = int(row["stopped_after_ms"])
        notes["stop_seen"] = row["stop_seen"]
    if payload["question"]:
        notes["question"] = payload["question"]
    for name in ("evicted", "left"):
        if row.get(name):
            notes[name] = True
    if row.get("answer_of"):
        notes["answer_of"] = row["answer_of"]
    for name in ("findings", "connections", "estimate", "plan", "generated"):
        if row.get(name):
            notes[name] = json.loads(row[name])
    if row.get("slow_store"):
        notes["slow_store"] = float(row["slow_store"])
    if row.get("tables_total"):
        notes["tables"] = {"done": int(row["tables_done"]), "total": int(row["tables_total"])}
    for name in ("expensive", "confirmation", "confirm_by", "shared"):
        if row.get(name):
            notes[name] = row[name]
    if row.get("waits_for", "worker") != "worker" and row["state"] == JobState.QUEUED:
        notes["waits_for"] = row["waits_for"]
    return Job(
        id=payload["job_id"],
        kind=JobKind(payload["kind"]),
        owner=payload["owner"],
        source=payload["source"],
        state=JobState(row["state"]),
        stage=row["stage"],
        attempt=int(row["attempt"]),
        shown_sql=row.get("shown_sql", ""),
        submitted_at=float(row["submitted_at"]),
        limits=Limits(**payload["limits"]),
        policy_hash=read["policy_hash"],
        started_at=_time(row.get("started_at")),
        finished_at=_time(row.get("finished_at")),
        cancel_requested_at=_time(row.get("cancel_requested_at")),
        deadline_at=_time(row.get("deadline_at")),
        expires_at=_time(row.get("expires_at")),
        rows=int(row["rows"]),
        bytes=int(row["bytes"]),
        error=ExecutorError.from_dict(json.loads(row["error"])) if row.get("error") else None,
        summary=_summary(row.get("summary")),
        preview=json.loads(row["preview"]) if row.get("preview") else [],
        place=place if place > 0 else None,
        starts_in_s=starts_in_s if starts_in_s >= 0 else None,
        workers_alive=workers_alive,
        proof=proof_of(read["proof"]),
        cautions=cautions_of(read["cautions"]),
        origins=tuple(Origin(**told) for told in read["origins"]),
        notes=notes,
        rows_of=row.get("rows_of", payload["job_id"]),
        parent_id=payload["parent_id"],
        rows_at=_time(row.get("rows_at")),
        input_request=input_request,
        input_deadline_at=_time(row.get("input_deadline_at")) if input_request is not None else None,
        seen_at=seen_at,
        trace=row.get("trace", ""),
        run_trace=row.get("run_trace", ""),
    )


def _check_version(payload: Mapping[str, Any]) -> None:
    if payload.get("record", 1) > RECORD_VERSION:
        raise ExecutorError.of(
            ErrorCode.EXECUTOR_UNAVAILABLE,
            f"Job {payload['job_id']} was made by a newer version of awaitsql than this server runs.",
            hint="The job goes on. Ask a server that has been upgraded, or again when this one has been.",
        )


def _answer(signer: Signer, row: Mapping[str, str], payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was signed of the job that answered this one; None where it has none yet.

    Raises:
        StatementFailed: that job was not submitted by this one.
    """
    if "answer_payload" not in row:
        return None
    answer = signer.open(row["answer_payload"], row["answer_signature"])
    if (answer["parent_id"], answer["owner"]) != (payload["job_id"], payload["owner"]):
        raise StatementFailed(ErrorCode.STATEMENT_FAILED, "The rows are of another job.")
    return answer


def _is_whose_rows(signer: Signer, row: Mapping[str, str], payload: Mapping[str, Any]) -> bool:
    """Whether the rows that a row refers to were read by the statement of `payload`, or one to be shared with it."""
    if row.get("rows_of", payload["job_id"]) == payload["job_id"]:
        return True
    read_by = signer.open(row["rows_payload"], row["rows_signature"])
    return read_by["job_id"] == row["rows_of"] and bool(payload["share"]) and read_by["share"] == payload["share"]


def agree_on_key(signer: Signer, known: str | None) -> None:
    """Raises `SettingsInvalid` when `known`, the fingerprint kept in the broker, is another key's."""
    if known is not None and known != signer.key_fingerprint():
        raise SettingsInvalid(
            message="The signing key differs from the one this configuration's other processes use.",
            hint="Give servers and workers the same [executor] signing_key.",
        )


class ClientStore:
    """The server's half: submit, get, cancel, list, read schemas. One per event loop."""

    def __init__(self, settings: ExecutorSettings, connection: redis.asyncio.Redis, signer: Signer) -> None:
        self._ns = settings.namespace
        self._redis = connection
        self._signer = signer
        self._submit = connection.register_script(script(settings, "submit"))
        self._get = connection.register_script(script(settings, "get"))
        self._cancel = connection.register_script(script(settings, "cancel"))
        self._answer = connection.register_script(script(settings, "answer"))
        self._rate = connection.register_script(script(settings, "rate"))
        self._spend = connection.register_script(script(settings, "spend"))
        self._remember = connection.register_script(script(settings, "remember"))
        self._figures = connection.register_script(script(settings, "figures"))

    async def submit(
        self,
        job_id: str,
        *,
        owner: str,
        source: str,
        priority: int,
        owner_cap: int,
        source_cap: int,
        idempotency_key: str,
        content: str,
        share: str,
        fresh: bool,
        record: tuple[str, str],
        parent_id: str,
        fields: Mapping[str, str],
    ) -> Job:
        """Stores the job and puts it in line; an earlier job for a key seen before.

        With a `share` key the job is given the rows that the key stands for, or joins the run that brings them, unless
        it wants them `fresh`.

        Raises:
            SubmitRefused: ``queue_full``, ``idempotency_conflict``, ``store_full``.
            JobLost: ``job_lost`` where `parent_id` does not run, or is to stop.
        """
        flat = [part for pair in fields.items() for part in pair]
        args = [job_id, owner, source, owner_cap, source_cap, idempotency_key, content, priority, share]
        args += ["fresh" if fresh else "", *record, parent_id, *flat]
        try:
            told = cast("list[Any]", await self._submit(args=args))
        except OutOfMemoryError as error:
            raise broker_full() from error
        except ResponseError as error:
            if not str(error).startswith("MISCONF"):
                raise
            raise SubmitRefused(
                ErrorCode.STORE_FULL,
                "The job broker cannot write its log to its disk; the job was not taken.",
                hint="Make room on the broker's disk ([executor] state_dir for the embedded one). Jobs it holds go on.",
            ) from error
        answer, found = cast("str", told[0]), cast("str", told[1])
        if answer == "queue_full":
            raise SubmitRefused(
                ErrorCode.QUEUE_FULL,
                "The queue is full; the job was not taken.",
                hint="Wait for running jobs to finish (list_jobs), then submit again.",
            )
        if answer == "parent_ended":
            raise JobLost(ErrorCode.JOB_LOST, f"Job {found}, which the statement is for, does not run any more.")
        if answer == "idempotency_conflict":
            raise SubmitRefused(
                ErrorCode.IDEMPOTENCY_CONFLICT,
                f"This idempotency_key was used for another statement (job {found}).",
                hint=f"Use get_job on {found}, or submit with a new key.",
            )
        job = self._job(told[2])
        if job is None:
            raise SubmitRefused(
                ErrorCode.IDEMPOTENCY_CONFLICT,
                f"The job of this idempotency_key ({found}) does not carry this configuration's signature.",
                hint="Submit with a new key.",
            )
        return job

    async def take_turn(self, owner: str, interval_s: float, burst: int) -> float:
        """See `Executor.take_turn`."""
        return float(cast("str", await self._rate(args=[owner, interval_s, burst])))

    async def spend(self, purse: str, amount: int, at_most: int | None, for_s: float) -> int | None:
        """See `Executor.spend`."""
        bound = "" if at_most is None else at_most
        told = int(cast("int", await self._spend(args=[purse, amount, bound, int(for_s * 1000)])))
        return None if told < 0 else told

    async def remember(self, name: str, payload: str, signature: str, for_s: float) -> None:
        """Keeps a signed text under a name."""
        await self._remember(args=[name, payload, signature, int(for_s * 1000)])

    async def recall(self, name: str) -> tuple[str, str] | None:
        """The text and signature kept under a name."""
        told = cast("dict[str, str]", await self._redis.hgetall(f"{self._ns}:kept:{name}"))
        return (told["payload"], told["signature"]) if told else None

    async def get(self, job_id: str) -> Job | None:
        """The job, or None when there is no such row."""
        snapshot = cast("list[Any]", await self._get(args=[job_id]))
        return self._job(snapshot) if snapshot else None

    def _job(self, snapshot: list[Any]) -> Job | None:
        """The job, unless its row was written by somebody without the key: such a row is nobody's.

        Raises:
            ExecutorError: ``executor_unavailable`` where a newer version made it.
        """
        flat = cast("list[str]", snapshot[0])
        row = dict(zip(flat[::2], flat[1::2], strict=True))
        try:
            payload = self._signer.open(row["payload"], row["signature"])
            _check_version(payload)
            answer = _answer(self._signer, row, payload)
            if not _is_whose_rows(self._signer, row, payload if answer is None else answer):
                return None
            asked = None
            if row["state"] == JobState.WAITING:
                asked = opened_request(
                    self._signer, row["input_request"], row["input_signature"], job_id=payload["job_id"]
                )
        except (StatementFailed, KeyError):
            return None
        job = job_of(
            row,
            payload,
            answer=answer,
            place=snapshot[1],
            starts_in_s=float(snapshot[2]),
            workers_alive=snapshot[3],
            seen_at=float(snapshot[5]),
            input_request=asked,
        )
        if snapshot[4]:
            job.notes["broker_memory"] = int(snapshot[4])
        return job

    async def cancel(self, job_id: str) -> None:
        """Ends a queued job, flags a running one."""
        await self._cancel(args=[job_id, ""])

    async def give_up(self, job_id: str) -> None:
        """The same, unless it was submitted more often than given up."""
        await self._cancel(args=[job_id, "leaves"])

    async def input_request(self, job_id: str) -> tuple[InputRequest, str] | None:
        """What the job asks, or asked last, and the signature that an answer names; None where it never did."""
        row = cast("list[str | None]", await self._redis.hmget(f"{self._ns}:job:{job_id}", _ASKED))
        text, signature, kept = row
        if text is None or signature is None:
            if not kept:
                return None
            text, signature = json.loads(kept)[-1][:2]
        return opened_request(self._signer, cast("str", text), cast("str", signature), job_id=job_id), signature

    async def answer(self, job_id: str, request_signature: str, answer: Answer) -> bool:
        """Tells the job what it asked for; False when it does not wait for that (any more)."""
        told = signed_answer(self._signer, answer, request_signature=request_signature)
        reason = f"{answer.action} by {answer.by}"
        return bool(await self._answer(args=[job_id, request_signature, *told, reason]))

    async def ids_of(self, owner: str, limit: int) -> list[str]:
        """The owner's newest job ids; some may have expired."""
        key = f"{self._ns}:owner:{owner}"
        return cast("list[str]", await self._redis.zrevrange(key, 0, limit - 1))

    async def forget(self, owner: str, job_id: str) -> None:
        """Drops an expired id from the owner's list."""
        await self._redis.zrem(f"{self._ns}:owner:{owner}", job_id)

    async def now(self) -> float:
        """The broker's time, in Unix seconds."""
        seconds, micros = await self._redis.time()
        return seconds + micros / 1e6

    async def workers(self) -> list[WorkerSeen]:
        """Every worker that has beaten in the last seconds, of every queue."""
        now = await self.now()
        found: list[WorkerSeen] = []
        for queue in QUEUES:
            line = f"{self._ns}:{queue}" if queue else self._ns
            alive = cast("list[tuple[str, float]]", await self._redis.zrange(f"{line}:workers", 0, -1, withscores=True))
            about = cast("dict[str, str]", await self._redis.hgetall(f"{line}:about"))
            found += [
                worker_seen(worker, about[worker], queue=queue, until=until, now=now)
                for worker, until in alive
                if until >= now and worker in about
            ]
        return found

    async def workers_alive(self) -> int:
        """How many workers of statements have beaten in the last seconds and take jobs."""
        return sum(not (worker.queue or worker.leaves) for worker in await self.workers())

    async def events_waiting(self) -> int:
        """Events in the stream that the history has not taken yet."""
        return int(await self._redis.xlen(f"{self._ns}:events"))

    async def figures(self) -> Figures:
        """What the broker tells of the configuration now, in two round trips."""
        told = cast("list[Any]", await self._figures(args=[]))
        return figures_of(told, await self._redis.info("memory"))

    async def schema(self, source: str, fingerprint: str) -> str | None:
        """The source's schema as a worker last stored it (JSON); None for one that was written without the key.

        The guard decides by it which tables there are and what a view reads: it must not be anybody's to write, and of
        a source that was configured otherwise it says nothing.
        """
        told = cast("dict[str, str]", await self._redis.hgetall(_schema_key(self._ns, source, fingerprint)))
        return _schema_of(told, self._signer, source, fingerprint)

    async def profile_version(self, source: str, fingerprint: str) -> str | None:
        """Changes whenever the source's profile does; None where there is none."""
        return cast("str | None", await self._redis.hget(profile_key(self._ns, source, fingerprint), VERSION))

    async def profile(self, source: str, fingerprint: str) -> tuple[ProfileHead | None, SourceProfile]:
        """The source's profile, whole, and its head."""
        rows = cast("dict[str, str]", await self._redis.hgetall(profile_key(self._ns, source, fingerprint)))
        return await asyncio.to_thread(profile_of, rows, self._signer, source)


def _schema_key(namespace: str, source: str, fingerprint: str) -> str:
    return f"{namespace}:schema:{source}:{fingerprint}"


def _schema_of(told: Mapping[str, str], signer: Signer, source: str, fingerprint: str) -> str | None:
    try:
        payload = signer.open(told["payload"], told["signature"])
    except (StatementFailed, KeyError):
        return None
    return payload["schema"] if (payload["source"], payload["fingerprint"]) == (source, fingerprint) else None


class WorkerStore:
    """The worker's and the reaper's half. Thread-safe; calls are tried again for a while when the broker is away."""

    def __init__(self, settings: ExecutorSettings, connection: redis.Redis) -> None:
        self._ns = settings.namespace
        self._settings = settings
        self._redis = connection
        self._scripts = {
            name: connection.register_script(script(settings, name))
            for name in (
                *("claim", "beat", "note", "wait", "finish", "enrol", "depart", "reap"),
                *("abandon", "take_stop", "stopped", "lead", "evict", "readers", "give_way"),
                *("give_back", "return_ticket"),
            )
        }

    def _run(self, name: str, *args: object) -> Any:
        return self._scripts[name](args=[str(a) for a in args])

    def check_key(self, signer: Signer) -> None:
        """Agrees on the signing key with whoever was here first.

        Raises:
            SettingsInvalid: the servers and workers of this configuration use another key.
        """
        name = f"{self._ns}:key"
        if self._redis.get(name) is None:  # a full broker refuses to set even what is there
            self._redis.set(name, signer.key_fingerprint(), nx=True)
        agree_on_key(signer, cast("str | None", self._redis.get(name)))

    def now(self) -> float:
        """The broker's time, in Unix seconds: the one that all processes of a configuration have in common."""
        seconds, micros = self._redis.time()
        return seconds + micros / 1e6

    def claim(self, job_id: str, attempt: str, worker: str, sources: Mapping[str, str]) -> Claim | None:
        """The job, if the ticket is still good and this worker is one that can run it.

        Args:
            job_id: the ticket's.
            attempt: likewise.
            worker: who asks.
            sources: by name, the fingerprint of each source as it is configured here.
        """
        nonce, lease_s = token_hex(8), self._settings.lease_s
        told = json.dumps(sources)
        answer = cast("list[str]", self._run("claim", job_id, attempt, worker, lease_s, nonce, RECORD_VERSION, told))
        if len(answer) < 2:
            if answer and answer[0] != "worker":
                log.warning(
                    "job_left_for_another", extra={"job_id": job_id, "why": answer[0], "record_here": RECORD_VERSION}
                )
            return None
        ends_at = time.monotonic() + float(answer[2])
        policy, waited_s = (answer[5], answer[6]), float(answer[8])
        return Claim(answer[0], answer[1], ends_at, answer[3], answer[4], policy, answer[7], waited_s, answer[9])

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

    def publish(self, signer: Signer, policy_version: str, sources: Mapping[str, str]) -> None:
        """Says what servers go by from now on.

        Args:
            signer: with the configuration's key.
            policy_version: of the policies; what was checked under another does not run.
            sources: by name, the fingerprint of each source; a worker that has another leaves its jobs to others.
        """
        payload, signature = signer.sign({"policy_version": policy_version, "issued_at": self.now()})
        with self._redis.pipeline() as pipe:
            pipe.hset(f"{self._ns}:policy", mapping={"payload": payload, "signature": signature})
            pipe.delete(f"{self._ns}:sources")
            if sources:
                pipe.hset(f"{self._ns}:sources", mapping={**sources})
            pipe.execute()

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
        """As `ClientStore.schema`."""
        told = cast("dict[str, str]", self._redis.hgetall(_schema_key(self._ns, source, fingerprint)))
        return _schema_of(told, signer, source, fingerprint)

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

    def reap(self) -> list[str]:
        """Mends what death left behind; the ids that moved."""
        return cast("list[str]", self._run("reap", self._settings.attempts, self._settings.claim_timeout_s))

    def standing(self, job_ids: Collection[str]) -> dict[str, tuple[JobState, int]]:
        """State and attempt of each of these jobs that has a row."""
        with self._redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hmget(f"{self._ns}:job:{job_id}", "state", "attempt", "left_to")
            rows = dict(zip(job_ids, pipe.execute(), strict=True))
        found = {i: (JobState(row[0]), int(row[1])) for i, row in rows.items() if row[0]}
        # a run that goes on for another job writes on under the first one's id
        heirs = {i: row[2] for i, row in rows.items() if row[2]}
        if heirs:
            runs_for = self.standing(set(heirs.values()))
            found |= {i: runs_for[heir] for i, heir in heirs.items() if heir in runs_for}
        return found

    def referenced(self, job_ids: Collection[str]) -> set[str]:
        """Those of the jobs whose rows other jobs have, too."""
        with self._redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.exists(f"{self._ns}:refs:{job_id}")
            return {i for i, there in zip(job_ids, pipe.execute(), strict=True) if there}

    def signed(self, job_id: str) -> tuple[str, str] | None:
        """What a server signed of the job, and the signature; None when there is no such row."""
        payload, signature = cast(
            "list[str | None]", self._redis.hmget(f"{self._ns}:job:{job_id}", "payload", "signature")
        )
        return None if payload is None or signature is None else (payload, signature)

    def inputs_in_use(self) -> set[str]:
        """The jobs whose results an unfinished job reads."""
        return {job_id for told in cast("list[str]", self._run("readers")) for job_id in told.split()}

    def evict(self, job_id: str) -> bool:
        """Says that a finished job's rows go; False when they must stay."""
        return bool(self._run("evict", job_id))

    def abandon(self, job_id: str, worker: str, source: str, query_id: str | None) -> None:
        """Tells that a job was ended and its statement was not seen to stop: some worker is to see to it."""
        self._run("abandon", job_id, worker, source, query_id or "")

    def take_stop(self) -> LeftRunning | None:
        """A statement that may still run on a server with nobody to stop it; taken again later unless `stopped`."""
        text = cast("str", self._run("take_stop", _STOP_AGAIN_S, _STOP_KEPT_S))
        if not text:
            return None
        told: dict[str, str] = json.loads(text)
        return LeftRunning(told["source"], told["query_id"], told["job_id"], entry=text)

    def stopped(self, job_id: str, how: StopSeen, entry: str = "") -> None:
        """Tells that the statement of an ended job was seen to have stopped; `entry` as `take_stop` gave it."""
        self._run("stopped", job_id, how, entry)

    def save_schema(self, signer: Signer, source: str, fingerprint: str, text: str) -> None:
        """Keeps the schema of a source, as it is configured, for the servers; signed."""
        payload, signature = signer.sign({"source": source, "fingerprint": fingerprint, "schema": text})
        key = _schema_key(self._ns, source, fingerprint)
        self._redis.hset(key, mapping={"payload": payload, "signature": signature})

    def is_leader(self, who: str, hold_s: float, *, what: str = "reaper") -> bool:
        """Whether `who` may be `what` for the next `hold_s` seconds: one process at a time may."""
        return bool(self._run("lead", what, who, int(hold_s * 1000)))

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


def _retry() -> Retry:
    """About three seconds in all: an embedded broker is back in a fraction of one."""
    return Retry(ExponentialBackoff(cap=0.5, base=0.02), retries=9)


def connect_async(broker_url: str) -> redis.asyncio.Redis:
    """An asynchronous connection pool, strings decoded. A thousand callers at once take turns on its connections."""
    from redis.asyncio.retry import Retry as AsyncRetry  # noqa: PLC0415 - only servers need it

    pool = redis.asyncio.BlockingConnectionPool.from_url(
        broker_url,
        max_connections=_CONNECTIONS,
        timeout=_TURN_S,
        decode_responses=True,
        socket_timeout=5,
        socket_connect_timeout=2,
        retry=AsyncRetry(ExponentialBackoff(cap=0.5, base=0.02), retries=9),
    )
    return redis.asyncio.Redis.from_pool(pool)


def connect_sync(broker_url: str) -> redis.Redis:
    """A connection pool for threads, strings decoded."""
    return redis.Redis.from_url(
        broker_url,
        decode_responses=True,
        socket_timeout=5,
        socket_connect_timeout=2,
        retry=_retry(),
    )


def as_fields(pairs: Sequence[tuple[str, object]]) -> dict[str, str]:
    """Fields for a row: None is left out, everything else is text."""
    return {name: str(value) for name, value in pairs if value is not None}
