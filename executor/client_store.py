"""The servers' half of the broker: submit, get, cancel, list, read schemas. One script in ``lua/`` a move.

Names of states and the allowed moves are written into the scripts from `executor.jobs`. The workers' half is
`executor.store`; no call exists in both.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

import redis.asyncio
from redis.exceptions import OutOfMemoryError, ResponseError

from executor.acts import Act
from executor.answering import opened_request, signed_answer
from executor.answers import Answer, InputRequest
from executor.connections import broker_full
from executor.enrolled import WorkerSeen, worker_seen
from executor.errors import ErrorCode, JobLost, StatementFailed, SubmitRefused
from executor.figures import Figures, figures_of
from executor.job_row import new_job, opened_job
from executor.jobs import QUEUES, Job
from executor.profile_store import VERSION, ProfileHead, profile_key, profile_of
from executor.profiles import SourceProfile
from executor.schema_store import opened_schema, schema_key
from executor.scripts import script
from executor.settings import ExecutorSettings
from executor.signing import Signer

_ASKED = ["input_request", "input_signature", "answers"]


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
        self._refused = connection.register_script(script(settings, "refused"))

    async def witness(self) -> tuple[str, str] | None:
        """The audit's end as it was last told, and its signature; see `executor.history.witness`."""
        kept = await self._redis.hmget(f"{self._ns}:audit", "payload", "signature")
        text, signature = cast("list[str | None]", kept)
        return None if text is None or signature is None else (text, signature)

    async def tell_refusal(self, act: Act, *, per_minute: int) -> None:
        """Puts a refusal into the event stream; beyond so many a minute of one owner they are counted instead."""
        await self._refused(args=[act.owner, per_minute, *act.record(self._signer)])

    async def submit(
        self,
        order: Mapping[str, Any],
        *,
        owner_cap: int,
        source_cap: int,
        idempotency_key: str,
        content: str,
        fresh: bool,
        record: tuple[str, str],
        fields: Mapping[str, str],
        asker: str,
    ) -> Job:
        """Stores the job of an order and puts it in line; an earlier job for a key seen before.

        With a `share` key in its order the job is given the rows that the key stands for, or joins the run that brings
        them, unless it wants them `fresh`. `fields` go into its row, among them the order, signed. The row as it is
        when the job succeeds is told to the `asker` (`executor.signals`), if one is named.

        Raises:
            SubmitRefused: ``queue_full``, ``idempotency_conflict``, ``store_full``.
            JobLost: ``job_lost`` where the job that submits it does not run, or is to stop.
        """
        flat = [part for pair in fields.items() for part in pair]
        args = [order["job_id"], order["owner"], order["source"], owner_cap, source_cap, idempotency_key, content]
        args += [order["priority"], order["share"], "fresh" if fresh else "", *record, order["parent_id"]]
        args += [order["kind"], asker, *flat]
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
        if answer == "new":
            return new_job(order, fields, told[2:])
        job = opened_job(self._signer, told[2])
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

    async def remember(self, name: str, text: str, for_s: float) -> None:
        """See `Executor.remember`."""
        payload, signature = self._signer.sign({"name": name, "text": text})
        await self._remember(args=[name, payload, signature, int(for_s * 1000)])

    async def recall(self, name: str) -> str | None:
        """See `Executor.recall`."""
        kept = cast("dict[str, str]", await self._redis.hgetall(f"{self._ns}:kept:{name}"))
        if not kept:
            return None
        try:
            told = self._signer.open(kept["payload"], kept["signature"])
        except StatementFailed:
            return None
        return told["text"] if told.get("name") == name else None

    async def get(self, job_id: str) -> Job | None:
        """The job, or None when there is no such row."""
        snapshot = cast("list[Any]", await self._get(args=[job_id]))
        return opened_job(self._signer, snapshot) if snapshot else None

    def told(self, last_row: list[Any]) -> Job | None:
        """The job that a message tells of; None where it is none of ours, which anybody may have sent."""
        try:
            return opened_job(self._signer, last_row)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None

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
        """The source's schema as a worker last stored it (JSON); None for one that was written without the key."""
        told = cast("dict[str, str]", await self._redis.hgetall(schema_key(self._ns, source, fingerprint)))
        return opened_schema(told, self._signer, source, fingerprint)

    async def profile_version(self, source: str, fingerprint: str) -> str | None:
        """Changes whenever the source's profile does; None where there is none."""
        return cast("str | None", await self._redis.hget(profile_key(self._ns, source, fingerprint), VERSION))

    async def profile(self, source: str, fingerprint: str) -> tuple[ProfileHead | None, SourceProfile]:
        """The source's profile, whole, and its head."""
        rows = cast("dict[str, str]", await self._redis.hgetall(profile_key(self._ns, source, fingerprint)))
        return await asyncio.to_thread(profile_of, rows, self._signer, source)
