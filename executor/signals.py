"""Wake-ups over Redis pub/sub: "this job changed", "please cancel this job". The job's row stays the truth.

A message may be lost (a connection drops); who waits therefore looks again after each reconnect and now and then.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import RedisError

from executor.tasks import end_task

log = logging.getLogger(__name__)

_LEFT_RUNNING = "stops"
"""In the place of a job's id: the set of statements to stop has grown."""


class ChangeListener:
    """One pub/sub connection of a server, and an event per waiting caller. An asynchronous context manager."""

    def __init__(self, connection: redis.asyncio.Redis, namespace: str) -> None:
        self._redis = connection
        self._channel = f"{namespace}:changed"
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> ChangeListener:
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end_task(self._task)

    @contextmanager
    def listen(self, job_id: str) -> Generator[asyncio.Event]:
        """An event that is set whenever the job may have changed."""
        event = asyncio.Event()
        self._waiting.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            events = self._waiting[job_id]
            events.discard(event)
            if not events:
                del self._waiting[job_id]

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(self._channel)
                    self._wake_all()
                    while True:
                        message: dict[str, Any] | None = await pubsub.get_message(timeout=2.0)
                        if message is not None:
                            for event in self._waiting.get(message["data"], ()):
                                event.set()
            except (RedisError, OSError) as error:
                log.warning("wake_ups_interrupted", extra={"error": type(error).__name__})
                self._wake_all()
                await asyncio.sleep(0.1)

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()


def listen_for_cancels(
    connection: redis.Redis,
    namespace: str,
    *,
    on_cancel: Callable[[str], None],
    on_left_running: Callable[[], None],
    stop: threading.Event,
) -> None:
    """Calls `on_cancel(job_id)` for every cancel asked for, until `stop` is set. Runs in a thread of its own.

    `on_left_running()` is called when a dead worker's statement is to be stopped.
    """
    channel = f"{namespace}:cancel"
    while not stop.is_set():
        try:
            with connection.pubsub(ignore_subscribe_messages=True) as pubsub:
                pubsub.subscribe(channel)
                while not stop.is_set():
                    message: dict[str, Any] | None = pubsub.get_message(timeout=1.0)
                    if message is None:
                        continue
                    if message["data"] == _LEFT_RUNNING:
                        on_left_running()
                    else:
                        on_cancel(message["data"])
        except (RedisError, OSError) as error:
            log.warning("cancel_signals_interrupted", extra={"error": type(error).__name__})
            time.sleep(0.1)
