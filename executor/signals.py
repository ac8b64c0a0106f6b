"""Wake-ups over Redis pub/sub: "this job changed", "please cancel this job". The job's row stays the truth.

A change is told as the job's id, with its new state after a space where that is what changed. A success is told to the
server that submitted the job with the row as it is then, if that is not large, before it is told to all. A message may
be lost (a connection drops); who waits therefore looks again after each reconnect and now and then.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import RedisError

from executor.jobs import JobState
from executor.tasks import end_task

log = logging.getLogger(__name__)

_LEFT_RUNNING = "stops"
"""In the place of a job's id: the set of statements to stop has grown."""
_ENDS = frozenset(state.value for state in JobState if state.is_terminal or state is JobState.WAITING)
"""The states in which a job does not go on by itself."""
_HEARD = 4096
"""How many changed jobs are remembered. One forgotten too early is looked at a second later."""


class ChangedJobs:
    """Which of several jobs may have changed since they were looked at last: all of them at first.

    However often a job changes, it stands here once: who looks slowly sees its newest state, not those between.
    """

    def __init__(self, job_ids: Collection[str]) -> None:
        self._told = dict.fromkeys(job_ids)
        self._any = asyncio.Event()
        if self._told:
            self._any.set()

    def tell(self, job_id: str) -> None:
        """The job may have changed."""
        self._told[job_id] = None
        self._any.set()

    async def taken(self) -> list[str]:
        """Waits until there is one, and takes all there are."""
        await self._any.wait()
        self._any.clear()
        taken = list(self._told)
        self._told.clear()
        return taken


class _OneOfSeveral:
    """In the place of an event: tells `ChangedJobs` which job it stands for."""

    __slots__ = ("_changed", "_job_id")

    def __init__(self, changed: ChangedJobs, job_id: str) -> None:
        self._changed = changed
        self._job_id = job_id

    def set(self) -> None:
        self._changed.tell(self._job_id)


_Waiting = dict[str, set[asyncio.Event | _OneOfSeveral]]


class ChangeListener:
    """One pub/sub connection of a server, and an event per waiting caller. An asynchronous context manager.

    Attributes:
        name: under which jobs are submitted whose last row is to be told here.
    """

    def __init__(self, connection: redis.asyncio.Redis, namespace: str) -> None:
        self._redis = connection
        self.name = secrets.token_hex(8)
        self._channel = f"{namespace}:changed"
        self._own_channel = f"{namespace}:ended:{self.name}"
        self._waiting: _Waiting = {}
        self._waiting_for_ends: _Waiting = {}
        self._heard: OrderedDict[str, None] = OrderedDict()
        self._last_rows: dict[str, list[Any]] = {}
        self._is_connected = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> ChangeListener:
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end_task(self._task)

    def may_have_changed(self, job_id: str) -> bool:
        """Whether a job submitted here a moment ago may be another by now. False only where nothing was heard of it."""
        return not self._is_connected or job_id in self._heard

    @contextmanager
    def listen(self, job_id: str, *, ends_only: bool = False) -> Generator[asyncio.Event]:
        """An event that is set whenever the job may have changed; with `ends_only`, may have ended or begun to wait."""
        event = asyncio.Event()
        with self._standing(event, job_id, self._waiting_for_ends if ends_only else self._waiting):
            yield event

    def last_row(self, job_id: str) -> list[Any] | None:
        """What ``get.lua`` would give of a job that has succeeded, if that was told while somebody listened to it here.

        It is given once: who does not believe it, or listens too, asks the broker.
        """
        return self._last_rows.pop(job_id, None)

    @contextmanager
    def listen_to_several(self, job_ids: Collection[str]) -> Generator[ChangedJobs]:
        """The same for a set of jobs, over the same connection."""
        changed = ChangedJobs(job_ids)
        with ExitStack() as standing:
            for job_id in set(job_ids):
                standing.enter_context(self._standing(_OneOfSeveral(changed, job_id), job_id, self._waiting))
            yield changed

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(self._channel, self._own_channel)
                    self.wake_all()
                    while True:
                        message: dict[str, Any] | None = await pubsub.get_message(timeout=2.0)
                        self._is_connected = True
                        if message is None:
                            continue
                        if message["channel"] == self._own_channel:
                            self._hear_end(json.loads(message["data"]))
                        else:
                            self._hear(*message["data"].split(" "))
            except Exception as error:  # noqa: BLE001 - the broker's, or of what none of ours has sent
                self._is_connected = False
                log.warning("wake_ups_interrupted", extra={"error": type(error).__name__})
                self.wake_all()
                await asyncio.sleep(0.1)

    def _hear(self, job_id: str, state: str = "") -> None:
        self._heard[job_id] = None
        self._heard.move_to_end(job_id)
        if len(self._heard) > _HEARD:
            self._heard.popitem(last=False)
        for event in self._waiting.get(job_id, ()):
            event.set()
        if state in _ENDS:
            for event in self._waiting_for_ends.get(job_id, ()):
                event.set()

    def _hear_end(self, told: list[Any]) -> None:
        job_id, *last_row = told
        if self._is_awaited(job_id):
            self._last_rows[job_id] = last_row

    def _is_awaited(self, job_id: str) -> bool:
        return job_id in self._waiting or job_id in self._waiting_for_ends

    @contextmanager
    def _standing(self, event: asyncio.Event | _OneOfSeveral, job_id: str, waiting: _Waiting) -> Generator[None]:
        """While inside, `event` is set for the job."""
        waiting.setdefault(job_id, set()).add(event)
        try:
            yield
        finally:
            events = waiting[job_id]
            events.discard(event)
            if not events:
                del waiting[job_id]
            if not self._is_awaited(job_id):
                self._last_rows.pop(job_id, None)

    def wake_all(self) -> None:
        """Everybody who waits looks again."""
        for waiting in (self._waiting, self._waiting_for_ends):
            for events in waiting.values():
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
