"""A writer that is this product: each question is asked as any caller's is, and a configured model answers it.

What is measured is the whole way: what is told of the database, the prompts, the guard, the runs and the repairs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from executor import Answer, ErrorCode, ExecutorError, InputFailed, Job, JobState
from mcp_server.errors import CallRefused
from mcp_server.evaluation.answers import Asked, Written
from mcp_server.principal import LOCAL
from mcp_server.questions import Asking, submitted_question
from mcp_server.reach import Reach

_PROFILED_S = 120.0
"""How long a source's profile is waited for before its first question."""

_ENDS = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True)
class ThroughAsk:
    """Asks `reach`'s model, as the local principal. Nobody sits there: what it asks back is declined."""

    reach: Reach
    name: str

    async def know(self, sources: Iterable[str]) -> None:
        """Waits until the sources are profiled, as they are once they have been used for a while."""

        async def one(source: str) -> None:
            with suppress(ExecutorError):  # it can be asked about without
                await self.reach.shared_profile(source, wait_s=_PROFILED_S)

        await asyncio.gather(*map(one, dict.fromkeys(sources)))

    async def write(self, asked: Asked) -> Written:
        """The SQL whose rows were the answer."""
        try:
            job = await submitted_question(self.reach, LOCAL, Asking(question=asked.text, source=asked.source))
            job = await self._ended(job)
        except (CallRefused, ExecutorError) as error:
            return Written(None, error=f"{error.code}: {error.message}")
        told: dict[str, Any] = job.notes.get("generated") or {}
        spent: dict[str, Any] = {
            "calls": told.get("calls", 0),
            "input_tokens": told.get("tokens_in"),
            "output_tokens": told.get("tokens_out"),
        }
        if job.error is not None:
            return Written(None, error=f"{job.error.code}: {job.error.message}", **spent)
        sql = told.get("sql") if job.state is JobState.SUCCEEDED else None
        return Written(sql, error="" if sql else f"no_sql: the question was {job.state}", **spent)

    async def _ended(self, job: Job) -> Job:
        executor, timeout_s = self.reach.executor, job.limits.job_timeout_s
        async for seen in executor.watch(job.id, owner=LOCAL.owner, timeout_s=timeout_s):
            job = seen
            if seen.state in _ENDS:
                break
            if seen.state is JobState.WAITING:
                try:
                    await executor.answer(job.id, owner=LOCAL.owner, answer=Answer("decline"))
                except InputFailed as failed:
                    if failed.code is not ErrorCode.NOT_WAITING:
                        raise
        return job
