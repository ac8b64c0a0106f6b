"""What a server knows of its sources' schemas: asked for at start, kept, asked for again when a table is unknown.

A schema comes from an internal job that a worker runs; this side holds no connection to any source.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from executor.errors import ErrorCode, ExecutorError, SourceFailed
from executor.jobs import Job, JobState
from executor.source_schema import SourceSchema
from executor.tasks import end_task

log = logging.getLogger(__name__)

_REFRESH_EVERY_S = 10.0
_RETRY_EVERY_S = 2.0
_STALE_AFTER_S = 300.0
"""Seconds after which a schema that is asked for is read again, meanwhile still serving."""

Introspect = Callable[[str], Awaitable[Job]]
"""Submits the internal job for a source and waits for its end."""

Load = Callable[[str], Awaitable[str | None]]
"""Reads the schema that the last such job stored."""


class SchemaCache:
    """Schemas by source name, with one introspection a source under way at most."""

    def __init__(self, introspect: Introspect, load: Load) -> None:
        self._introspect = introspect
        self._load = load
        self._known: dict[str, SourceSchema] = {}
        self._failed: dict[str, ExecutorError] = {}
        self._asked_at: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def now(self, source: str) -> SourceSchema | None:
        """The schema as it is known in this process."""
        return self._known.get(source)

    async def get(self, source: str, *, wait_s: float, refresh: bool = False) -> SourceSchema:
        """The schema, waiting up to `wait_s` seconds for one that is not there yet.

        With `refresh` it is read again first, at most every ten seconds.

        Raises:
            SourceFailed: ``source_not_ready`` when no worker has answered yet; else why introspection failed.
        """
        known = self._known.get(source)
        since = time.monotonic() - self._asked_at.get(source, float("-inf"))
        if known is not None and not (refresh and since > _REFRESH_EVERY_S):
            if since > _STALE_AFTER_S:
                self.ask(source)  # a view may read other tables by now
            return known
        if source not in self._tasks and (known is not None or since > _RETRY_EVERY_S or source not in self._failed):
            self.ask(source)
        task = self._tasks.get(source)
        if task is not None and (known is None or refresh):
            await asyncio.wait({task}, timeout=wait_s)
        if source in self._known:
            return self._known[source]
        if source in self._failed:
            raise self._failed[source]
        raise SourceFailed(
            ErrorCode.SOURCE_NOT_READY,
            f"The tables of source {source} are not known yet: no worker has read them so far.",
            hint="Call again in a few seconds. If it stays so, no worker is running: start one with awaitsql worker.",
        )

    def forget(self, source: str) -> None:
        """The source is another one now, or none: what is known of it does not count."""
        for known in (self._known, self._failed, self._asked_at):
            known.pop(source, None)
        task = self._tasks.pop(source, None)
        if task is not None:
            task.cancel()

    def ask(self, source: str) -> None:
        """Starts reading a source's schema, if that is not under way."""
        if source not in self._tasks:
            self._asked_at[source] = time.monotonic()
            task = asyncio.create_task(self._ask(source))
            self._tasks[source] = task
            task.add_done_callback(lambda done: self._ended(source, done))

    def _ended(self, source: str, task: asyncio.Task[None]) -> None:
        # one that was forgotten may have a successor by now
        if self._tasks.get(source) is task:
            del self._tasks[source]

    async def close(self) -> None:
        """Stops waiting for answers."""
        for task in list(self._tasks.values()):
            await end_task(task)

    async def _ask(self, source: str) -> None:
        try:
            if source not in self._known:
                # an earlier server of this configuration may have asked already
                await self._take(source)
            job = await self._introspect(source)
            if job.state is JobState.SUCCEEDED:
                await self._take(source)
            elif job.error is not None:
                self._failed[source] = job.error
        except ExecutorError as error:
            self._failed[source] = error
            log.warning("schema_not_read", extra={"source": source, "code": str(error.code)})

    async def _take(self, source: str) -> None:
        text = await self._load(source)
        if text is not None:
            self._known[source] = SourceSchema.from_json(text)
            self._failed.pop(source, None)
