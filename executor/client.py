"""The executor's front door for a server: submit, get, wait, cancel, page, export, schemas. Loads no adapter.

Everything here is asynchronous and safe to call from many tasks of one event loop. A job that is unknown, purged or
somebody else's is not found, in the same words.

It is long because it is the contract: each call's words stand here, and its work in the module that it goes to. What
is imported lazily, and why, is said there, too: the history's database library in `executor.history.past`, Arrow in
`executor.kept_results`, Celery in `Executor.serve`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from typing import TYPE_CHECKING, BinaryIO

from redis.exceptions import OutOfMemoryError, ResponseError

from executor.answers import Answer
from executor.client_store import ClientStore
from executor.connections import asking_broker, broker_away, broker_full, connect_async, connect_sync
from executor.enrolled import WorkerSeen
from executor.following import LOOK_EVERY_S, Following
from executor.history.drainer import Drainer
from executor.history.past import HistoryState, Past
from executor.history.told import Redact
from executor.in_force import InForce, publish
from executor.intake import Intake
from executor.interventions import Interventions
from executor.jobs import Job, Question, ResultBlock, ResultPage, Statement
from executor.kept_results import KeptResults
from executor.known_jobs import KnownJobs
from executor.on_record import OnRecord
from executor.profiles import SourceProfile, TableProfile
from executor.reaper import Reaper
from executor.renewal import Renewal
from executor.result_reader import ResultReader
from executor.results import BlockFormat, ExportFormat
from executor.settings import ExecutorSettings
from executor.signals import ChangeListener
from executor.signing import Keys, Signer
from executor.source_knowledge import SourceKnowledge
from executor.source_schema import SourceSchema
from executor.sources import SourceInfo
from executor.tracing import traces_of
from executor.upkeep_store import UpkeepStore

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from executor.bodies import Body
    from executor.figures import Figures
    from executor.history.verifying import ChainReport
    from executor.results.value_lists import ListedValue


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
        self._published = published or {}
        self._submits = submits
        self._broker_url = broker_url
        self._signer = Signer(keys)
        self._in_force = InForce(settings, policy_version, redact)
        self._redis = connect_async(broker_url)
        self._store = ClientStore(settings, self._redis, self._signer)
        self._changes = ChangeListener(self._redis, settings.namespace)
        self._past = Past(settings, self._signer)
        self._results = KeptResults(self._in_force)
        traces = traces_of(settings.tracing)
        self._intake = Intake(self._in_force, self._signer, self._store, traces, asker=self._changes.name)
        self._known = KnownJobs(self._in_force, self._store, self._past, self._results)
        self._reader = ResultReader(self._known, self._results)
        self._following = Following(self._known, self._changes)
        self._interventions = Interventions(self._known, self._store)
        self._knowledge = SourceKnowledge(self._in_force, self._store, self._intake, self._following)
        self._on_record = OnRecord(self._in_force, self._signer, self._store, self._past)
        self._stack = AsyncExitStack()

    @property
    def settings(self) -> ExecutorSettings:
        """The ``[executor]`` table that holds now."""
        return self._in_force.settings

    async def __aenter__(self) -> Executor:
        """Connects, checks the signing key, says which policies hold, starts the reaper and asks for every schema.

        Raises:
            SettingsInvalid: other processes of this configuration use another signing key.
            ExecutorError: ``executor_unavailable`` when the broker does not answer.
        """
        connection = connect_sync(self._broker_url)
        store = UpkeepStore(self.settings, connection)
        try:
            async with asking_broker(within_s=None):
                await asyncio.to_thread(store.check_key, self._signer)
                if self._submits:
                    version = self._in_force.policy_version
                    await asyncio.to_thread(publish, store, self._signer, self.settings, version, self._published)
        except OutOfMemoryError as error:
            raise broker_full() from error
        self._stack.push_async_callback(self._redis.aclose)
        self._stack.callback(self._past.close)
        self._stack.enter_context(Reaper(store, self.settings.lease_s))
        self._stack.enter_context(Renewal(store, self._signer))
        self._stack.enter_context(Drainer(self.settings, store, connection, self._signer))
        await self._stack.enter_async_context(self._changes)
        self._stack.push_async_callback(self._knowledge.close)
        self._knowledge.ask_all()
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
                async with asking_broker(within_s=None):
                    with closing(connect_sync(self._broker_url)) as connection:
                        store = UpkeepStore(settings, connection)
                        await asyncio.to_thread(publish, store, self._signer, settings, policy_version, published)
            except ResponseError as error:
                raise broker_away(error) from error
        before = self.settings.source_fingerprints()
        self._in_force.replace(settings, policy_version)
        self._knowledge.follow(before, settings.source_fingerprints())

    def stop_waiting(self) -> None:
        """The process is to go: whoever waits for a job, now or later, is given it as it is."""
        self._following.stop()

    @property
    def waits(self) -> bool:
        """Whether jobs are waited for here; see `stop_waiting`."""
        return self._following.waits

    # -- sources ---------------------------------------------------------------------------------------------------

    def sources(self) -> tuple[SourceInfo, ...]:
        """The configured sources, in the configuration's order."""
        return self.settings.source_infos()

    def schema_now(self, source: str) -> SourceSchema | None:
        """The source's schema, if it is known in this process by now."""
        return self._knowledge.schema_now(source)

    def profile_now(self, source: str) -> SourceProfile | None:
        """What `source_profile` was last asked for in this process and gave, without a look at whether it is old."""
        return self._knowledge.profile_now(source)

    async def source_schema(self, source: str, *, wait_s: float = 10.0, refresh: bool = False) -> SourceSchema:
        """The source's tables, as a worker found them; waits up to `wait_s` seconds for the first answer.

        Raises:
            SourceFailed: ``source_removed``, ``source_not_ready``, or why the worker could not read the source.
        """
        return await self._knowledge.schema(source, wait_s=wait_s, refresh=refresh)

    async def probe(self, source: str) -> tuple[list[dict[str, str]], int | None]:
        """How the source lets us in, as a worker finds it: ``{"level": ok | warning | error, "message", "fix"}`` each.

        And how many connections it lets our role have at once, where it bounds that.

        Raises:
            ExecutorError: why the worker could not look, or ``no_workers``.
        """
        return await self._knowledge.probe(source)

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
            SourceFailed: ``source_removed``.
            ExecutorError: as `source_schema`, or ``executor_unavailable``.
        """
        return await self._knowledge.known_profile(source, tables=tables, wait_s=wait_s)

    async def profile(self, source: str, tables: Collection[tuple[str, str]], *, anew: bool = False) -> Job:
        """The job, in line or running, that profiles `tables` of a source; tables that have not changed are kept.

        Equal requests while one is under way are one job. ``notes["tables"]`` says how far it is.

        Args:
            source: its name.
            tables: as in `source_profile`; what is known of others is forgotten.
            anew: reads unchanged tables again, too.

        Raises:
            SourceFailed: ``source_removed``.
            ExecutorError: as `submit`.
        """
        return await self._knowledge.profile(source, tables, anew=anew)

    def listed_values(self, source: str, table: TableProfile) -> AsyncGenerator[list[ListedValue]]:
        """The distinct values of the table's `listed` columns, in blocks, column by column, the most frequent first.

        None where they are not kept (any more): a newer profile has another `version`.

        Raises:
            ResultFailed: ``store_unavailable``.
        """
        return self._results.listed_values(source, table)

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
        return await self._intake.submit(
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
        return await self._intake.ask(question, owner=owner, idempotency_key=idempotency_key)

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
        async with asking_broker():
            return await self._store.spend(purse, amount, at_most, for_s)

    async def remember(self, name: str, text: str, *, for_s: float) -> None:
        """Keeps a text, signed, under a name for so many seconds; it replaces one of the same name.

        Raises:
            ExecutorError: ``executor_unavailable``.
        """
        async with asking_broker():
            await self._store.remember(name, text, for_s)

    async def recall(self, name: str) -> str | None:
        """What was kept under that name; None where nothing is, or nothing that carries our signature.

        Raises:
            ExecutorError: ``executor_unavailable``.
        """
        async with asking_broker():
            return await self._store.recall(name)

    async def get(self, job_id: str, *, owner: str) -> Job:
        """The job as it is now.

        Raises:
            JobNotFound: ``invalid_handle`` for something that is no handle, else ``job_not_found``.
            JobLost: ``job_lost`` when the broker lost it before its end.
            ResultFailed: ``result_expired`` when it succeeded, long ago, and nothing of it is kept but its record.
            ExecutorError: ``executor_unavailable``.
        """
        return await self._known.get(job_id, owner=owner)

    def watch(
        self,
        job_id: str,
        *,
        owner: str,
        timeout_s: float,
        known: Job | None = None,
        ends_only: bool = False,
        every_s: float = LOOK_EVERY_S,
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
        return self._following.watch(
            job_id, owner=owner, timeout_s=timeout_s, known=known, ends_only=ends_only, every_s=every_s
        )

    async def wait(self, job_id: str, *, owner: str, timeout_s: float, known: Job | None = None) -> Job:
        """The job when it is finished, or as it is after `timeout_s` seconds. `known` and errors as in `watch`."""
        return await self._following.wait(job_id, owner=owner, timeout_s=timeout_s, known=known)

    def changes(self, job_ids: Collection[str], *, owner: str) -> AsyncGenerator[Job]:
        """Each of the jobs as it is, then each again after it changed, without end: close it to stop.

        Asks the broker only when it was told of a change, or could not be told for a while; so it costs nothing to
        follow jobs that rest. A finished job is yielded once. One that is not there, not there any more, or somebody
        else's is not yielded; a broker that is away is waited for.

        Args:
            job_ids: handles in their one spelling (`parse_job_id`).
            owner: who asks.
        """
        return self._following.changes(job_ids, owner=owner)

    async def cancel(self, job_id: str, *, owner: str) -> Job:
        """Asks for the end of the job, down to the database; the job as it is right after. Raises as `get`.

        A queued job is cancelled at once; a running one when its worker has stopped the database. Cancelling a
        finished job changes nothing.
        """
        return await self._interventions.cancel(job_id, owner=owner)

    async def give_up(self, job_id: str, *, owner: str) -> None:
        """One caller less wants the job; the last takes it along, as `cancel` does. Raises as `get`.

        Each `submit` that was answered with the job counts as a caller: those with its idempotency key, too, whichever
        server they went to. Others that wait for an equal statement's rows keep the run in any case.
        """
        await self._interventions.give_up(job_id, owner=owner)

    async def answer(self, job_id: str, *, owner: str, answer: Answer) -> Job:
        """Tells a waiting job what it asks (`Job.input_request`); it goes back in line. The job right after.

        The same answer said again changes nothing; so a caller that heard nothing may repeat it.

        Raises: as `get`, and
            InputFailed: ``invalid_answer``, ``human_required``; ``not_waiting`` where it asks nothing, was told
                something else before, or has ended.
        """
        return await self._interventions.answer(job_id, owner=owner, answer=answer)

    async def list_jobs(self, *, owner: str, limit: int = 20) -> list[Job]:
        """The owner's newest jobs, newest first, also those that the broker has forgotten by now.

        Raises:
            ExecutorError: ``executor_unavailable``.
        """
        return await self._known.newest(owner=owner, limit=limit)

    async def recorded(self, job_id: str, *, owner: str) -> Job | None:
        """The job as the history last heard of it, whatever the broker says; None where it knows none of the owner's.

        Raises:
            JobNotFound: ``invalid_handle``.
        """
        return await self._known.recorded(job_id, owner=owner)

    async def history_state(self) -> tuple[HistoryState, int]:
        """How the history is, and how many events wait in the broker to be written there."""
        return await self._on_record.state()

    async def verify_history(self) -> ChainReport:
        """Goes through the audit's chain of hashes, all owners'. Raises as `Past.verify`."""
        return await self._on_record.verify()

    async def tell_refusal(
        self, *, owner: str, source: str, sql: str, dialect: str, code: str, message: str, position: int | None
    ) -> None:
        """Puts a refused statement on record. Beyond 60 a minute of one owner refusals are counted, not told singly.

        A broker that does not answer, or takes nothing more, is logged: the refusal stands.

        Args:
            owner: who sent it.
            source: where it was to run.
            sql: as it was sent.
            dialect: what it is written in.
            code: why it was refused.
            message: the same in words; not kept where literals are redacted, since it may quote them.
            position: where in it, or None.
        """
        await self._on_record.tell_refusal(
            owner=owner, source=source, sql=sql, dialect=dialect, code=code, message=message, position=position
        )

    async def take_turn(self, owner: str, *, per_minute: float, burst: int) -> float:
        """Counts one call of an owner, over all servers of this configuration: 0 where it may go on, else seconds.

        Args:
            owner: who calls.
            per_minute: how many calls a minute are let through in the long run.
            burst: how many may come at once after a pause.

        Raises:
            ExecutorError: ``executor_unavailable``.
        """
        async with asking_broker():
            return await self._store.take_turn(owner, 60 / per_minute, burst)

    async def workers(self) -> list[WorkerSeen]:
        """Every worker that has been heard of in the last seconds, of every queue.

        Raises:
            ExecutorError: ``executor_unavailable``.
        """
        async with asking_broker():
            return await self._store.workers()

    async def workers_alive(self) -> int:
        """How many workers of statements have been heard of in the last seconds and take jobs. Raises as `workers`."""
        async with asking_broker():
            return await self._store.workers_alive()

    async def figures(self, *, within_s: float = 3.0) -> Figures:
        """Queues, workers, counters and memory of this configuration, as its broker tells them within that time.

        Raises:
            ExecutorError: ``executor_unavailable``.
        """
        async with asking_broker(within_s=within_s):
            return await self._store.figures()

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
        return await self._reader.page(job_id, owner=owner, cursor=cursor, limit=limit, columns=columns)

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
        return await self._reader.block(job_id, owner=owner, format=format, cursor=cursor, limit=limit, columns=columns)

    async def inputs(self, job_ids: Sequence[str], *, owner: str) -> list[Job]:
        """The jobs whose results a statement is to read, in this order, each with a whole result.

        Raises:
            JobNotFound: as `get`, for any of them.
            ExecutorError: the error of one that failed.
            ResultFailed: ``result_expired`` for one that has no whole result, or whose rows are gone.
        """
        return await self._reader.inputs(job_ids, owner=owner)

    async def export(
        self,
        job_id: str,
        *,
        owner: str,
        format: ExportFormat,  # noqa: A002 - the word users know
        out: BinaryIO,
    ) -> None:
        """Writes the whole result to `out`, streaming; ``json`` is JSON lines. Raises as `page`."""
        await self._reader.export(job_id, owner=owner, format=format, out=out)
