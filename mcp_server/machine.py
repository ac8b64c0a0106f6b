"""One process tree on one machine: the broker, the workers and the executor, started in order and stopped in reverse.

For every command that runs jobs itself. Speaks no protocol; with ``workers=0`` others are expected to execute.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from executor import Executor, ExecutorSettings, WorkerFleet, open_broker, signing_key


@asynccontextmanager
async def running_machine(
    settings: ExecutorSettings, *, workers: int, log_level: str = "INFO"
) -> AsyncGenerator[Executor]:
    """The executor's front door, with `workers` worker processes behind it that end with this process.

    Raises:
        SettingsInvalid: the configuration cannot be run as it is.
        ExecutorError: ``executor_unavailable`` when the broker does not answer or cannot be started.
    """
    key = signing_key(settings)
    with (
        open_broker(settings) as broker_url,
        WorkerFleet(settings, broker_url, key, workers, log_level=log_level),
    ):
        async with Executor(settings, broker_url, key) as executor:
            yield executor
