"""What a server knows of its sources' profiles: read from the broker, asked for when missing, old or of another schema.

A profile comes from a job that a worker runs; this side holds no connection to any source.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace

from executor.errors import ExecutorError
from executor.jobs import Job, JobState
from executor.profile_store import ProfileHead, tables_hash
from executor.profiles import SourceProfile
from executor.settings import ProfileSettings
from executor.tasks import end_task

log = logging.getLogger(__name__)

_ASK_EVERY_S = 60.0
"""How long after a job that was asked for ended another is not asked for, whatever it brought."""

Tables = Collection[tuple[str, str]]

Follow = Callable[[str, Tables], Awaitable[Job]]
"""Submits the job that profiles tables of a source and waits for its end."""


class ProfileCache:
    """Profiles by source name, with one job a source asked for at most."""

    def __init__(
        self,
        follow: Follow,
        version: Callable[[str], Awaitable[str | None]],
        whole: Callable[[str], Awaitable[tuple[ProfileHead | None, SourceProfile]]],
        now: Callable[[], Awaitable[float]],
        settings: ProfileSettings,
    ) -> None:
        self._follow = follow
        self._version = version
        self._whole = whole
        self._now = now
        self._settings = settings
        self._known: dict[str, tuple[ProfileHead | None, SourceProfile]] = {}
        self._shown: dict[str, tuple[SourceProfile, frozenset[tuple[str, str]], SourceProfile]] = {}
        self._asked: dict[str, tuple[str, str, float]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def now(self, source: str) -> SourceProfile | None:
        """What was last given of the source; None where nothing was."""
        shown = self._shown.get(source)
        return None if shown is None else shown[2]

    async def get(
        self, source: str, tables: frozenset[tuple[str, str]], schema_hash: str, *, wait_s: float
    ) -> SourceProfile:
        """The profile of `tables` as far as it is known; see `executor.Executor.source_profile`."""
        head, profile = await self._look(source)
        if self._settings.automatic and await self._is_wanted(source, head, tables, schema_hash):
            self._ask(source, tables, schema_hash)
        task = self._tasks.get(source)
        if task is not None and head is None and wait_s > 0:
            await asyncio.wait({task}, timeout=wait_s)
            head, profile = await self._look(source)
        return self._only(source, profile, tables)

    def _only(self, source: str, profile: SourceProfile, tables: frozenset[tuple[str, str]]) -> SourceProfile:
        """What the profile says of `tables`: the same object while nothing changes, for whoever builds on it."""
        kept = self._shown.get(source)
        if kept is not None and kept[0] is profile and kept[1] == tables:
            return kept[2]
        shown = tuple(table for table in profile.tables if (table.schema, table.name) in tables)
        inferred = tuple(
            one
            for one in profile.inferred
            if (one.schema, one.table) in tables and (one.key.ref_schema, one.key.ref_table) in tables
        )
        only = replace(profile, tables=shown, inferred=inferred)
        self._shown[source] = (profile, tables, only)
        return only

    def forget(self, source: str) -> None:
        """The source is another one now, or none: what is known of it does not count."""
        self._known.pop(source, None)
        self._shown.pop(source, None)
        self._asked.pop(source, None)

    async def close(self) -> None:
        """Stops waiting for answers."""
        for task in list(self._tasks.values()):
            await end_task(task)

    async def _look(self, source: str) -> tuple[ProfileHead | None, SourceProfile]:
        known = self._known.get(source)
        version = await self._version(source)
        if known is None or (known[0].version if known[0] is not None else None) != version:
            known = self._known[source] = await self._whole(source)
        return known

    async def _is_wanted(self, source: str, head: ProfileHead | None, tables: Tables, schema_hash: str) -> bool:
        asked_for = tables_hash(tables)
        asked = self._asked.get(source)
        if asked is not None and asked[:2] == (asked_for, schema_hash) and time.monotonic() - asked[2] < _ASK_EVERY_S:
            return False
        if head is None or head.schema_hash != schema_hash or head.asked != asked_for or not head.complete:
            return True
        return await self._now() - head.made_at > self._settings.max_age_s

    def _ask(self, source: str, tables: Tables, schema_hash: str) -> None:
        if source in self._tasks:
            return
        self._asked[source] = (tables_hash(tables), schema_hash, time.monotonic())
        task = asyncio.create_task(self._run(source, tables))
        self._tasks[source] = task
        task.add_done_callback(lambda _: self._tasks.pop(source, None))

    async def _run(self, source: str, tables: Tables) -> None:
        try:
            job = await self._follow(source, tables)
        except ExecutorError as error:
            log.warning("source_not_profiled", extra={"source": source, "code": str(error.code)})
            return
        if job.state is JobState.FAILED and job.error is not None:
            log.warning("source_not_profiled", extra={"source": source, "code": str(job.error.code)})
