"""What a server knows of its sources: schemas, profiles, how they let us in.

All of it comes from jobs that workers run; this side holds no connection to any source.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from executor.client_store import ClientStore
from executor.connections import asking_broker
from executor.following import Following
from executor.in_force import InForce
from executor.intake import PROFILER_OWNER, SYSTEM_OWNER, Intake
from executor.jobs import PRIORITIES, Job, JobKind, JobState, Limits, Statement
from executor.profile_cache import ProfileCache
from executor.profile_store import ProfileHead, tables_hash
from executor.profiles import SourceProfile
from executor.schemas import SchemaCache
from executor.source_schema import SourceSchema

_INTERNAL_S = 120.0
"""How long a schema, or a probe, may take."""

_PROFILE_AGAIN_S = 60.0
"""Within this time a profile that failed is not tried again."""


class SourceKnowledge:
    """Schemas and profiles of one configuration's sources."""

    def __init__(self, in_force: InForce, store: ClientStore, intake: Intake, following: Following) -> None:
        self._in_force = in_force
        self._store = store
        self._intake = intake
        self._following = following
        self._schemas = SchemaCache(self._introspect, self._load_schema)
        self._profiles = ProfileCache(
            self._follow_profile, self._profile_version, self._profile, self._now, in_force.settings.profile
        )

    def ask_all(self) -> None:
        """Starts reading the schema of every source."""
        for source in self._in_force.settings.sources:
            self._schemas.ask(source)

    def follow(self, before: Mapping[str, str], now: Mapping[str, str]) -> None:
        """Forgets sources that are others now, or none, and asks for those that are new.

        Args:
            before: by name, the fingerprint of each source until now.
            now: the same from now on; these are in force.
        """
        for source in before:
            if now.get(source) != before[source]:
                self._schemas.forget(source)
                self._profiles.forget(source)
        for source in now:
            if now[source] != before.get(source):
                self._schemas.ask(source)

    async def close(self) -> None:
        """Stops waiting for answers."""
        await self._profiles.close()
        await self._schemas.close()

    def schema_now(self, source: str) -> SourceSchema | None:
        """See `Executor.schema_now`."""
        return self._schemas.now(source)

    def profile_now(self, source: str) -> SourceProfile | None:
        """See `Executor.profile_now`."""
        return self._profiles.now(source)

    async def schema(self, source: str, *, wait_s: float, refresh: bool = False) -> SourceSchema:
        """See `Executor.source_schema`."""
        self._in_force.fingerprint(source)
        return await self._schemas.get(source, wait_s=wait_s, refresh=refresh)

    async def probe(self, source: str) -> tuple[list[dict[str, str]], int | None]:
        """See `Executor.probe`."""
        job = await self._internal(JobKind.PROBE, source, queue_timeout_s=15.0)
        if job.error is not None:
            raise job.error
        return job.notes.get("findings", []), job.notes.get("connections")

    async def known_profile(self, source: str, *, tables: Collection[tuple[str, str]], wait_s: float) -> SourceProfile:
        """See `Executor.source_profile`."""
        schema = await self.schema(source, wait_s=wait_s or 1.0)
        return await self._profiles.get(source, frozenset(tables), schema.hash(), wait_s=wait_s)

    async def profile(self, source: str, tables: Collection[tuple[str, str]], *, anew: bool = False) -> Job:
        """See `Executor.profile`."""
        known, now = await self._profile_version(source), await self._now()
        job = await self._ask_profile(source, tables, known, now, anew=anew)
        while job.state is JobState.CANCELLED:  # one that was cancelled within the minute is not what is asked for now
            job = await self._ask_profile(source, tables, known, now, anew=anew, after=job.id)
        return job

    async def _ask_profile(
        self,
        source: str,
        tables: Collection[tuple[str, str]],
        known: str | None,
        now: float,
        *,
        anew: bool = False,
        after: str = "",
    ) -> Job:
        """The job: within a minute the same one, unless it is asked for `after` one that was cancelled."""
        settings = self._in_force.settings.profile
        limits = Limits(
            timeout_s=settings.table_timeout_s,
            job_timeout_s=settings.timeout_s,
            queue_timeout_s=self._in_force.settings.limits.queue_timeout_s,
        )
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
        key = None if anew else f"{source} {tables_hash(tables)} {known} {int(now / _PROFILE_AGAIN_S)} {after}"
        return await self._intake.submit(statement, owner=PROFILER_OWNER, idempotency_key=key)

    async def _introspect(self, source: str) -> Job:
        queue_timeout_s = self._in_force.settings.limits.queue_timeout_s
        return await self._internal(JobKind.INTROSPECT, source, queue_timeout_s=queue_timeout_s)

    async def _internal(self, kind: JobKind, source: str, *, queue_timeout_s: float) -> Job:
        limits = Limits(timeout_s=_INTERNAL_S, job_timeout_s=_INTERNAL_S, queue_timeout_s=queue_timeout_s)
        job = await self._intake.submit(Statement(source, "", "", limits, kind=kind), owner=SYSTEM_OWNER)
        return await self._following.wait(job.id, owner=SYSTEM_OWNER, timeout_s=queue_timeout_s + _INTERNAL_S)

    async def _follow_profile(self, source: str, tables: Collection[tuple[str, str]]) -> Job:
        known, now = await self._profile_version(source), await self._now()
        job = await self._ask_profile(source, tables, known, now)
        settings = self._in_force.settings
        longest = settings.profile.timeout_s + settings.limits.queue_timeout_s
        return await self._following.wait(job.id, owner=PROFILER_OWNER, timeout_s=longest)

    async def _load_schema(self, source: str) -> str | None:
        async with asking_broker():
            return await self._store.schema(source, self._source_print(source))

    async def _profile_version(self, source: str) -> str | None:
        async with asking_broker():
            return await self._store.profile_version(source, self._source_print(source))

    async def _profile(self, source: str) -> tuple[ProfileHead | None, SourceProfile]:
        async with asking_broker():
            return await self._store.profile(source, self._source_print(source))

    async def _now(self) -> float:
        async with asking_broker():
            return await self._store.now()

    def _source_print(self, source: str) -> str:
        return self._in_force.settings.fingerprint_of(source) or ""
