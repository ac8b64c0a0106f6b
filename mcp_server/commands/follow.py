"""Following one job from a terminal: a line that moves while it runs, and a Ctrl-C that reaches the database."""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from executor import Job, JobState
from mcp_server.line import in_line
from mcp_server.stops import stop_in_words

if TYPE_CHECKING:
    from executor import Executor

_CANCEL_WITHIN_S = 5.0

Answer = TypeVar("Answer")


def words(job: Job) -> str:
    """What a job is doing, in a few words."""
    if job.state is JobState.QUEUED:
        if job.workers_alive == 0:
            return "queued; waiting for a worker"
        return in_line(job)
    if job.cancel_requested_at is not None and not job.is_finished:
        return "cancelling"
    stopped = stop_in_words(job)
    if stopped is not None:
        return f"{job.state}; {stopped}"
    tables = job.notes.get("tables")
    if tables and not job.is_finished:
        return f"{job.stage or job.state}, {tables['done']:,} of {tables['total']:,} tables"
    return f"{job.stage or job.state}, {job.rows:,} rows" if job.rows else job.stage or str(job.state)


async def follow(executor: Executor, job: Job, *, owner: str, wait_s: float | None, console: Console) -> Job:
    """The job at its end, when it asks something, or after `wait_s` seconds.

    Cancelled itself (Ctrl-C), it cancels the job and waits for that.

    Raises:
        asyncio.CancelledError: after the job was cancelled.
        ExecutorError: as `Executor.watch`.
    """
    spinner = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    )
    try:
        with spinner:
            line = spinner.add_task(words(job), total=None)
            timeout_s = wait_s if wait_s is not None else math.inf
            async with aclosing(executor.watch(job.id, owner=owner, timeout_s=timeout_s)) as changes:
                async for change in changes:
                    job = change
                    spinner.update(line, description=words(job))
                    if job.state is JobState.WAITING:
                        break
    except asyncio.CancelledError:
        await asyncio.shield(_cancel(executor, job, owner, console))
        raise
    return job


async def _cancel(executor: Executor, job: Job, owner: str, console: Console) -> None:
    await executor.cancel(job.id, owner=owner)
    ended = await executor.wait(job.id, owner=owner, timeout_s=_CANCEL_WITHIN_S)
    console.print(words(ended) if ended.state is JobState.CANCELLED else f"{ended.state}: {ended.id}")


def run_until_interrupted(main: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """Runs `main`; SIGINT and SIGTERM cancel it, and everything it opened is closed before this returns."""

    async def run() -> Answer:
        task = asyncio.current_task()
        if task is not None:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await main()

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
