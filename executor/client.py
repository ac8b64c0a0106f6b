"""The executor's front door for a server: submit, get, wait, cancel, page, export, schemas. Loads no adapter.

Everything here is asynchronous and safe to call from many tasks of one event loop. A job that is unknown, purged or
somebody else's is not found, in the same words.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from redis.exceptions import OutOfMemoryError

from executor.acts import Act
from executor.answers import Answer, check_answer
from executor.client_store import ClientStore
from executor.connections import BROKER_ERRORS, broker_away, broker_full, connect_async, connect_sync
from executor.costs import confirmed_cost
from executor.cursors import Cursor
from executor.enrolled import WorkerSeen
from executor.errors import ErrorCode, ExecutorError, InputFailed, JobLost, JobNotFound, ResultFailed, StatementFailed
from executor.history.drainer import Drainer
from executor.history.past import HistoryState, Past, is_lost, recovered
from executor.history.records import record_of
from executor.history.told import Redact, told_as
from executor.history.witness import Head, opened_head
from executor.jobs import (
    PRIORITIES,
    QUEUE_OF,
    Job,
    JobKind,
    JobState,
    Limits,
    Question,
    ResultBlock,
    ResultPage,
    Statement,
    new_job_id,
    parse_job_id,
)
from executor.orders import ASKED, payload_of, statement_fingerprint
from executor.profile_cache import ProfileCache
from executor.profile_store import ProfileHead, tables_hash
from executor.profiles import SourceProfile, TableProfile
from executor.reaper import Reaper
from executor.renewal import Renewal
from executor.results import BlockFormat, ExportFormat, ResultStore, may_be_cut
from executor.schemas import SchemaCache
from executor.settings import RECORD_VERSION, ExecutorSettings
from executor.sharing import share_key
from executor.signals import ChangeListener
from executor.signing import Keys, Signer
from executor.sources import SourceInfo, SourceSchema, session_of
from executor.store import WorkerStore
from executor.tracing import traces_of

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from executor.bodies import Body
    from executor.figures import Figures
    from executor.history.verifying import ChainReport
    from executor.results.value_lists import ListedValue


log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_REFUSALS_A_MINUTE = 60
"""Of one owner, that are on record one by one."""

_LOOK_RARELY_S = 5.0
"""For whoever wants only the end: it is told, and a look is for the wake-up that was lost."""
_BROKER_S = 8.0
"""How long a call waits for a broker that is away, or frozen: restarts take less, and clients wait for an answer."""

_INTERNAL_S = 120.0
_NO_CAP = 1_000_000
"""Of jobs that ask nothing of their source themselves."""

_SYSTEM = "awaitsql:system"
_PROFILER = "awaitsql:profiler"
_PROFILE_AGAIN_S = 60.0
"""Within this time a profile that failed is not tried again."""


class Executor:
    """Submits and follows jobs of one configuration. An asynchronous context manager.

    Args:
        settings: the ``[executor]`` table.
        broker_url: where jobs are kept.
        keys: the signing keys, the same for all servers and workers of the configuration.
        policy_version: names the policies that statements are checked under.
        published: what else begins to hold with these policies, for the record: names and their versions.
        redact: takes the literals out of SQL, which is in the dialect named; without it no SQL is recorded where
            ``[executor.history] literals`` is ``redact``.
        submits: whether statements will be. Then, from entering on, `policy_version` is the one that holds for all
            workers: what was checked under another fails with ``policy_changed``.
    """

    def __init__(
        self,
        settings: ExecutorSettings,
        broker_url: str,
        keys: Keys,
        *,
        policy_version: str = "",
        published: Mapping[str, str] | None = None,
        redact: Redact | None = None,
        submits: bool = True,
    ) -> None:
        self.settings = settings
        self._signer = Signer(keys)
        self._policy_version = policy_version
        self._published = published or {}
        self._redact = redact
        self._told = told_as(settings, redact)
        self._submits = submits
        self._redis = connect_async(broker_url)
        self._broker_url = broker_url
        self._store = ClientStore(settings, self._redis, self._signer)
        self._changes = ChangeListener(self._redis, settings.namespace)
        self._schemas = SchemaCache(self._introspect, self._load_schema)
        self._profiles = ProfileCache(
            self._follow_profile, self._profile_version, self._profile, self._store.now, settings.profile
        )
        self._past = Past(settings, self._signer)
        self._traces = traces_of(settings.tracing)
        self._results: ResultStore | None = None
        self._waits = True
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Executor:
        """Connects, checks the signing key, says which policies hold, starts the reaper and asks for every schema.

        Raises:
            SettingsInvalid: other processes of this configuration use another signing key.
            ExecutorError: ``executor_unavailable`` when the broker does not answer.
        """
        connection = connect_sync(self._broker_url)
        reaper_store = WorkerStore(self.settings, connection)
        try:
            await asyncio.to_thread(reaper_store.check_key, self._signer)
            if self._submits:
                await asyncio.to_thread(
                    self._publish, reaper_store, self.settings, self._policy_version, self._published
                )
        except OutOfMemoryError as error:
            raise broker_full() from error
        except BROKER_ERRORS as error:
            raise broker_away(error) from error
        self._stack.push_async_callback(self._redis.aclose)
        self._stack.callback(self._past.close)
        self._stack.enter_context(Reaper(reaper_store, self.settings.lease_s))
        self._stack.enter_context(Renewal(reaper_store, self._signer))
        self._stack.enter_context(Drainer(self.settings, reaper_store, connection, self._signer))
        await self._stack.enter_async_context(self._changes)
        self._stack.push_async_callback(self._schemas.close)
        self._stack.push_async_callback(self._profiles.close)
        for source in self.settings.sources:
            self._schemas.ask(source)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def reload(self, settings: ExecutorSettings, *, policy_version: str, published: Mapping[str, str]) -> None:
        """From now on `settings` hold: sources, limits; the rest as it was. Jobs that run go on as they were signed.

        With `submits`, `policy_version` is the one that holds for all workers from now on; `published` as above.

        Raises:
            ValueError: the settings name another queue.
            ExecutorError: ``executor_unavailable``; then nothing has changed.
        """
        if settings.namespace != self.settings.namespace:
            raise ValueError("these settings name another queue")
        if self._submits:
            try:
                connection = connect_sync(self._broker_url)
                store = WorkerStore(settings, connection)
                await asyncio.to_thread(self._publish, store, settings, policy_version, published)
                connection.close()
            except BROKER_ERRORS as error:
                raise broker_away(error) from error
        before, now = self.settings.source_fingerprints(), settings.source_fingerprints()
        self.settings, self._policy_version = settings, policy_version
        self._told = told_as(settings, self._redact)
        for source in before:
            if now.get(source) != before[source]:
                self._schemas.forget(source)
                self._profiles.forget(source)
        for source in now:
            if now[source] != before.get(source):
                self._schemas.ask(source)

    def stop_waiting(self) -> None:
        """The process is to go: whoever waits for a job, now or later, is given it as it is."""
        self._waits = False
        self._changes.wake_all()

    @property
    def waits(self) -> bool:
        """Whether jobs are waited for here; see `stop_waiting`."""
        return self._waits

    # -- sources ---------------------------------------------------------------------------------------------------

    def sources(self) -> tuple[SourceInfo, ...]:
        """The configured sources, in the configuration's order."""
        return self.settings.source_infos()

    def schema_now(self, source: str) -> SourceSchema | None:
        """The source's schema, if it is known in this process by now."""
        return self._schemas.now(source)

    def profile_now(self, source: str) -> SourceProfile | None:
        """What `source_profile` was last asked for in this process and gave, without a look at whether it is old."""
        return self._profiles.now(source)

    async def source_schema(self, source: str, *, wait_s: float = 10.0, refresh: bool = False) -> SourceSchema:
        """The source's tables, as a worker found them; waits up to `wait_s` seconds for the first answer.

        Raises:
            KeyError: no such source.
            SourceFailed: ``source_not_ready``, or why the worker could not read the source.
        """
        if source not in self.settings.sources:
            raise KeyError(source)
        return await self._schemas.get(source, wait_s=wait_s, refresh=refresh)

    async def probe(self, source: str) -> tuple[list[dict[str, str]], int | None]:
        """How the source lets us in, as a worker finds it: ``{"level": ok | warning | error, "message", "fix"}`` each.

        And how many connections it lets our role have at once, where it bounds that.

        Raises:
            ExecutorError: why the worker could not look, or ``no_workers``.
        """
        job = await self._internal(JobKind.PROBE, source, queue_timeout_s=15.0)
        if job.error is not None:
            raise job.error
        return job.notes.get("findings", []), job.notes.get("connections")

    async def source_profile(
        self, source: str, *, tables: Collection[tuple[str, str]], wait_s: float = 0.0
    ) -> SourceProfile:
        """What is known of the rows of `tables`, and of no others; waits up to `wait_s` seconds for a first reading.

        Asks for a profile, in the background, where there is none, or it is old, or the schema or `tables` changed
        (unless ``[executor.profile] automatic`` is false). A source that was never read has a profile without tables.

        Args:
            source: its name.
            tables: ``(schema, table)`` of all that may be profiled for all callers.
            wait_s: seconds.

        Raises:
            KeyError: no such source.
            ExecutorError: as `source_schema`, or ``executor_unavailable``.
        """
        schema = await self.source_schema(source, wait_s=wait_s or 1.0)
        return await self._profiles.get(source, frozenset(tables), schema.hash(), wait_s=wait_s)

    async def profile(self, source: str, tables: Collection[tuple[str, str]], *, anew: bool = False) -> Job:
        """The job, in line or running, that profiles `tables` of a source; tables that have not changed are kept.

        Equal requests while one is under way are one job. ``notes["tables"]`` says how far it is.

        Args:
            source: its name.
            tables: as in `source_profile`; what is known of others is forgotten.
            anew: reads unchanged tables again, too.

        Raises:
            KeyError: no such source.
            ExecutorError: as `submit`.
        """
        if source not in self.settings.sources:
            raise KeyError(source)
        settings = self.settings.profile
        limits = Limits(
            timeout_s=settings.table_timeout_s,
            job_timeout_s=settings.timeout_s,
            queue_timeout_s=self.settings.limits.queue_timeout_s,
        )
        try:
            known = await self._profile_version(source)
            now = await self._store.now()
        except BROKER_ERRORS as error:
            raise broker_away(error) from error
        statement = Statement(
            source,
            "",
            "",
            limits,
            kind=JobKind.PROFILE,
            priority=PRIORITIES["low"],
            profiled=tuple(sorted(tables)),
            anew_since=now if anew else 0.0,
        )
        key = None if anew else f"{source} {tables_hash(tables)} {known} {int(now / _PROFILE_AGAIN_S)}"
        return await self._submit(statement, owner=_PROFILER, idempotency_key=key)

    async def listed_values(self, source: str, table: TableProfile) -> AsyncGenerator[list[ListedValue]]:
        """The distinct values of the table's `listed` columns, in blocks, column by column, the most frequent first.

        None where they are not kept (any more): a newer profile has another `version`.

        Raises:
            ResultFailed: ``store_unavailable``.
        """
        from executor.results.opening import open_value_lists  # noqa: PLC0415 - as `_store_of_results`

        blocks = open_value_lists(self.settings).read(source, (table.schema, table.name), table.version)
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            yield block

    # -- jobs ------------------------------------------------------------------------------------------------------

    async def submit(
        self,
        statement: Statement,
        *,
        owner: str,
        idempotency_key: str | None = None,
        question: str | None = None,
        confirm: str | None = None,
        fresh: bool = False,
        asks: bool = False,
        parent_id: str = "",
        only_worker: str = "",
    ) -> Job:
        """Stores the job, durably, and puts it in line. Known again by `idempotency_key`, it is not made twice.

        Args:
            statement: what the guard let through.
            owner: whose job it is.
            idempotency_key: any text.
            question: what the statement answers.
            fresh: runs it whatever rows of an equal statement there are.
            confirm: ``notes["confirmation"]`` of a job of the same statement that failed with ``needs_confirmation``.
            asks: whether somebody is there to say yes (`answer`): the job waits where it would fail with
                ``needs_confirmation``.
            parent_id: the job, being run now, that submits this one. It ends with that, and is not listed beside it.
            only_worker: the name of the one worker that is to run it; the others leave it alone.

        Raises:
            SubmitRefused: ``queue_full``, ``idempotency_conflict``, ``executor_unavailable``.
            JobLost: ``job_lost`` where the job `parent_id` does not run any more, or is to stop.
            StatementFailed: ``needs_confirmation`` for a confirmation that is not this statement's, or too old.
        """
        return await self._submit(
            statement,
            owner=owner,
            idempotency_key=idempotency_key,
            question=question,
            confirm=confirm,
            fresh=fresh,
            asks=asks,
            parent_id=parent_id,
            only_worker=only_worker,
        )

    async def ask(self, question: Question, *, owner: str, idempotency_key: str | None = None) -> Job:
        """Stores a question as a job, for whoever serves the queue of questions. As `submit`, and raises as it."""
        blank = Statement(
            question.source,
            "",
            "",
            question.limits,
            policy_hash=question.policy_hash,
            kind=JobKind.ASK,
            priority=question.priority,
        )
        return await self._submit(
            blank,
            owner=owner,
            idempotency_key=idempotency_key,
            question=question.text,
            details=question.details,
            owner_cap=self.settings.principal_max_asking,
        )

    async def serve(
        self,
        queue: str,
        body: Body,
        *,
        slots: int,
        drain: asyncio.Event,
        worker: str = "",
        registry: CollectorRegistry | None = None,
    ) -> bool:
        """Leases the jobs of `queue` to `body`, `slots` at once, until it is cancelled; then they go back in line.

        Once `drain` is set nothing new is taken, and what runs is finished within ``drain_timeout_s``: True. False
        where half of the slots are held by bodies that do not stop.

        Each has a lease, beats, a fencing number, attempts and a cancel flag like every job: when it is asked to stop,
        when its time is over or when its lease went elsewhere, its body is cancelled.

        Args:
            queue: one of `QUEUES`.
            body: does the work of one job, and says what it came to; see `Body`.
            slots: how many jobs at once.
            drain: when set, the process is to go.
            worker: the name that leases are held under; drawn where there is none.
            registry: where its metrics stand, for whoever serves them; nowhere if none is given.
        """
        # loads Celery, which a process that only submits has no use for
        from executor.serving import Serving  # noqa: PLC0415

        serving = Serving(
            lambda: self.settings,
            self._broker_url,
            self._signer,
            queue,
            body,
            slots=slots,
            worker=worker,
            registry=registry,
        )
        return await serving.run(drain)

    async def spend(self, purse: str, amount: int, *, at_most: int | None, for_s: float) -> int | None:
        """Adds `amount` to what was spent from `purse`, in all processes; the sum, or None where it would be too much.

        Args:
            purse: any name.
            amount: may be negative: what was spent for nothing.
            at_most: the most that the sum may be; None: no bound.
            for_s: how long the purse is remembered, from its first use on.

        Raises:
            ExecutorError: ``executor_unavailable``.
        """
        try:
            async with asyncio.timeout(_BROKER_S):
                return await self._store.spend(purse, amount, at_most, for_s)
        except BROKER_ERRORS as error:
            raise broker_away(error) from error

    async def remember(self, name: str, text: str, *, for_s: float) -> None:
        """Keeps a text, signed, under a name for so many seconds; it replaces one of the same name.

        Raises:
            ExecutorError: ``executor_unavailable``.
        """
        payload, signature = self._signer.sign({"name": name, "text": text})
        try:
            async with asyncio.timeout(_BROKER_S):
                await self._store.remember(name, payload, signature, for_s)
        except BROKER_ERRORS as error:
            raise broker_away(error) from error

    async def recall(self, name: str) -> str | None:
        """What was kept under that name; None where nothing is, or nothing that carries our signature.

        Raises:
            ExecutorError: ``executor_unavailable``.
        """
        try:
            async with asyncio.timeout(_BROKER_S):
                found = await self._store.recall(name)
        except BROKER_ERRORS as error:
            raise broker_away(error) from error
        if found is None:
            return None
        try:
            told = self._signer.open(*found)
        except StatementFailed:
            return None
        return told["text"] if told.get("name") == name else None

    async def get(self, job_id: str, *, owner: str) -> Job:
        """The job as it is now.

        Raises:
            JobNotFound: ``invalid_handle`` for something that is no handle, else ``job_not_found``.
            JobLost: ``job_lost`` when the broker lost it before its end.
            ResultFailed: ``result_expired`` when it succeeded, long ago, and nothing of it is kept but its record.
            ExecutorError: ``executor_unavailable``.
        """
        job_id = parse_job_id(job_id)
        try:
            async with asyncio.timeout(_BROKER_S):
                job = await self._store.get(job_id)
        except BROKER_ERRORS as error:
            raise broker_away(error) from error
        if job is None and (past := await self._past.job(job_id, owner)) is not None:
            ttl_s = self.settings.result_ttl_s
            return await asyncio.to_thread(recovered, past, self._store_of_results(), ttl_s=ttl_s)
        if job is None or job.id != job_id or job.owner != owner:
            raise JobNotFound(
                ErrorCode.JOB_NOT_FOUND,
                f"There is no job {job_id} (any more).",
                hint="list_jobs shows your jobs; results are kept "
                f"{self.settings.result_ttl_s / 3600:g} hours. Submit the statement again if you need it.",
            )
        return job

    async def watch(
        self,
        job_id: str,
        *,
        owner: str,
        timeout_s: float,
        known: Job | None = None,
        ends_only: bool = False,
        every_s: float = _LOOK_EVERY_S,
    ) -> AsyncGenerator[Job]:
        """The job now, then after each change and now and then, until it is finished or `timeout_s` is over.

        Or until `stop_waiting`.

        Args:
            job_id: the handle.
            owner: who asks.
            timeout_s: seconds.
            known: the job as `submit` has just returned it, which saves the first look.
            ends_only: whether changes after which the job goes on by itself may be seen up to `every_s` late, which
                saves looks.
            every_s: seconds between two looks when nothing is heard. What a lost wake-up costs: hundreds of callers
                that look every second are noticed by all others.

        Raises: as `get`, on the first look; a broker that goes away later is waited for.
        """
        until = time.monotonic() + timeout_s
        job_id = parse_job_id(job_id)
        with self._changes.listen(job_id, ends_only=ends_only) as changed:
            if known is None or known.id != job_id or known.owner != owner or self._changes.may_have_changed(job_id):
                known = await self.get(job_id, owner=owner)
            job = known
            yield job
            while self._waits and not job.is_finished and (left := until - time.monotonic()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, every_s)):
                        await changed.wait()
                changed.clear()
                try:
                    job = await self.get(job_id, owner=owner)
                except ExecutorError as error:
                    if error.code is not ErrorCode.EXECUTOR_UNAVAILABLE or until <= time.monotonic():
                        raise
                    continue
                yield job

    async def wait(self, job_id: str, *, owner: str, timeout_s: float, known: Job | None = None) -> Job:
        """The job when it is finished, or as it is after `timeout_s` seconds. `known` and errors as in `watch`."""
        job: Job | None = None
        async for seen in self.watch(
            job_id, owner=owner, timeout_s=timeout_s, known=known, ends_only=True, every_s=_LOOK_RARELY_S
        ):
            job = seen
        return job if job is not None else await self.get(job_id, owner=owner)

    async def changes(self, job_ids: Collection[str], *, owner: str) -> AsyncGenerator[Job]:
        """Each of the jobs as it is, then each again after it changed, without end: close it to stop.

        Asks the broker only when it was told of a change, or could not be told for a while; so it costs nothing to
        follow jobs that rest. A finished job is yielded once. One that is not there, not there any more, or somebody
        else's is not yielded; a broker that is away is waited for.

        Args:
            job_ids: handles in their one spelling (`parse_job_id`).
            owner: who asks.
        """
        finished: set[str] = set()
        with self._changes.listen_to_several(job_ids) as changed:
            while True:
                for job_id in await changed.taken():
                    if job_id in finished:
                        continue
                    try:
                        job = await self.get(job_id, owner=owner)
                    except ExecutorError as error:
                        if error.code is ErrorCode.EXECUTOR_UNAVAILABLE:
                            changed.tell(job_id)
                            await asyncio.sleep(_LOOK_EVERY_S)
                        continue
                    if job.is_finished:
                        finished.add(job_id)
                    yield job

    async def cancel(self, job_id: str, *, owner: str) -> Job:
        """Asks for the end of the job, down to the database; the job as it is right after. Raises as `get`.

        A queued job is cancelled at once; a running one when its worker has stopped the database. Cancelling a
        finished job changes nothing.
        """
        job = await self.get(job_id, owner=owner)
        if job.is_finished:
            return job
        try:
            async with asyncio.timeout(_BROKER_S):
                await self._store.cancel(job.id)
        except BROKER_ERRORS as error:
            raise broker_away(error) from error
        return await self.get(job.id, owner=owner)

    async def give_up(self, job_id: str, *, owner: str) -> None:
        """One caller less wants the job; the last takes it along, as `cancel` does. Raises as `get`.

        Each `submit` that was answered with the job counts as a caller: those with its idempotency key, too, whichever
        server they went to. Others that wait for an equal statement's rows keep the run in any case.
        """
        job = await self.get(job_id, owner=owner)
        if job.is_finished:
            return
        try:
            async with asyncio.timeout(_BROKER_S):
                await self._store.give_up(job.id)
        except BROKER_ERRORS as error:
            raise broker_away(error) from error

    async def answer(self, job_id: str, *, owner: str, answer: Answer) -> Job:
        """Tells a waiting job what it asks (`Job.input_request`); it goes back in line. The job right after.

        The same answer said again changes nothing; so a caller that heard nothing may repeat it.

        Raises: as `get`, and
            InputFailed: ``invalid_answer``, ``human_required``; ``not_waiting`` where it asks nothing, was told
                something else before, or has ended.
        """
        job = await self.get(job_id, owner=owner)
        try:
            async with asyncio.timeout(_BROKER_S):
                asked = await self._store.input_request(job.id)
                if asked is not None:
                    check_answer(asked[0], answer)
                counts = asked is not None and await self._store.answer(job.id, asked[1], answer)
        except BROKER_ERRORS as error:
            raise broker_away(error) from error
        if not counts:
            raise InputFailed(
                ErrorCode.NOT_WAITING,
                f"Job {job.id} does not wait for this answer; it is {job.state}.",
                hint=f"Look at it: get_job on {job.id}.",
            )
        return await self.get(job.id, owner=owner)

    async def list_jobs(self, *, owner: str, limit: int = 20) -> list[Job]:
        """The owner's newest jobs, newest first, also those that the broker has forgotten by now.

        Raises:
            ExecutorError: ``executor_unavailable``.
        """
        try:
            jobs: list[Job] = []
            async with asyncio.timeout(_BROKER_S):
                for job_id in await self._store.ids_of(owner, limit):
                    try:
                        job = await self._store.get(job_id)
                    except ExecutorError:  # a newer version's; servers that have been upgraded list it
                        continue
                    if job is None:
                        await self._store.forget(owner, job_id)
                    elif job.id == job_id and job.owner == owner:
                        jobs.append(job)
        except BROKER_ERRORS as error:
            raise broker_away(error) from error
        if len(jobs) < limit:
            jobs += await self._past_jobs(owner, limit, {job.id for job in jobs})
            jobs = sorted(jobs, key=lambda job: -job.submitted_at)[:limit]
        return jobs

    async def recorded(self, job_id: str, *, owner: str) -> Job | None:
        """The job as the history last heard of it, whatever the broker says; None where it knows none of the owner's.

        Raises:
            JobNotFound: ``invalid_handle``.
        """
        return await self._past.job(parse_job_id(job_id), owner)

    async def history_state(self) -> tuple[HistoryState, int]:
        """How the history is, and how many events wait in the broker to be written there."""
        try:
            waiting = await self._store.events_waiting()
        except BROKER_ERRORS as error:
            raise broker_away(error) from error
        return await self._past.state(), waiting

    async def verify_history(self) -> ChainReport:
        """Goes through the audit's chain of hashes, all owners'. Raises as `Past.verify`."""
        return await self._past.verify(await self._witness())

    async def tell_refusal(
        self, *, owner: str, source: str, sql: str, dialect: str, code: str, message: str, position: int | None
    ) -> None:
        """Puts a refused statement on record. Beyond 60 a minute of one owner refusals are counted, not told singly.

        A broker that does not answer is logged: the refusal stands.

        Args:
            owner: who sent it.
            source: where it was to run.
            sql: as it was sent.
            dialect: what it is written in.
            code: why it was refused.
            message: the same in words; not kept where literals are redacted, since it may quote them.
            position: where in it, or None.
        """
        told = self._told.refusal(self._signer, sql, dialect, message)
        more = {"source": source, "policy_version": self._policy_version, "code": code, "position": position}
        try:
            async with asyncio.timeout(_BROKER_S):
                await self._store.tell_refusal(Act("refused", owner, {**told, **more}), per_minute=_REFUSALS_A_MINUTE)
        except BROKER_ERRORS as error:
            log.warning("refusal_untold", extra={"owner": owner, "code": code, "error": type(error).__name__})

    async def take_turn(self, owner: str, *, per_minute: float, burst: int) -> float:
        """Counts one call of an owner, over all servers of this configuration: 0 where it may go on, else seconds.

        Args:
            owner: who calls.
            per_minute: how many calls a minute are let through in the long run.
            burst: how many may come at once after a pause.

        Raises:
            ExecutorError: ``executor_unavailable``.
        """
        try:
            async with asyncio.timeout(_BROKER_S):
                return await self._store.take_turn(owner, 60 / per_minute, burst)
        except BROKER_ERRORS as error:
            raise broker_away(error) from error

    async def workers(self) -> list[WorkerSeen]:
        """Every worker that has been heard of in the last seconds, of every queue.

        Raises:
            ExecutorError: ``executor_unavailable``.
        """
        try:
            async with asyncio.timeout(_BROKER_S):
                return await self._store.workers()
        except BROKER_ERRORS as error:
            raise broker_away(error) from error

    async def workers_alive(self) -> int:
        """How many workers of statements have been heard of in the last seconds and take jobs. Raises as `workers`."""
        try:
            async with asyncio.timeout(_BROKER_S):
                return await self._store.workers_alive()
        except BROKER_ERRORS as error:
            raise broker_away(error) from error

    async def figures(self, *, within_s: float = 3.0) -> Figures:
        """Queues, workers, counters and memory of this configuration, as its broker tells them within that time.

        Raises:
            ExecutorError: ``executor_unavailable``.
        """
        try:
            async with asyncio.timeout(within_s):
                return await self._store.figures()
        except BROKER_ERRORS as error:
            raise broker_away(error) from error

    # -- results ---------------------------------------------------------------------------------------------------

    async def page(
        self,
        job_id: str,
        *,
        owner: str,
        cursor: str | None = None,
        limit: int = 100,
        columns: Sequence[str] | None = None,
    ) -> ResultPage:
        """Up to `limit` rows from `cursor` on, also while the query still runs.

        Raises:
            JobNotFound: as `get`.
            ExecutorError: the job's own error when it failed.
            ResultFailed: ``invalid_cursor``, ``result_restarted`` (another attempt wrote the rows anew),
                ``result_expired`` (the job was cancelled, or its rows are gone).
        """
        job, place = await self._readable_place(job_id, owner, cursor)
        if job.state is JobState.QUEUED:
            return ResultPage((), [], 0, place.encode(), complete=False)
        end = place.offset + limit
        inline = 0 if may_be_cut(job.preview) else len(job.preview)
        if job.summary is not None and columns is None and (end <= inline or inline == job.summary.row_count):
            following = _cursor_after(job, end if end < job.summary.row_count else None)
            return ResultPage(job.summary.columns, job.preview[place.offset : end], place.offset, following)
        stored = await asyncio.to_thread(
            self._store_of_results().page,
            job.rows_of,
            job.attempt,
            offset=place.offset,
            limit=limit,
            columns=columns,
            complete=job.is_finished,
        )
        following = _cursor_after(job, stored.next_offset)
        return ResultPage(
            stored.columns,
            stored.rows,
            place.offset,
            following,
            complete=stored.complete,
            cut_cells=stored.cut_cells,
        )

    async def block(
        self,
        job_id: str,
        *,
        owner: str,
        format: BlockFormat,  # noqa: A002 - the word users know
        cursor: str | None = None,
        limit: int = 10_000,
        columns: Sequence[str] | None = None,
    ) -> ResultBlock:
        """As `page`, for programs: up to `limit` rows, or 8 MB of them, as the bytes of a file with values whole."""
        job, place = await self._readable_place(job_id, owner, cursor)
        stored = await asyncio.to_thread(
            self._store_of_results().block,
            job.rows_of,
            job.attempt,
            format,
            offset=place.offset,
            limit=limit,
            columns=columns,
            complete=job.is_finished,
        )
        following = _cursor_after(job, stored.next_offset)
        return ResultBlock(stored.data, stored.rows, stored.offset, following, complete=stored.complete)

    async def inputs(self, job_ids: Sequence[str], *, owner: str) -> list[Job]:
        """The jobs whose results a statement is to read, in this order, each with a whole result.

        Raises:
            JobNotFound: as `get`, for any of them.
            ExecutorError: the error of one that failed.
            ResultFailed: ``result_expired`` for one that has no whole result, or whose rows are gone.
        """
        jobs: list[Job] = []
        for job_id in job_ids:
            job = await self.get(job_id, owner=owner)
            self._check_readable(job)
            if job.summary is None:
                raise ResultFailed(
                    ErrorCode.RESULT_EXPIRED,
                    f"Job {job.id} has no whole result (yet).",
                    hint=f"Wait for it: get_job on {job.id}.",
                )
            jobs.append(job)
        return jobs

    async def export(
        self,
        job_id: str,
        *,
        owner: str,
        format: ExportFormat,  # noqa: A002 - the word users know
        out: BinaryIO,
    ) -> None:
        """Writes the whole result to `out`, streaming; ``json`` is JSON lines. Raises as `page`."""
        job = await self.get(job_id, owner=owner)
        self._check_readable(job)
        if job.state is not JobState.SUCCEEDED:
            raise ResultFailed(
                ErrorCode.RESULT_EXPIRED, "The job has no whole result yet.", hint="Export it when it has succeeded."
            )
        await asyncio.to_thread(self._store_of_results().export, job.rows_of, job.attempt, format, out)

    # -- inside ----------------------------------------------------------------------------------------------------

    async def _past_jobs(self, owner: str, limit: int, known: set[str]) -> list[Job]:
        """The owner's jobs that the broker knows nothing of; those it lost are told as failed."""
        found: list[Job] = []
        for past in await self._past.jobs(owner, limit):
            if past.id in known:
                continue
            if is_lost(past):
                # one that was submitted just now may be in the history already, and not in the list read before
                try:
                    past = await self.get(past.id, owner=owner)  # noqa: PLW2901 - the same job, as it is
                except JobLost as lost:
                    past = replace(past, state=JobState.FAILED, error=lost)  # noqa: PLW2901 - as above
            found.append(past)
        return found

    async def _readable_place(self, job_id: str, owner: str, cursor: str | None) -> tuple[Job, Cursor]:
        """The job, and where in its rows `cursor` points. Raises as `page`."""
        job = await self.get(job_id, owner=owner)
        place = Cursor.decode(cursor, job.id) if cursor else Cursor(job.id, job.attempt, 0)
        self._check_readable(job)
        if place.attempt != job.attempt:
            raise ResultFailed(
                ErrorCode.RESULT_RESTARTED,
                "The worker was lost and the statement ran again; rows may have come in another order.",
                hint="Read again from the first page: get_rows without cursor.",
            )
        return job, place

    def _store_of_results(self) -> ResultStore:
        if self._results is None:
            # Arrow is loaded when the first page is read from a file: a server that answers from rows never needs it
            from executor.results.opening import open_results  # noqa: PLC0415

            self._results = open_results(self.settings)
        return self._results

    @staticmethod
    def _check_readable(job: Job) -> None:
        if job.state is JobState.FAILED and job.error is not None:
            raise job.error
        if job.state is JobState.CANCELLED:
            raise ResultFailed(
                ErrorCode.RESULT_EXPIRED,
                "The job was cancelled; its rows were not kept.",
                hint="Submit the statement again.",
            )
        if job.notes.get("evicted"):
            raise ResultFailed(
                ErrorCode.RESULT_EXPIRED,
                "The rows of this job had to make room for newer ones.",
                hint="Submit the statement again.",
            )

    async def _submit(
        self,
        statement: Statement,
        *,
        owner: str,
        idempotency_key: str | None = None,
        question: str | None = None,
        confirm: str | None = None,
        fresh: bool = False,
        asks: bool = False,
        parent_id: str = "",
        only_worker: str = "",
        details: str = "",
        owner_cap: int | None = None,
    ) -> Job:
        job_id = new_job_id()
        limits = statement.limits
        source = self.settings.sources.get(statement.source)
        asks_for = set(session_of(source)) if source is not None else set[str]()
        if statement.kind in ASKED and {name for name, _ in statement.session} != asks_for:
            raise StatementFailed(
                ErrorCode.ATTRIBUTE_MISSING,
                f"The statement does not carry the session settings that source {statement.source} asks for.",
                hint="Start servers with the same configuration.",
            )
        confirmed = None if confirm is None else await self._confirmed(statement, owner, confirm)
        share = ""
        version = self._policy_version if statement.policy_version is None else statement.policy_version
        if source is not None and self.settings.cache_ttl_s > 0:
            share = share_key(statement, source, owner=owner, policy_version=version, confirmed=confirmed, asks=asks)
        order = payload_of(
            statement,
            job_id=job_id,
            owner=owner,
            source_fingerprint=self._fingerprint(statement),
            policy_version=version,
            confirmed=confirmed,
            asks=asks,
            share=share,
            now=time.time(),
            question=question or "",
            details=details,
            parent_id=parent_id,
        )
        payload, signature = self._signer.sign(order)
        fields = {
            "kind": str(statement.kind),
            "payload": payload,
            "signature": signature,
            "record": str(RECORD_VERSION),
            "source_print": order["source_fingerprint"],
            "shown_sql": statement.shown_sql,
            "queue_timeout_s": str(limits.queue_timeout_s),
            "job_timeout_s": str(limits.job_timeout_s),
        }
        queue = QUEUE_OF.get(statement.kind, "")
        if queue:
            fields["queue"] = queue
        if only_worker:
            fields["only_worker"] = only_worker
        if statement.inputs:
            kept = dict.fromkeys(i for told in statement.inputs for i in (told.job_id, told.rows_of))
            fields["inputs"] = " ".join(kept)
        told = json.dumps(
            [
                statement.kind,
                statement.sql,
                statement.source,
                order["limits"],
                statement.policy_hash,
                confirm,
                fields.get("inputs"),
                *([question, details] if statement.kind is JobKind.ASK else ()),
            ]
        )
        with self._traces.submit(statement.kind, statement.source, queue, parent_id=parent_id) as span:
            if span.context:
                fields["trace"] = span.context
            try:
                async with asyncio.timeout(_BROKER_S):
                    job = await self._store.submit(
                        job_id,
                        owner=owner,
                        source=statement.source,
                        priority=statement.priority,
                        owner_cap=self._owner_cap(owner) if owner_cap is None else owner_cap,
                        source_cap=_NO_CAP if queue else self.settings.max_running(statement.source),
                        idempotency_key=idempotency_key or "",
                        content=hashlib.blake2b(told.encode(), digest_size=16).hexdigest(),
                        share=share,
                        fresh=fresh,
                        record=record_of(self._signer, order, self._told.statement(self._signer, statement, question)),
                        parent_id=parent_id,
                        fields=fields,
                    )
            except BROKER_ERRORS as error:
                raise broker_away(error) from error
            span.became(job, job_id=job_id)
        return job

    def _publish(
        self, store: WorkerStore, settings: ExecutorSettings, policy_version: str, published: Mapping[str, str]
    ) -> None:
        """Says what servers go by from now on. Raises what the broker raises."""
        told = settings.model_dump_json(exclude={"state_dir"})
        named = hashlib.blake2b(told.encode(), digest_size=16).hexdigest()
        content = {"executor": named, **published}
        store.publish(self._signer, policy_version, content, settings.source_fingerprints())

    async def _witness(self) -> Head | None:
        try:
            async with asyncio.timeout(_BROKER_S):
                kept = await self._store.witness()
        except BROKER_ERRORS as error:
            raise broker_away(error) from error
        return None if kept is None else opened_head(self._signer, *kept)

    def _owner_cap(self, owner: str) -> int:
        # one source is profiled at a time
        caps = {_SYSTEM: len(self.settings.sources), _PROFILER: 1}
        return caps.get(owner, self.settings.principal_max_running)

    def _fingerprint(self, statement: Statement) -> str:
        found = self.settings.fingerprint_of(statement.source)
        if found is None:
            raise KeyError(statement.source)
        return found

    async def _confirmed(self, statement: Statement, owner: str, confirm: str) -> float:
        fingerprint = statement_fingerprint(
            statement.sql, statement.source, self._fingerprint(statement), statement.policy_hash
        )
        try:
            async with asyncio.timeout(_BROKER_S):
                now = await self._store.now()  # the worker that gave the confirmation went by it, too
        except BROKER_ERRORS as error:
            raise broker_away(error) from error
        return confirmed_cost(self._signer, confirm, owner=owner, fingerprint=fingerprint, now=now)

    async def _introspect(self, source: str) -> Job:
        return await self._internal(JobKind.INTROSPECT, source, queue_timeout_s=self.settings.limits.queue_timeout_s)

    async def _internal(self, kind: JobKind, source: str, *, queue_timeout_s: float) -> Job:
        limits = Limits(timeout_s=_INTERNAL_S, job_timeout_s=_INTERNAL_S, queue_timeout_s=queue_timeout_s)
        job = await self._submit(Statement(source, "", "", limits, kind=kind), owner=_SYSTEM)
        return await self.wait(job.id, owner=_SYSTEM, timeout_s=queue_timeout_s + _INTERNAL_S)

    async def _follow_profile(self, source: str, tables: Collection[tuple[str, str]]) -> Job:
        job = await self.profile(source, tables)
        longest = self.settings.profile.timeout_s + self.settings.limits.queue_timeout_s
        return await self.wait(job.id, owner=_PROFILER, timeout_s=longest)

    def _source_print(self, source: str) -> str:
        return self.settings.fingerprint_of(source) or ""

    async def _profile_version(self, source: str) -> str | None:
        return await self._store.profile_version(source, self._source_print(source))

    async def _profile(self, source: str) -> tuple[ProfileHead | None, SourceProfile]:
        return await self._store.profile(source, self._source_print(source))

    async def _load_schema(self, source: str) -> str | None:
        try:
            async with asyncio.timeout(_BROKER_S):
                return await self._store.schema(source, self._source_print(source))
        except BROKER_ERRORS as error:
            raise broker_away(error) from error


def _cursor_after(job: Job, offset: int | None) -> str | None:
    """Where the next page of this attempt's rows begins; None at the end."""
    return None if offset is None else Cursor(job.id, job.attempt, offset).encode()
